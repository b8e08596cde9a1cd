/** Turnaround times, as web/worklist_pages.py writes them. */
import { t } from "../common/texts";

export function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t("cases.minutes", { n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return t("cases.hours", { n: hours, m: minutes % 60 });
  return t("cases.days", { n: Math.floor(hours / 24), h: hours % 24 });
}

/** Let the times of the cases that still wait go on. */
export function tick(): void {
  const now = Date.now();
  for (const span of document.querySelectorAll<HTMLElement>("[data-since]")) {
    const waited = Math.max(0, Math.floor((now - Date.parse(span.dataset.since ?? "")) / 1000));
    span.textContent = duration(waited);
    const late = waited > Number(span.dataset.limit);
    const cell = span.parentElement;
    if (late && cell && !cell.querySelector(".overdue")) {
      const words = document.createElement("strong");
      words.className = "overdue";
      words.textContent = t("cases.overdue");
      cell.append(document.createElement("br"), words);
    }
  }
}
