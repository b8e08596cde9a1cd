/** The sign-out panel: the form with its rules beside the fields, what the AI and the own marks say, and the signature. */
import { Problem, json } from "../common/api";
import { moment, percent, t, wordsFor } from "../common/texts";
import { announce, button, element } from "../review/dom";
import { singleKeys } from "../review/keyboard";
import { Draft } from "./draft";
import type { SaveState } from "./draft";
import { Group, SPECS } from "./groups";
import { historyOf } from "./history";
import { fromMarks } from "./marks";
import { reportsOf } from "./reports";
import type { Report } from "./reports";
import { askToSign } from "./sign_dialog";
import type { Field, Reading, ReadingState, Term } from "./types";
import { answers, because, differing, result, said } from "./words";

export interface SignOutOptions {
  caseId: string;
  /** Nothing may be changed here: the case is closed or belongs to another facility. An amendment stays possible. */
  readOnly: boolean;
  onChange(): void;
  onSigned(): void;
}

export class SignOutPanel {
  private readonly draft: Draft;
  private readonly groups: Group[];
  private readonly top = element("div", { class: "signout-top" });
  private readonly comment = element("textarea", { rows: "3", maxlength: "2000", id: "signout-comment" });
  private readonly commentMessages = element("p", { class: "signout-messages", id: "signout-comment-messages" });
  private readonly conflict = element("section", { class: "signout-conflict", role: "alert" });
  private readonly broken = element("ul", { class: "signout-broken" });
  private readonly summary = element("div", { class: "signout-summary", "aria-live": "polite" });
  private readonly saved = element("p", { class: "signout-saved", role: "status" });
  private readonly sign: HTMLButtonElement;
  private readonly take: HTMLButtonElement;
  private readonly fields = element("div", { class: "signout-form" });
  private readonly confirming = element("div", {});
  private readonly history = element("div", {});
  private amending = false;

  constructor(host: HTMLElement, private readonly options: SignOutOptions, terms: readonly Term[]) {
    this.draft = new Draft(options.caseId, {
      told: () => this.draw(),
      saving: (state, problem) => this.saving(state, problem),
      conflict: (theirs) => this.clash(theirs),
    });
    this.groups = SPECS.map((spec) => new Group(spec, terms, (group, byKey) => this.answered(group, byKey)));
    this.sign = button(t("signout.do.sign"), "Ctrl+Enter", () => void this.askToSign());
    this.sign.classList.add("primary");
    this.take = button(t("signout.from_marks"), "M", () => this.takeMarks());
    const label = element("label", { for: "signout-comment" }, t("signout.field.comment"));
    this.fields.append(...this.groups.map((group) => group.element), label, this.comment, this.commentMessages);
    const actions = element("p", { class: "choices" }, this.take, this.sign);
    this.conflict.hidden = true;
    const foot = element("div", { class: "signout-foot" }, this.summary, this.saved, actions);
    const scroller = element("div", { class: "signout-scroll" });
    scroller.append(this.top, this.confirming, this.conflict, this.fields, this.broken, this.history);
    host.replaceChildren(scroller, foot);
    this.comment.addEventListener("input", () => {
      this.draft.form.comment = this.comment.value;
      this.draft.changed();
      options.onChange();
    });
    host.addEventListener("keydown", (event) => this.pressed(event));
    host.addEventListener("focus", () => void this.entered());
  }

  async load(): Promise<void> {
    await this.draft.load(); // says which reading waits for this person
    await this.loadHistory();
  }

  /** The tab was opened: look what the marks say by now, and go to the first open question. */
  private async entered(): Promise<void> {
    try {
      await this.draft.load(false);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.saving("offline", error);
    }
    const confirm = this.confirming.querySelector("button");
    if (confirm) confirm.focus();
    else this.next(-1);
  }

  private async loadHistory(): Promise<void> {
    const path = `/api/v1/cases/${encodeURIComponent(this.options.caseId)}`;
    const { items, hidden } = await json<{ items: Reading[]; hidden: boolean }>("GET", `${path}/readings`);
    const issued = items.some((item) => item.was_result);
    const reports = issued ? (await json<{ items: Report[] }>("GET", `${path}/reports`)).items : [];
    this.history.replaceChildren(reportsOf(reports), historyOf(items, hidden));
    const waiting = items.find((item) => item.reading_id === this.draft.state?.confirms);
    this.confirming.replaceChildren(waiting ? this.confirmation(waiting) : "");
  }

