/** Reading blind first: the reader's impression is asked before anything of the AI is on the page. */
import { json, Problem } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { complain } from "./actions";
import { element } from "./dom";
import type { Boot } from "./types";
import { categoryName } from "./words";

/** The form in `host`; once the impression is stored the page is loaded again, with what the AI proposes. */
export function mountBlind(host: HTMLElement, boot: Boot): void {
  const form = element("form", { class: "blind" });
  const choices = element("fieldset", {}, element("legend", {}, t("case.blind_question")));
  for (const category of [...boot.cell_categories, "unsatisfactory"]) {
    const radio = element("input", { type: "radio", name: "impression", value: category, required: "" });
    choices.append(element("label", { class: "check" }, radio, categoryName(category)));
  }
  const send = element("button", { type: "submit" }, t("case.blind_send"));
  form.append(element("p", {}, t("case.blind_why")), choices, element("p", {}, send));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void store(form, send, boot);
  });
  host.append(form);
}

async function store(form: HTMLFormElement, send: HTMLButtonElement, boot: Boot): Promise<void> {
  const category = new FormData(form).get("impression");
  send.disabled = true;
  try {
    await json("POST", `/api/v1/cases/${boot.case_id}/blind-read`, { body: { category } });
  } catch (error) {
    send.disabled = false;
    if (!(error instanceof Problem)) throw error;
    return complain(wordsFor(error));
  }
  location.reload();
}
