/** Above the gallery: order, filters, selection, and how many of those to be looked at were looked at. */
import { t } from "../common/texts";
import type { Filter, Sorting } from "./arrange";
import { button, element } from "./dom";
import { categoryName } from "./words";

const STATES = ["unreviewed", "agreed", "regraded", "dismissed", "added"] as const;

export class FindingsBar {
  sorting: Sorting = "suspicion";
  filter: Filter = { category: null, state: null };
  private readonly progress = element("span", { class: "progress" });
  private readonly selected = element("span", {});
  private readonly clear: HTMLButtonElement;
  private readonly fresh: HTMLButtonElement;

  constructor(
    host: HTMLElement, categories: readonly string[],
    events: { changed(): void; selectAll(): void; clear(): void; showFresh(): void },
  ) {
    const bar = element("div", { class: "findings-bar" });
    const sorting = this.select("sorting", [["suspicion", t("case.sort.suspicion")], ["category", t("case.sort.category")]], (value) => {
      this.sorting = value as Sorting;
      events.changed();
    });
    const category = this.select(
      "filter_category", [["", t("case.all_categories")], ...categories.map((name, index) => [String(index), categoryName(name)] as const)],
      (value) => {
        this.filter = { ...this.filter, category: value === "" ? null : Number(value) };
        events.changed();
      },
    );
    const state = this.select(
      "filter_state", [["", t("case.all_states")], ...STATES.map((name) => [name, t(`case.filter.${name}`)] as const)],
      (value) => {
        this.filter = { ...this.filter, state: (value || null) as Filter["state"] };
        events.changed();
      },
    );
    this.clear = button(t("case.clear_selection"), "Esc", () => events.clear());
    this.fresh = button("", null, () => events.showFresh());
    this.fresh.hidden = true;
    const all = button(t("case.select_all"), null, () => events.selectAll());
    bar.append(sorting, category, state, all, this.selected, this.clear, this.fresh, this.progress);
    host.append(bar);
    this.showSelected(0);
  }

  private select(
    name: string, choices: readonly (readonly [string, string])[], changed: (value: string) => void,
  ): HTMLSelectElement {
    const made = element("select", { "aria-label": t(`case.${name}`) });
    for (const [value, words] of choices) made.append(element("option", { value }, words));
    made.addEventListener("change", () => changed(made.value));
    return made;
  }

  showSelected(count: number): void {
    this.selected.textContent = count ? t("case.selected", { n: count }) : "";
    this.clear.hidden = count === 0;
  }

  showProgress(looked: number, of: number): void {
    this.progress.textContent = t("case.looked_at", { n: looked, of });
  }

  /** Findings that arrived while the screening runs and are not shown yet. */
  showFresh(count: number): void {
    this.fresh.hidden = count === 0;
    this.fresh.textContent = t("case.fresh", { n: count });
  }
}
