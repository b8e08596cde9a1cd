/** What the shapes mean, how many there are of each, and which are drawn. */
import { number, t } from "../common/texts";
import { heatColour } from "./heatmap";
import { dashOf, trace, type Palette } from "./shapes";
import { AI_CATEGORIES, type FindingTable } from "./types";

const SIGN = 22;

export class Legend {
  readonly element = document.createElement("details");
  private readonly rows: { button: HTMLButtonElement; count: HTMLSpanElement }[] = [];
  private readonly hidden = new Set<number>();
  private readonly heat = document.createElement("p");

  /** `changed` is called when a category is switched on or off. */
  constructor(palette: Palette, private readonly changed: () => void) {
    this.element.className = "viewer-legend";
    this.element.open = true;
    const summary = document.createElement("summary");
    summary.textContent = t("viewer.legend");
    const list = document.createElement("ul");
    AI_CATEGORIES.forEach((name, category) => list.append(this.row(palette, name, category)));
    this.heat.className = "viewer-heat";
    this.heat.hidden = true;
    this.heat.append(t("viewer.heat_low"), heatBar(palette), t("viewer.heat_high"));
    this.element.append(summary, list, this.heat);
  }

  /** Whether the heat map is on. */
  showHeat(on: boolean): void {
    this.heat.hidden = !on;
  }

  readonly shown = (category: number): boolean => !this.hidden.has(category);

  count(table: FindingTable | null): void {
    const counts = new Array<number>(AI_CATEGORIES.length).fill(0);
    for (const category of table?.category ?? []) counts[category] = (counts[category] ?? 0) + 1;
    this.rows.forEach((row, category) => (row.count.textContent = number(counts[category]!)));
    this.element.hidden = !table;
  }

  private row(palette: Palette, name: string, category: number): HTMLLIElement {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.title = t("viewer.category_toggle", { name });
    const count = document.createElement("span");
    button.append(sign(palette, category), name, count);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(category)) this.hidden.add(category);
      button.setAttribute("aria-pressed", String(this.shown(category)));
      this.changed();
    });
    this.rows.push({ button, count });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
}

function sign(palette: Palette, category: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIGN;
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d")!;
  trace(context, category, SIGN / 2, SIGN / 2, 6);
  context.lineWidth = 5;
  context.strokeStyle = palette.halo;
  context.stroke();
  context.setLineDash(dashOf(category));
  context.lineWidth = 2;
  context.strokeStyle = palette.categories[category]!;
  context.stroke();
  return canvas;
}

function heatBar(palette: Palette): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = 48;
  canvas.height = 10;
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d")!;
  for (let column = 0; column < canvas.width; column++) {
    const [red, green, blue, alpha] = heatColour(column / canvas.width, palette.heat);
    context.fillStyle = `rgba(${red}, ${green}, ${blue}, ${alpha / 255})`;
    context.fillRect(column, 0, 1, canvas.height);
  }
  return canvas;
}
