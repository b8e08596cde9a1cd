/** Words for categories and for what stands of a finding. */
import { t } from "../common/texts";
import type { Standing } from "./types";

const IN_WORDS = ["adenocarcinoma", "other", "unsatisfactory"];

/** The Bethesda code, which is the same in every language, or the word where there is no code. */
export const categoryName = (category: string): string =>
  IN_WORDS.includes(category) ? t(`case.category.${category}`) : category;

export const twoDigits = (value: number): string => value.toFixed(2);

/** "agreed", "regraded to LSIL", "dismissed", "not reviewed". */
export function standingWords(standing: Standing | null): string {
  if (!standing) return t("case.said.nothing");
  return t(`case.said.${standing.kind}`, { category: standing.category ? categoryName(standing.category) : "" });
}

const SIGNS = { agree: "✓", regrade: "→", dismiss: "✕", add: "+" } as const;

/** The same as a sign for where there is little room; empty: not reviewed. */
export function standingSign(standing: Standing | null): string {
  if (!standing) return "";
  return ` ${SIGNS[standing.kind]}${standing.kind === "regrade" ? ` ${categoryName(standing.category ?? "")}` : ""}`;
}
