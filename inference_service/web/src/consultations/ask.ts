/** The dialog that asks a named colleague. A click or a line that is lost repeats nothing: the key stays the same. */
import { json, Problem } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { element, field } from "./parts";

const DAYS = "7";

export function askDialog(caseId: string, asked: () => Promise<void>): void {
  const name = element("input", { required: "", maxlength: "64", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const words = element("textarea", { required: "", maxlength: "4000", rows: "4" });
  const days = element("input", { type: "number", min: "1", max: "30", required: "", value: DAYS });
  const error = element("p", { class: "error", role: "alert" });
  error.hidden = true;
  const cancel = element("button", { type: "button" }, t("consultations.cancel"));
  const send = element("button", { type: "submit" }, t("consultations.send"));
  const form = element(
    "form", {},
    element("h2", { id: "consultations-ask" }, t("consultations.title")),
    element("p", {}, t("consultations.what")),
    error,
    field(name, "consultation-name", t("consultations.username"), t("consultations.username_help")),
    field(words, "consultation-question", t("consultations.question"), t("consultations.question_help")),
    field(days, "consultation-days", t("consultations.days")),
    element("p", { class: "choices" }, cancel, send),
  );
  const dialog = element("dialog", { "aria-labelledby": "consultations-ask" }, form);
  const key = crypto.randomUUID();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      const body = { case_id: caseId, consultant: name.value, question: words.value, days: Number(days.value) };
      await json("POST", "/api/v1/consultations", { body, headers: { "Idempotency-Key": key + digest(body) } });
      dialog.close();
      await asked();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      error.textContent = wordsFor(problem);
      error.hidden = false;
    } finally {
      send.disabled = false;
    }
  });
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** Another question, another key: the server refuses a key that comes with another body. */
function digest(body: unknown): string {
  let sum = 0;
  for (const letter of JSON.stringify(body)) sum = (Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0)) | 0;
  return `-${(sum >>> 0).toString(16)}`;
}
