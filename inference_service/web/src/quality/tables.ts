/** Tables of the quality page. */

type Cell = string | { text: string; className?: string };

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K, className = "", text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** A table with a caption; the first column heads its row, the others hold numbers. */
export function table(caption: string, header: string[], rows: Cell[][]): HTMLTableElement {
  const made = element("table");
  made.append(element("caption", "", caption));
  const head = element("tr");
  header.forEach((text, index) => {
    const cell = element("th", index ? "number" : "", text);
    cell.scope = "col";
    head.append(cell);
  });
  const top = element("thead");
  top.append(head);
  const body = element("tbody");
  for (const cells of rows) {
    const row = element("tr");
    cells.forEach((cell, index) => {
      const { text, className = "" } = typeof cell === "string" ? { text: cell } : cell;
      const one = index ? element("td", `number ${className}`.trim(), text) : element("th", className, text);
      if (!index) one.setAttribute("scope", "row");
      row.append(one);
    });
    body.append(row);
  }
  made.append(top, body);
  return made;
}

/** A table that is opened when wanted: the data of a plot. */
export function folded(summary: string, content: HTMLElement): HTMLElement {
  const made = element("details");
  made.append(element("summary", "", summary), content);
  return made;
}
