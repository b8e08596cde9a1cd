/** The page's texts in the reader's language, put there by the server (`render(..., texts_of=("case.",))`). */
const texts: Record<string, string> = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

/** `vi` or `en`. */
export const language = document.documentElement.lang || "vi";

/** The text of `key` with `{name}` replaced by `values.name`. A key without a text is a fault of the program. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** Plain words for a problem of the server: the text of `error.<slug>` where there is one. */
export function wordsFor(problem: { slug: string; detail: string }): string {
  return texts[`error.${problem.slug}`] ?? `${texts["error.other"] ?? ""} ${problem.detail}`.trim();
}

const numbers = new Intl.NumberFormat(language);
export const number = (value: number): string => numbers.format(value);

export const percent = (share: number): string =>
  new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(share);

/** Vietnamese time, which knows no summer time. */
export const moment = (iso: string): string =>
  new Intl.DateTimeFormat(language === "vi" ? "vi-VN" : "en-GB", {
    dateStyle: "short",
    timeStyle: "short",
    timeZone: "Asia/Ho_Chi_Minh",
  }).format(new Date(iso));
