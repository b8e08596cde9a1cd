/**
 * Second opinions from a colleague in another facility: in the asking facility the list of questions and a dialog to
 * ask, for whoever is asked the question with a form for the answer.
 */
import { json, Problem } from "../common/api";
import { moment, t, wordsFor } from "../common/texts";
import { answerForm } from "./answer";
import { askDialog } from "./ask";
import { element } from "./parts";
import type { Consultation } from "./parts";

const PATH = "/api/v1/consultations";

export interface ConsultationsOptions {
  caseId: string;
  /** Nothing can be asked: the case is closed, or it is shown to a colleague who was asked. */
  readOnly: boolean;
}

/** Fill `host`; whatever goes wrong is said there. */
export function mountConsultations(host: HTMLElement, options: ConsultationsOptions): void {
  const panel = element("section", { class: "consultations", "aria-labelledby": "consultations-title" });
  host.replaceChildren(panel);
  void show(panel, options);
}

async function show(panel: HTMLElement, options: ConsultationsOptions): Promise<void> {
  const error = element("p", { class: "error", role: "alert", tabindex: "-1" });
  error.hidden = true;
  const fail = (problem: unknown): void => {
    if (!(problem instanceof Problem)) throw problem;
    error.textContent = wordsFor(problem);
    error.hidden = false;
    error.focus();
  };
  try {
    const asked = (await json<{ items: Consultation[] }>("GET", PATH)).items.find((one) => one.case_id === options.caseId);
    if (asked) panel.replaceChildren(error, ...asConsultant(asked, panel, fail));
    else panel.replaceChildren(error, ...(await asAsker(panel, options, fail)));
  } catch (problem) {
    panel.replaceChildren(error);
    fail(problem);
  }
}

function asConsultant(asked: Consultation, panel: HTMLElement, fail: (problem: unknown) => void): HTMLElement[] {
  return [
    element("h3", { id: "consultations-title" }, t("consultations.asked_of_you")),
    question(asked),
    answerForm(async (step, body) => {
      try {
        await json("POST", `${PATH}/${asked.consultation_id}/${step}`, { body });
        const back = element("a", { href: "/worklist?view=consultations" }, t("consultations.back"));
        const done = element("p", { class: "notice", role: "status", tabindex: "-1" }, t("consultations.done"), " ", back);
        panel.replaceChildren(done);
        done.focus();
      } catch (problem) {
        fail(problem);
      }
    }),
  ];
}

async function asAsker(
  panel: HTMLElement, options: ConsultationsOptions, fail: (problem: unknown) => void,
): Promise<HTMLElement[]> {
  const path = `${PATH}?case_id=${encodeURIComponent(options.caseId)}`;
  const { items } = await json<{ items: Consultation[] }>("GET", path);
  const again = (): Promise<void> => show(panel, options);
  const parts: HTMLElement[] = [element("h3", { id: "consultations-title" }, t("consultations.title"))];
  if (!items.length) parts.push(element("p", {}, t("consultations.none")));
  for (const one of items) parts.push(entry(one, again, fail));
  if (!options.readOnly) {
    const ask = element("button", { type: "button" }, t("consultations.ask"));
    ask.addEventListener("click", () => askDialog(options.caseId, again));
    parts.push(element("p", {}, ask));
  }
  return parts;
}

function entry(one: Consultation, again: () => Promise<void>, fail: (problem: unknown) => void): HTMLElement {
  const card = element("article", { class: "consultation" }, question(one));
  const state = element("p", {}, t(`consultations.state.${one.state}`));
  if (one.state === "open") state.append(" · ", t("consultations.until", { moment: moment(one.expires_at) }));
  card.append(state);
  if (one.opinion || one.category) {
    const answered = one.answered_at ? moment(one.answered_at) : "";
    card.append(element("p", {}, element("small", {}, t("consultations.answered", { who: one.consultant_name, moment: answered }))));
    const words = element("p", { class: "said" });
    if (one.category) words.append(element("strong", {}, one.category), " ");
    words.append(one.opinion ?? "");
    card.append(words);
  }
  if (one.state === "open") card.append(withdrawal(one, again, fail));
  return card;
}

function withdrawal(one: Consultation, again: () => Promise<void>, fail: (problem: unknown) => void): HTMLElement {
  const button = element("button", { type: "button" }, t("consultations.withdraw"));
  let sure = false;
  button.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      button.before(element("p", { role: "status" }, t("consultations.withdraw_question")));
      return;
    }
    try {
      await json("POST", `${PATH}/${one.consultation_id}/withdraw`);
      await again();
    } catch (problem) {
      fail(problem);
    }
  });
  return button;
}

function question(one: Consultation): HTMLElement {
  const who = one.asked_of_me ? `${one.asked_by ?? ""} (${one.asking_facility})` : one.asked_by ?? one.asking_facility;
  const to = one.asked_of_me ? "" : ` → ${one.consultant_name} (${one.consultant_facility})`;
  return element(
    "div", {},
    element("p", {}, element("small", {}, t("consultations.asked", { who: who + to, moment: moment(one.created_at) }))),
    element("p", { class: "said" }, one.question),
  );
}
