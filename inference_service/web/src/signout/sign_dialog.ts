/** The dialog that asks for password and code, and says what the signature led to. */
import { Problem, json } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { element } from "../review/dom";
import type { ReadingState, Signed, Words } from "./types";
import { because, said } from "./words";

export interface Ask {
  caseId: string;
  what: "sign" | "amend" | "confirm";
  means: ReadingState["reauthentication"];
  /** What is signed, and what comes of it as far as that is known. */
  summary: readonly string[];
  etag: string;
  readingId?: string;
}

function field(label: string, attributes: Record<string, string>): [HTMLElement, HTMLInputElement] {
  const input = element("input", attributes);
  return [element("label", {}, label, input), input];
}

/** What comes after the signature, in words. */
export function outcomeOf(signed: Signed): string {
  const why = signed.reason ? because(signed.reason) : "";
  return t(`signout.outcome.${signed.outcome}`, { reason: why });
}

function wordsOf(problem: Problem): string {
  const words = problem.body["messages"] as Words | undefined;
  if (words) return said(words);
  const broken = problem.body["violations"] as { messages: Words }[] | undefined;
  return broken ? broken.map((item) => said(item.messages)).join(" ") : wordsFor(problem);
}

/** Ask and sign; resolves to what it led to, or null where the person went back. */
export function askToSign(ask: Ask): Promise<Signed | null> {
  const dialog = element("dialog", { class: "signout-dialog", "aria-labelledby": "signout-dialog-title" });
  const [passwordLabel, password] = field(t("signout.password"), {
    type: "password", autocomplete: "current-password", required: "", maxlength: "1024",
  });
  const [codeLabel, code] = field(t("signout.code"), {
    type: "text", autocomplete: "one-time-code", inputmode: "numeric", maxlength: "64",
  });
  const reason = element("textarea", { rows: "3", minlength: "10", maxlength: "1000", required: "" });
  const alert = element("p", { class: "error", role: "alert" });
  const sign = element("button", { type: "submit", class: "primary" }, t(`signout.do.${ask.what}`));
  const back = element("button", { type: "button" }, t("signout.back"));
  const form = element("form", { method: "dialog" });
  form.append(element("h2", { id: "signout-dialog-title" }, t(`signout.do.${ask.what}`)));
  for (const line of ask.summary) form.append(element("p", {}, line));
  if (ask.what === "amend") form.append(element("label", {}, t("signout.reason"), reason));
  form.append(passwordLabel);
  if (ask.means === "password-and-code") form.append(codeLabel);
  form.append(alert, element("p", { class: "choices" }, back, sign));
  dialog.append(form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let signed: Signed | null = null;
    back.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(signed);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (sign.disabled) return;
      sign.disabled = true;
      const body = {
        password: password.value, code: code.value,
        ...(ask.what === "amend" ? { reason: reason.value } : {}),
        ...(ask.what === "confirm" ? { reading_id: ask.readingId } : {}),
      };
      const path = `/api/v1/cases/${encodeURIComponent(ask.caseId)}/${ask.what}`;
      json<Signed>("POST", path, { body, headers: { "If-Match": ask.etag } }).then(
        (answer) => {
          signed = answer;
          showOutcome(dialog, answer);
        },
        (error: unknown) => {
          if (!(error instanceof Problem)) throw error;
          sign.disabled = false;
          alert.textContent = wordsOf(error);
          code.value = "";
          (error.slug === "reauthentication-failed" ? password : back).focus();
        },
      );
    });
    dialog.showModal();
    (ask.what === "amend" ? reason : password).focus();
  });
}

function showOutcome(dialog: HTMLDialogElement, signed: Signed): void {
  const close = element("button", { type: "button", class: "primary" }, t("signout.close"));
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(
    element("h2", { id: "signout-dialog-title" }, t("signout.signed")),
    element("p", { role: "status", "data-outcome": signed.outcome }, outcomeOf(signed)),
    element("p", { class: "choices" }, close),
  );
  close.focus();
}