  private get writable(): boolean {
    const { role } = this.draft.state;
    return role !== null && (role === "amendment" ? this.amending : !this.options.readOnly);
  }

  private draw(): void {
    const { form, state } = this.draft;
    this.fields.hidden = !this.writable;
    for (const group of this.groups) {
      group.show(form, false);
      group.complain(this.writable ? this.messagesOf(group.spec.field, group) : []);
    }
    if (document.activeElement !== this.comment) this.comment.value = form.comment;
    const wrong = state.violations.filter((item) => item.field === "comment").map((item) => said(item.messages));
    this.commentMessages.replaceChildren(...wrong);
    this.take.disabled = state.marks.category === null;
    this.drawTop(state);
    this.drawSummary(state);
  }

  /** A question shows the messages of its field once, at the first of the groups that share it and are shown. */
  private messagesOf(field: Field, group: Group): string[] {
    const first = this.groups.find((item) => item.spec.field === field && !item.element.hidden);
    return first !== group ? [] : this.draft.state.violations.filter((item) => item.field === field).map((item) => said(item.messages));
  }

  private drawTop(state: ReadingState): void {
    const lines: HTMLElement[] = [];
    const line = (words: string, kind = ""): void => void lines.push(element("p", { class: kind }, words));
    if (state.role) line(t(`signout.as.${state.role}`), "signout-role");
    if (state.refusal) line(said(state.refusal.messages), "signout-note");
    if (state.role && state.reauthentication === "none" && !state.refusal) line(t("error.sign-needs-password"), "signout-note");
    if (this.writable && state.role !== "amendment") {
      line(state.ai_hidden ? t("signout.ai_hidden") : t("signout.ai_says", { category: state.proposal?.category ?? "–" }));
      const marked = Object.values(state.marks.counts).reduce((sum, count) => sum + count, 0);
      line(t("signout.marks_say", { category: state.marks.category ?? "–", n: marked }));
      line(t("signout.seen", { share: percent(state.coverage.cells ?? state.coverage.slides) }));
    }
    for (const code of state.advice) line(t(`signout.advice.${code}`), "signout-note");
    for (const other of state.others_writing) line(t("signout.also_writing", { name: other.reader, at: moment(other.saved_at) }));
    if (state.role === "amendment" && !this.amending) {
      const begin = button(t("signout.begin_amendment"), null, () => {
        this.amending = true;
        this.draw();
        this.groups[0]?.focus();
      });
      lines.push(element("p", {}, begin));
    }
    this.top.replaceChildren(...lines);
  }

  private drawSummary(state: ReadingState): void {
    this.summary.parentElement!.hidden = !this.writable;
    if (!this.writable) {
      this.broken.replaceChildren();
      return;
    }
    const wrong = state.violations.map((item) => element("li", {}, said(item.messages)));
    const head = wrong.length ? t("signout.to_mend", { n: wrong.length }) : t("signout.ready", { result: result(this.draft.form) });
    this.summary.replaceChildren(element("p", { class: wrong.length ? "wrong" : "right" }, head));
    this.broken.replaceChildren(...wrong);
    if (state.second_reader_because && !wrong.length) {
      this.summary.append(element("p", {}, t("signout.goes_to_second", { reason: because(state.second_reader_because) })));
    }
  }

  private saving(state: SaveState, problem: Problem | null): void {
    const why = problem && state === "refused" ? this.wordsOf(problem) : "";
    const at = this.draft.state?.saved_at ? moment(this.draft.state.saved_at) : "";
    this.saved.textContent = t(`signout.saving.${state}`, { at, reason: why });
    this.saved.classList.toggle("unsaved", state !== "saved" && state !== "saving");
  }

  private wordsOf(problem: Problem): string {
    const words = problem.body["messages"] as Record<string, string> | undefined;
    return words ? said(words) : wordsFor(problem);
  }

