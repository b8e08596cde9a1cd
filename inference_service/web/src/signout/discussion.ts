/** What the readers of a case write to each other. */
import { Problem, json } from "../common/api";
import { moment, t, wordsFor } from "../common/texts";
import { element } from "../review/dom";
import type { Message } from "./types";

const LOOK_AGAIN_MS = 20_000;

export function mountDiscussion(host: HTMLElement, { caseId }: { caseId: string }): void {
  const path = `/api/v1/cases/${encodeURIComponent(caseId)}/messages`;
  const list = element("ol", { class: "signout-talk", "aria-live": "polite" });
  const text = element("textarea", { rows: "3", maxlength: "2000", required: "", "aria-label": t("signout.message") });
  const button = element("button", { type: "submit" }, t("signout.send"));
  const alert = element("p", { class: "error", role: "alert" });
  const note = element("p", { class: "signout-note" });
  const form = element("form", {}, text, element("p", {}, button), alert);
  host.replaceChildren(element("h2", {}, t("signout.discussion")), note, list, form);
  let shown = "";

  const draw = (messages: readonly Message[], hidden: boolean): void => {
    note.textContent = hidden ? t("signout.discussion_hidden") : messages.length ? "" : t("signout.no_messages");
    const now = JSON.stringify(messages);
    if (now === shown) return;
    shown = now;
    list.replaceChildren(...messages.map((message) => element("li", { class: message.mine ? "mine" : "" },
      element("strong", {}, message.mine ? t("signout.you") : message.author), ` ${moment(message.at)}`,
      element("p", {}, message.text ?? t("signout.erased")))));
  };
  const load = async (): Promise<void> => {
    try {
      const { items, hidden } = await json<{ items: Message[]; hidden: boolean }>("GET", path);
      alert.textContent = "";
      draw(items, hidden);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 404 || error.status === 403) host.replaceChildren();
      else alert.textContent = wordsFor(error);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    json("POST", path, { body: { text: text.value } }).then(
      () => {
        text.value = "";
        return load();
      },
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        alert.textContent = wordsFor(error);
      },
    ).finally(() => {
      button.disabled = false;
    });
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  // Only while somebody looks at it: reading a discussion is recorded in the audit log.
  window.setInterval(() => {
    if (host.isConnected && host.offsetParent !== null && !document.hidden && shown !== "") void load();
  }, LOOK_AGAIN_MS);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && shown === "") void load();
  }).observe(host);
}
