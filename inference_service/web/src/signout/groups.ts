/** The questions of the form as groups of choices that number keys work on. */
import { t } from "../common/texts";
import { element } from "../review/dom";
import { singleKeys } from "../review/keyboard";
import type { Field, Form, Term } from "./types";

type ChoiceField = Exclude<Field, "comment">;

interface Spec {
  id: string;
  field: ChoiceField;
  /** Groups of terms that are offered, given the answers so far. */
  groups: readonly string[];
  many: boolean;
  relevant(form: Form): boolean;
  /** Folded away until it is opened or something in it is chosen. */
  optional?: boolean;
}

const satisfactory = (form: Form): boolean => form.adequacy === "satisfactory";
const withFindings = (form: Form): boolean => form.general === "abnormal" || form.general === "other";

export const SPECS: readonly Spec[] = [
  { id: "adequacy", field: "adequacy", groups: ["adequacy"], many: false, relevant: () => true },
  { id: "unsatisfactory", field: "reasons", groups: ["unsatisfactory"], many: true, relevant: (f) => f.adequacy === "unsatisfactory" },
  { id: "rejected", field: "reasons", groups: ["rejected"], many: true, relevant: (f) => f.adequacy === "rejected" },
  { id: "zone", field: "zone", groups: ["zone"], many: false, relevant: satisfactory },
  { id: "general", field: "general", groups: ["general"], many: false, relevant: satisfactory },
  { id: "squamous", field: "findings", groups: ["squamous"], many: true, relevant: (f) => f.general === "abnormal" },
  { id: "glandular", field: "findings", groups: ["glandular"], many: true, relevant: (f) => f.general === "abnormal" },
  { id: "other", field: "findings", groups: ["other"], many: true, relevant: withFindings },
  { id: "quality", field: "quality", groups: ["quality"], many: true, relevant: satisfactory, optional: true },
  { id: "organism", field: "organisms", groups: ["organism"], many: true, relevant: (f) => f.adequacy !== "rejected", optional: true },
  { id: "reactive", field: "reactive", groups: ["reactive"], many: true, relevant: (f) => f.adequacy !== "rejected", optional: true },
  { id: "recommendation", field: "recommendations", groups: ["recommendation"], many: true, relevant: () => true, optional: true },
];

/** What a key chooses: 1 to 9, then 0. */
const placeOf = (key: string): number => (key === "0" ? 9 : /^[1-9]$/.test(key) ? Number(key) - 1 : -1);

/** One question: a fieldset with a radio button or check box per term. */
export class Group {
  readonly box: HTMLFieldSetElement;
  readonly terms: readonly Term[];
  private readonly inputs = new Map<string, HTMLInputElement>();
  private readonly messages = element("p", { class: "signout-messages" });
  private readonly shell: HTMLElement;

  constructor(readonly spec: Spec, terms: readonly Term[], private readonly changed: (group: Group, byKey: boolean) => void) {
    this.terms = terms.filter((term) => spec.groups.includes(term.group));
    const legend = element("legend", {}, t(`signout.group.${spec.id}`));
    this.box = element("fieldset", { class: "signout-group", id: `signout-${spec.id}` }, legend);
    this.messages.id = `signout-${spec.id}-messages`;
    this.terms.forEach((term, place) => this.box.append(this.choice(term, place)));
    this.box.append(this.messages);
    this.shell = spec.optional
      ? element("details", {}, element("summary", {}, t(`signout.group.${spec.id}`)), this.box) : this.box;
    this.box.addEventListener("keydown", (event) => this.pressed(event));
  }

  get element(): HTMLElement {
    return this.shell;
  }

  get shown(): boolean {
    return !this.shell.hidden && !(this.shell instanceof HTMLDetailsElement && !this.shell.open);
  }

  /** Show what the form says. A question that does not arise is hidden, unless something was answered to it. */
  show(form: Form, locked: boolean): void {
    const chosen = this.chosen(form);
    for (const [code, input] of this.inputs) {
      input.checked = chosen.includes(code);
      input.disabled = locked;
    }
    this.shell.hidden = !this.spec.relevant(form) && chosen.length === 0;
    if (this.shell instanceof HTMLDetailsElement && chosen.length) this.shell.open = true;
  }

  /** The messages of broken rules that are mended here. */
  complain(words: readonly string[]): void {
    this.messages.replaceChildren(...words.map((text) => element("span", {}, text)));
    this.box.classList.toggle("wrong", words.length > 0);
    for (const input of this.inputs.values()) {
      if (words.length) input.setAttribute("aria-describedby", this.messages.id);
      else input.removeAttribute("aria-describedby");
    }
  }

  focus(): void {
    if (this.shell instanceof HTMLDetailsElement) this.shell.open = true;
    const inputs = [...this.inputs.values()];
    (inputs.find((input) => input.checked) ?? inputs[0])?.focus();
  }

  /** Terms of this question that the form has. */
  chosen(form: Form): string[] {
    const value = form[this.spec.field];
    const codes = Array.isArray(value) ? value : value ? [value] : [];
    return codes.filter((code) => this.inputs.has(code));
  }

  /** Write what is checked into the form; a single answer is taken back by choosing it again. */
  read(form: Form): void {
    const checked = [...this.inputs].filter(([, input]) => input.checked).map(([code]) => code);
    if (!this.spec.many) {
      (form[this.spec.field] as string | null) = checked[0] ?? null;
      return;
    }
    const others = (form[this.spec.field] as string[]).filter((code) => !this.inputs.has(code));
    (form[this.spec.field] as string[]) = [...others, ...checked];
  }

  /** Choose by number key; returns whether there is such a term. */
  choose(key: string): boolean {
    const term = this.terms[placeOf(key)];
    const input = term && this.inputs.get(term.code);
    if (!input || input.disabled) return false;
    input.checked = this.spec.many ? !input.checked : true;
    input.focus();
    this.changed(this, true);
    return true;
  }

  private choice(term: Term, place: number): HTMLElement {
    const input = element("input", { type: this.spec.many ? "checkbox" : "radio", name: `signout-${this.spec.id}`, value: term.code });
    input.addEventListener("change", () => this.changed(this, false));
    this.inputs.set(term.code, input);
    const key = place < 10 ? element("kbd", { "aria-hidden": "true" }, String((place + 1) % 10)) : "";
    const label = element("label", { class: "signout-choice" }, input, key, element("span", {}, t(`signout.term.${term.code}`)));
    if (term.category) label.append(" ", element("span", { class: `swatch c-${term.category}`, "aria-hidden": "true" }));
    return label;
  }

  private pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || !singleKeys.on) return;
    if (placeOf(event.key) >= 0) {
      event.preventDefault();
      this.choose(event.key);
    }
  }
}
