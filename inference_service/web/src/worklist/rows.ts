/**
 * The rows of the worklist. The server renders them; what comes anew is laid over what is there so that nothing moves
 * under the reader: rows that stay are changed in place, new ones wait until they are asked for, old ones are dimmed.
 */
import { t } from "../common/texts";

const list = (): HTMLElement => document.getElementById("list") as HTMLElement;

export const rows = (): HTMLTableRowElement[] => [...list().querySelectorAll<HTMLTableRowElement>("tr[data-case]")];

export const rowOf = (caseId: string): HTMLTableRowElement | undefined =>
  rows().find((row) => row.dataset.case === caseId);

export const caseOf = (row: Element): string => (row as HTMLElement).dataset.case ?? "";

/** The row that holds the focus, or held it last. */
export const here = (): HTMLTableRowElement | undefined =>
  rows().find((row) => row.classList.contains("here"));

/** Put a row under the reader's focus: on the link that opens the case. */
export function goTo(row: HTMLTableRowElement | undefined): void {
  if (!row) return;
  mark(row);
  row.querySelector<HTMLElement>("a.open")?.focus();
  row.scrollIntoView({ block: "nearest" });
}

export function mark(row: HTMLTableRowElement): void {
  for (const other of rows()) other.classList.toggle("here", other === row);
}

export function step(by: number): void {
  const all = rows();
  if (!all.length) return;
  const present = here();
  const place = present ? all.indexOf(present) + by : by > 0 ? 0 : all.length - 1;
  goTo(all[Math.max(0, Math.min(all.length - 1, place))]);
}

export function fragment(html: string): HTMLElement {
  const made = document.createElement("div");
  made.innerHTML = html; // of this server, escaped by its templates
  return made;
}

/** Show everything of `made`; the focus stays on its case where that is still there. */
export function replace(made: HTMLElement): void {
  const present = here();
  const focused = present?.contains(document.activeElement) ?? false;
  const caseId = present && caseOf(present);
  list().replaceChildren(...made.childNodes);
  const again = caseId ? rowOf(caseId) : undefined;
  if (again) mark(again);
  if (focused) goTo(again ?? rows()[0]);
}

/** Change in place what is shown already; returns how many cases are new. */
export function patch(made: HTMLElement): number {
  const coming = new Map([...made.querySelectorAll("tr[data-case]")].map((row) => [caseOf(row), row]));
  let fresh = coming.size;
  for (const row of rows()) {
    const next = coming.get(caseOf(row));
    row.classList.toggle("gone", !next);
    if (!next) {
      row.title = t("cases.gone");
      continue;
    }
    fresh -= 1;
    row.removeAttribute("title");
    for (const cell of next.children) replaceCell(row, cell as HTMLElement);
  }
  return fresh;
}

function replaceCell(row: HTMLElement, next: HTMLElement): void {
  const cell = row.querySelector(`[data-cell="${next.dataset.cell}"]`);
  if (cell && !cell.contains(document.activeElement) && cell.innerHTML !== next.innerHTML) cell.innerHTML = next.innerHTML;
}

export function showCounts(made: HTMLElement): void {
  for (const count of made.querySelectorAll<HTMLElement>("[data-count-of]")) {
    const shown = document.querySelector(`[data-count="${count.dataset.countOf}"]`);
    if (shown) shown.textContent = count.textContent;
  }
}

/** Tiles done and in all of the cases that are being screened. */
export function showProgress(progress: [string, number, number][]): void {
  for (const [caseId, done, total] of progress) {
    const line = list().querySelector(`[data-progress="${caseId}"]`);
    if (line && total) line.textContent = t("cases.progress", { percent: Math.floor((100 * done) / total) });
  }
}
