/** The form by which a colleague who was asked answers or declines. */
import { t } from "../common/texts";
import { element, field } from "./parts";

const CATEGORIES = [
  "NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC", "AGC", "AIS", "adenocarcinoma", "other", "unsatisfactory",
];
const NAMED = ["NILM", "adenocarcinoma", "other", "unsatisfactory"];

export function answerForm(
  send: (step: "answer" | "decline", body: Record<string, string | null>) => Promise<void>,
): HTMLElement {
  const opinion = element("textarea", { maxlength: "4000", rows: "5" });
  const category = element("select", {}, element("option", { value: "" }, t("consultations.no_category")));
  for (const name of CATEGORIES) {
    category.append(element("option", { value: name }, NAMED.includes(name) ? t(`consultations.category.${name}`) : name));
  }
  const decline = element("button", { type: "button" }, t("consultations.decline"));
  const answer = element("button", { type: "submit" }, t("consultations.answer"));
  const form = element(
    "form", {},
    field(opinion, "consultation-opinion", t("consultations.opinion")),
    field(category, "consultation-category", t("consultations.category")),
    element("p", { class: "choices" }, decline, answer),
    element("small", {}, t("consultations.decline_reason")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    opinion.required = true;
    if (form.reportValidity()) void send("answer", { opinion: opinion.value, category: category.value || null });
  });
  decline.addEventListener("click", () => void send("decline", { reason: opinion.value.trim() || null }));
  return form;
}
