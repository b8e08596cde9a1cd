/** The reader's marks: what stands, on its way to the server or stored there; warns before unsaved ones are lost. */
import type { Problem } from "../common/api";
import { json, renewSession, send } from "../common/api";
import { newUuid } from "./dom";
import { Ledger } from "./ledger";
import { Outbox } from "./outbox";
import type { OutboxState } from "./outbox";
import type { Action, Boot, StoredMark } from "./types";

type Letter = { action: Action; withdraw: boolean };

export interface StoreEvents {
  /** Something stands that did not, or the other way round. */
  changed(): void;
  saving(state: OutboxState, unsaved: number): void;
  refused(words: Problem, action: Action): void;
}

export class MarkStore {
  private stored: StoredMark[] = [];
  ledger = new Ledger();
  private readonly outbox: Outbox<Letter>;
  private readonly path: string;

  constructor(private readonly boot: Boot, private readonly events: StoreEvents) {
    this.path = `/api/v1/cases/${boot.case_id}/marks`;
    this.outbox = new Outbox<Letter>({
      send: (letter) => this.deliver(letter),
      onRefused: (letter, failure) => this.takeBack(letter, failure as Problem),
      onChange: (state, unsaved) => events.saving(state, unsaved),
    });
    addEventListener("online", () => this.outbox.retry());
    addEventListener("beforeunload", (event) => {
      if (this.outbox.unsaved) event.preventDefault();
    });
  }

  async load(): Promise<void> {
    this.stored = (await json<{ items: StoredMark[] }>("GET", this.path)).items;
    this.ledger = new Ledger(this.stored);
    this.events.changed();
  }

  get unsaved(): number {
    return this.outbox.unsaved;
  }

  retry(): void {
    this.outbox.retry();
  }

  /** What other readers have said of a slide, or of one finding of it. */
  others(slideId: string, rank?: number): StoredMark[] {
    return this.stored.filter((mark) => !mark.mine && mark.slide_id === slideId && (rank === undefined || mark.rank === rank));
  }

  add(action: Omit<Action, "batch">): void {
    const whole = { ...action, batch: newUuid() };
    this.ledger.add(whole);
    this.send({ action: whole, withdraw: false });
  }

  undo(): Action | null {
    const action = this.ledger.undo();
    if (action) this.send({ action, withdraw: true });
    return action;
  }

  redo(): Action | null {
    const action = this.ledger.redo(newUuid());
    if (action) this.send({ action, withdraw: false });
    return action;
  }

  private send(letter: Letter): void {
    this.events.changed();
    this.outbox.add(letter);
  }

  /** Signed out meanwhile: the marks wait here until the same person has signed in again. */
  private async deliver({ action, withdraw }: Letter): Promise<void> {
    const post = (): Promise<Response> =>
      withdraw
        ? send("POST", `${this.path}/${action.batch}/withdraw`, { stay: true })
        : send("POST", this.path, { body: bodyOf(action), stay: true });
    try {
      await post();
    } catch (error) {
      const problem = error as Problem;
      if (problem.status !== 401 && problem.slug !== "csrf") throw problem;
      const reader = await renewSession();
      if (reader !== this.boot.reader) throw Object.assign(problem, { status: 401 });
      await post();
    }
  }

  private takeBack({ action, withdraw }: Letter, problem: Problem): void {
    if (withdraw) this.ledger.restore(action.batch);
    else this.ledger.refuse(action.batch);
    this.events.changed();
    this.events.refused(problem, action);
  }
}

function bodyOf(action: Action): Record<string, unknown> {
  const filled = Object.entries(action).filter(([name, value]) => value !== null && !(name === "ranks" && action.kind === "add"));
  return Object.fromEntries(filled);
}
