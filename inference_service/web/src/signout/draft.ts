/**
 * The draft: saved a second after the last change, over what was read and nothing else.
 *
 * Unsaved words stay in this page's memory alone: nothing about a patient is left on a computer that others use.
 */
import { Problem, send } from "../common/api";
import type { Form, ReadingState } from "./types";

const PAUSE_MS = 1000;
const RETRY_MS = 5000;

export type SaveState = "saved" | "saving" | "unsaved" | "offline" | "conflict" | "refused";

export interface Listener {
  /** The server's newest words about the form; the form of `state` is the saved one. */
  told(state: ReadingState): void;
  saving(state: SaveState, problem: Problem | null): void;
  /** Somebody else (another tab of the same person) saved something different meanwhile. */
  conflict(theirs: ReadingState): void;
}

export class Draft {
  form!: Form;
  state!: ReadingState;
  private tag = "";
  private saved = "";
  private timer = 0;
  private running: Promise<void> | null = null;
  private stopped = false;

  constructor(private readonly caseId: string, private readonly listener: Listener) {
    window.addEventListener("beforeunload", (event) => {
      if (this.dirty) event.preventDefault();
    });
  }

  private get path(): string {
    return `/api/v1/cases/${encodeURIComponent(this.caseId)}/reading`;
  }

  get dirty(): boolean {
    return this.form !== undefined && JSON.stringify(this.form) !== this.saved;
  }

  /** Read what is stored. What was typed and not saved is kept, unless `replace`. */
  async load(replace = true): Promise<void> {
    await this.running;
    const response = await send("GET", this.path, { headers: { "cache-control": "no-cache" } });
    const state = (await response.json()) as ReadingState;
    if (!replace && (this.dirty || this.running)) {
      this.state = { ...state, violations: this.state.violations };
      this.listener.told(this.state);
      return;
    }
    this.take(state, response);
    this.form = structuredClone(state.form);
    this.listener.told(state);
  }

  /** Note that the form changed. */
  changed(): void {
    if (this.stopped) return;
    this.listener.saving("unsaved", null);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.save(), PAUSE_MS);
  }

  /** Save now what is not saved yet; returns whether everything is stored. */
  async save(): Promise<boolean> {
    window.clearTimeout(this.timer);
    if (this.running) await this.running;
    if (this.stopped) return false;
    if (!this.dirty && this.state.version > 0) return true;
    this.running = this.put();
    await this.running;
    this.running = null;
    return !this.dirty;
  }

  /** After a conflict: save the own form over the other one. */
  async keepMine(): Promise<void> {
    const mine = this.form;
    this.stopped = false;
    await this.load();
    this.form = mine;
    await this.save();
  }

  /** After a conflict: go on with the other one. */
  async takeTheirs(): Promise<void> {
    this.stopped = false;
    await this.load();
    this.listener.saving("saved", null);
  }

  get etag(): string {
    return this.tag;
  }

  /** Nothing is saved any more: it was signed. */
  end(): void {
    this.stopped = true;
    window.clearTimeout(this.timer);
    this.saved = JSON.stringify(this.form);
  }

  private take(state: ReadingState, response: Response): void {
    this.state = state;
    this.tag = response.headers.get("etag") ?? "";
    this.saved = JSON.stringify(state.form);
  }

  private async put(): Promise<void> {
    const body = structuredClone(this.form);
    this.listener.saving("saving", null);
    try {
      const response = await send("PUT", this.path, { body, headers: { "If-Match": this.tag } });
      this.take((await response.json()) as ReadingState, response);
      this.listener.told(this.state);
      this.listener.saving(this.dirty ? "unsaved" : "saved", null);
      if (this.dirty) this.changed();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      await this.failed(error);
    }
  }

  private async failed(problem: Problem): Promise<void> {
    if (problem.status === 412) {
      this.stopped = true;
      this.listener.saving("conflict", problem);
      this.listener.conflict((await (await send("GET", this.path)).json()) as ReadingState);
    } else if (problem.status === 0 || problem.status >= 500 || problem.status === 429) {
      this.listener.saving("offline", problem);
      this.timer = window.setTimeout(() => void this.save(), RETRY_MS);
    } else {
      this.listener.saving("refused", problem);
    }
  }
}
