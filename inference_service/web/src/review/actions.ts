/** What a reader says of findings: of the selected ones, else of the chosen one. */
import type { Problem } from "../common/api";
import { number, t, wordsFor } from "../common/texts";
import { announce, confirmed } from "./dom";
import type { MarkStore } from "./store";
import type { Action, Boot, MarkKind } from "./types";
import { categoryName } from "./words";
import type { Workbench } from "./workbench";

/** More than so many at once are asked back. */
export const ASKED_BACK = 50;
/** The server takes so many in one action. */
const MOST_TOGETHER = 5000;

/** Say the same of the selected findings, or of the chosen one. */
export async function say(bench: Workbench, store: MarkStore, kind: MarkKind, category: string | null = null): Promise<void> {
  const { boot, slide } = bench;
  if (boot.read_only) return announce(t(`case.read_only.${boot.read_only}`));
  const many = bench.selection.size > 0;
  const ranks = many ? bench.selection.ranks : bench.rank === null ? [] : [bench.rank];
  if (ranks.length === 0) return announce(t("case.none_chosen"));
  if (!bench.final) return complain(t("case.not_final"));
  if (ranks.length > MOST_TOGETHER) return complain(t("case.too_many", { n: number(MOST_TOGETHER) }));
  const words = t(`case.said.${kind}`, { category: category ? categoryName(category) : "" });
  if (ranks.length > ASKED_BACK) {
    const question = t("case.confirm_many", { n: number(ranks.length), words });
    if (!(await confirmed(question, t("case.yes"), t("case.no")))) return;
  }
  store.add({
    slide_id: slide.slide_id, analysis_id: slide.analysis_id, kind, ranks, category, comment: null, x_px: null, y_px: null,
  });
  if (many) bench.clearSelection();
  announce(many ? t("case.said_of_many", { n: number(ranks.length), words }) : t("case.said_of_one", { n: bench.place + 1, words }));
}

/** The category that a key or a button of this place means: the AI's six, then the others that people may choose. */
export function categoryAt(boot: Boot, place: number): string | null {
  const others = boot.cell_categories.filter((category) => !boot.categories.includes(category));
  return [...boot.categories, ...others][place] ?? null;
}

/** Regrade; what the AI says already is agreed with instead. */
export async function regrade(bench: Workbench, store: MarkStore, place: number): Promise<void> {
  const category = categoryAt(bench.boot, place);
  if (category === null) return;
  const agrees = bench.selection.size === 0 && bench.proposed === category;
  await say(bench, store, agrees ? "agree" : "regrade", agrees ? null : category);
}

export function undo(store: MarkStore): void {
  const action = store.undo();
  announce(action ? t("case.undone", { words: told(action) }) : t("case.nothing_to_undo"));
}

export function redo(store: MarkStore): void {
  const action = store.redo();
  announce(action ? t("case.redone", { words: told(action) }) : t("case.nothing_to_redo"));
}

/** The server did not take an action: say which, and why. */
export function refused(problem: Problem, action: Action): void {
  complain(`${t("case.refused", { words: told(action) })} ${wordsFor(problem)}`);
}

function told(action: Action): string {
  const words = t(`case.said.${action.kind}`, { category: action.category ? categoryName(action.category) : "" });
  return action.ranks.length > 1 ? `${words} (${number(action.ranks.length)})` : words;
}

/** Show a fault where everyone sees it. */
export function complain(words: string): void {
  const line = document.getElementById("error")!;
  line.textContent = words;
  line.hidden = false;
  setTimeout(() => {
    if (line.textContent === words) line.hidden = true;
  }, 15_000);
}
