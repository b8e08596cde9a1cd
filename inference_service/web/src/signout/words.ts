/** Forms and outcomes in words. */
import { language, t } from "../common/texts";
import { FIELDS } from "./types";
import type { Field, Form, Reading, SecondReason, Words } from "./types";

/** A text that the server sent in both languages, in the reader's. */
export const said = (words: Words): string => words[language] ?? words["en"] ?? "";

export const because = (reason: SecondReason): string => t(`signout.because.${reason}`);

/** What was answered to one question, as terms; the comment as it is. */
export function answers(form: Form, field: Field): string[] {
  const value = form[field];
  if (field === "comment") return form.comment ? [form.comment] : [];
  const codes = Array.isArray(value) ? value : value ? [value] : [];
  return codes.map((code) => t(`signout.term.${code}`));
}

/** The result in one line: the findings, else the general category, else the adequacy. */
export function result(form: Form): string {
  for (const field of ["findings", "general", "adequacy"] as const) {
    const told = answers(form, field);
    if (told.length) return told.join("; ");
  }
  return t("signout.nothing_yet");
}

/** The fields in which two forms differ. */
export const differing = (one: Form, other: Form): Field[] =>
  FIELDS.filter((field) => JSON.stringify([...answers(one, field)].sort()) !== JSON.stringify([...answers(other, field)].sort()));

export const roleOf = (reading: Reading): string => t(`signout.role.${reading.role}`);
