/** The chosen finding: what the AI says of it in words and bars, what readers have said, and the buttons to say it. */
import { json, Problem } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { button, element } from "./dom";
import { likelihood } from "./likelihood";
import { shown } from "./key_overlay";
import type { KeyId } from "./keys";
import type { Standing, StoredMark } from "./types";
import { categoryName, standingWords, twoDigits } from "./words";

/** Fast stepping through findings asks the server only where one stays. */
const STAY_MS = 150;

export interface ChosenFinding {
  slideId: string;
  rank: number;
  /** Place among those shown, from 1. */
  number: number;
  of: number;
  category: string;
  suspicion: number;
  score: number;
  standing: Standing | null;
  others: readonly StoredMark[];
  /** False while the screening runs: ranks are not final, nothing is said of findings yet. */
  final: boolean;
}

export class ChosenPanel {
  private readonly heading = element("h2", {});
  private readonly words = element("p", {});
  private readonly said = element("p", {});
  private readonly bars = element("div", { class: "bars" });
  private readonly actions = element("div", { class: "actions" });
  private readonly known = new Map<string, Record<string, number>>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private wanted = "";

  constructor(
    host: HTMLElement, private readonly caseId: string, private readonly categories: readonly string[],
    others: readonly string[], readOnly: boolean, act: (id: KeyId, place: number) => void,
  ) {
    const box = element("section", { class: "chosen", "aria-label": t("case.chosen") });
    box.append(this.heading, this.words, this.bars, this.said);
    if (!readOnly) {
      this.fillActions(others, act);
      box.append(this.actions);
    }
    host.append(box);
    this.show(null);
  }

  private fillActions(others: readonly string[], act: (id: KeyId, place: number) => void): void {
    this.actions.append(button(t("case.agree"), shown("a"), () => act("agree", 0)));
    const grades = element("span", { class: "grades", role: "group", "aria-label": t("case.regrade_group") });
    this.categories.forEach((category, place) =>
      grades.append(button(categoryName(category), String(place + 1), () => act("regrade", place))));
    this.actions.append(grades);
    const more = element("select", { "aria-label": t("case.regrade_other") });
    more.append(element("option", { value: "" }, t("case.regrade_other")));
    others.forEach((category, place) =>
      more.append(element("option", { value: String(this.categories.length + place) }, categoryName(category))));
    more.addEventListener("change", () => {
      if (more.value) act("regrade", Number(more.value));
      more.value = "";
    });
    this.actions.append(more);
    this.actions.append(button(t("case.dismiss"), shown("d"), () => act("dismiss", 0)));
    this.actions.append(button(t("case.undo"), shown("u"), () => act("undo", 0)));
    this.actions.append(button(t("case.add_missed"), shown("m"), () => act("add", 0)));
  }

  show(finding: ChosenFinding | null): void {
    if (this.timer) clearTimeout(this.timer);
    this.wanted = finding ? `${finding.slideId} ${finding.rank}` : "";
    if (!finding) {
      this.heading.textContent = t("case.none_chosen");
      this.words.textContent = this.said.textContent = "";
      this.bars.replaceChildren();
      return;
    }
    this.heading.textContent = t("case.finding_heading", { n: finding.number, of: finding.of, category: finding.category });
    this.words.textContent = t("case.finding_words", {
      likelihood: t(`case.likelihood.${likelihood(finding.suspicion)}`), suspicion: twoDigits(finding.suspicion),
      score: twoDigits(finding.score),
    });
    const others = finding.others.map((mark) =>
      `${mark.author_name || t("case.another_reader")}: ${standingWords(mark)}`);
    this.said.textContent = [t("case.you_said", { words: standingWords(finding.standing) }), ...others].join(" · ");
    this.probabilities(finding);
  }

  private probabilities(finding: ChosenFinding): void {
    const key = this.wanted;
    const known = this.known.get(key);
    if (known) return this.draw(known);
    this.bars.replaceChildren();
    if (!finding.final) return;
    const path = `/api/v1/cases/${this.caseId}/slides/${finding.slideId}/findings/${finding.rank}`;
    this.timer = setTimeout(() => void this.load(key, path), STAY_MS);
  }

  private async load(key: string, path: string): Promise<void> {
    try {
      const answer = await json<{ probabilities: Record<string, number> }>("GET", path);
      this.known.set(key, answer.probabilities);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.wanted === key) this.bars.replaceChildren(element("p", {}, wordsFor(error)));
      return;
    }
    if (this.wanted === key) this.draw(this.known.get(key)!);
  }

  private draw(probabilities: Record<string, number>): void {
    const half = Math.ceil(this.categories.length / 2);
    // Two columns side by side, the milder half on the left.
    const order = this.categories.map((_, place) => this.categories[(place >> 1) + (place % 2) * half]!);
    const rows = order.flatMap((category) => {
      const value = probabilities[category] ?? 0;
      const words = `${twoDigits(value)} ${t(`case.likelihood.${likelihood(value)}`)}`;
      const meter = element("meter", { min: "0", max: "1", "aria-label": category });
      meter.value = value;
      return [element("span", {}, element("span", { class: `swatch c-${category}` }), category), meter, element("span", {}, words)];
    });
    this.bars.replaceChildren(...rows);
  }
}