  /** Two versions of the draft: both are shown, the person decides. */
  private clash(theirs: ReadingState): void {
    const list = element("dl", {});
    for (const field of differing(this.draft.form, theirs.form)) {
      list.append(
        element("dt", {}, t(`signout.field.${field}`)),
        element("dd", {}, `${t("signout.here")}: ${answers(this.draft.form, field).join("; ") || "–"}`),
        element("dd", {}, `${t("signout.elsewhere")}: ${answers(theirs.form, field).join("; ") || "–"}`),
      );
    }
    const settle = (how: () => Promise<void>): void => {
      this.conflict.hidden = true;
      void how();
    };
    this.conflict.replaceChildren(
      element("p", {}, t("signout.conflict")), list,
      element("p", { class: "choices" },
        button(t("signout.keep_mine"), null, () => settle(() => this.draft.keepMine())),
        button(t("signout.take_theirs"), null, () => settle(() => this.draft.takeTheirs()))),
    );
    this.conflict.hidden = false;
    this.conflict.querySelector("button")?.focus();
  }

  private answered(group: Group, byKey: boolean): void {
    group.read(this.draft.form);
    this.draft.changed();
    this.options.onChange();
    for (const each of this.groups) each.show(this.draft.form, false);
    if (byKey && !group.spec.many) this.next(this.groups.indexOf(group));
  }

  /** Go to the next question that is asked and not folded away; from -1 to the first one without an answer. */
  private next(from: number): void {
    if (!this.writable) return;
    const asked = this.groups.filter((group, place) => place > from && group.shown);
    const open = from < 0 ? asked.find((group) => group.chosen(this.draft.form).length === 0) : asked[0];
    const target = open ?? (from < 0 ? this.groups[0] : undefined);
    if (target) target.focus();
    else this.sign.focus();
  }

  private takeMarks(): void {
    const { state, form } = this.draft;
    if (!fromMarks(form, state.marks.category)) {
      announce(t("signout.no_marks"));
      return;
    }
    announce(t("signout.taken_from_marks", { category: state.marks.category ?? "" }));
    this.draft.changed();
    this.options.onChange();
    this.draw();
    this.next(-1);
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void this.askToSign();
      return;
    }
    const target = event.target as Element;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("textarea") || !this.writable) return;
    if (event.key === "Enter" && target.closest(".signout-group")) {
      event.preventDefault();
      this.next(this.groups.findIndex((group) => group.box.contains(target)));
    } else if (event.key.toLowerCase() === "m" && singleKeys.on) {
      event.preventDefault();
      this.takeMarks();
    } else if (/^[0-9]$/.test(event.key)) event.preventDefault();
  }

  private async askToSign(): Promise<void> {
    if (!this.writable || !(await this.draft.save())) return;
    const { state } = this.draft;
    if (state.violations.length) {
      const broken = state.violations[0]!;
      announce(said(broken.messages));
      const place = this.groups.find((group) => group.spec.field === broken.field && !group.element.hidden);
      if (place) place.focus();
      else this.comment.focus();
      return;
    }
    if (state.refusal) {
      announce(said(state.refusal.messages));
      return;
    }
    const summary = [result(this.draft.form)];
    if (state.second_reader_because) summary.push(t("signout.goes_to_second", { reason: because(state.second_reader_because) }));
    const signed = await askToSign({
      caseId: this.options.caseId, what: state.role === "amendment" ? "amend" : "sign",
      means: state.reauthentication, summary, etag: this.draft.etag,
    });
    if (signed) this.done();
  }

  private confirmation(waiting: Reading): HTMLElement {
    const agree = button(t("signout.do.confirm"), null, () => void this.confirm(waiting));
    agree.classList.add("primary");
    return element("section", { class: "signout-confirm" },
      element("p", {}, t("signout.waits_for_you", { name: waiting.reader, result: result(waiting.form) })), agree);
  }

  private async confirm(waiting: Reading): Promise<void> {
    const signed = await askToSign({
      caseId: this.options.caseId, what: "confirm", means: this.draft.state.reauthentication,
      summary: [result(waiting.form)], etag: "", readingId: waiting.reading_id,
    });
    if (signed) this.done();
  }

  private done(): void {
    this.draft.end();
    this.options.onSigned();
  }
}
