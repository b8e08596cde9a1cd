/** Plots as SVG made by DOM: each has a title and a description for those who do not see it; a table stands beside it. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 900;
let counter = 0;

type Attributes = Record<string, string | number>;

function element(name: string, attributes: Attributes, text = ""): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text) made.textContent = text;
  return made;
}

function canvas(height: number, title: string, description: string): SVGElement {
  const id = `plot-${++counter}`;
  const svg = element("svg", {
    viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-labelledby": `${id}-title ${id}-desc`,
  });
  svg.append(element("title", { id: `${id}-title` }, title), element("desc", { id: `${id}-desc` }, description));
  return svg;
}

/** Pairs of columns: `filled` and `outlined` share one axis; every `label` stands under its pair where there is room. */
export function columns(
  title: string, description: string, labels: string[], filled: number[], outlined: number[],
  format: (value: number) => string,
): SVGElement {
  const [left, top, bottom, height] = [70, 16, 34, 240];
  const svg = canvas(height, title, description);
  const most = Math.max(...filled, ...outlined, Number.MIN_VALUE);
  const floor = height - bottom;
  const step = (WIDTH - left) / Math.max(1, labels.length);
  const y = (value: number): number => floor - ((floor - top) * value) / most;
  for (const mark of [0, most / 2, most]) {
    svg.append(element("line", { class: "plot-axis", x1: left, x2: WIDTH, y1: y(mark), y2: y(mark) }));
    svg.append(element("text", { class: "plot-muted", x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, format(mark)));
  }
  const every = Math.ceil(labels.length / 13);
  labels.forEach((label, index) => {
    const x = left + index * step;
    const [value, other] = [filled[index] ?? 0, outlined[index] ?? 0];
    svg.append(element("rect", {
      class: "plot-now", x: x + step * 0.15, width: step * 0.7, y: y(value), height: floor - y(value),
    }));
    svg.append(element("rect", {
      class: "plot-other", x: x + step * 0.1, width: step * 0.8, y: y(other), height: floor - y(other),
    }));
    if (index % every === 0) {
      svg.append(element("text", { class: "plot-muted", x, y: height - 12 }, label));
    }
  });
  return svg;
}

export interface Bar {
  label: string;
  value: number;
  low: number;
  high: number;
  text: string;
}

/** Horizontal bars of shares with whiskers. */
export function bars(title: string, description: string, rows: Bar[]): SVGElement {
  const [left, right, pitch] = [330, 200, 28];
  const svg = canvas(rows.length * pitch + 8, title, description);
  const most = Math.max(...rows.map((row) => row.high), 0.01);
  const x = (value: number): number => left + ((WIDTH - left - right) * value) / most;
  rows.forEach((row, index) => {
    const middle = index * pitch + pitch / 2 + 4;
    svg.append(element("text", { class: "plot-text", x: left - 8, y: middle + 4, "text-anchor": "end" }, row.label));
    svg.append(element("rect", {
      class: "plot-now", x: left, y: middle - 8, width: Math.max(0, x(row.value) - left), height: 16,
    }));
    svg.append(element("line", { class: "plot-whisker", x1: x(row.low), x2: x(row.high), y1: middle, y2: middle }));
    svg.append(element("text", { class: "plot-muted", x: x(most) + 10, y: middle + 4 }, row.text));
  });
  svg.append(element("line", { class: "plot-axis", x1: left, x2: left, y1: 0, y2: rows.length * pitch + 8 }));
  return svg;
}
