/**
 * Actions on their way to the server, in order, one at a time. A line that is lost costs nothing: what was not answered
 * stays here and is sent again, and the server knows an action by its batch, so that it is stored once.
 */

/** `idle`: everything is stored. `waiting`: no answer, tried again soon. `signed-out`: waits for a sign-in. */
export type OutboxState = "idle" | "sending" | "waiting" | "signed-out";

export interface Letter<T> {
  content: T;
  attempts: number;
}

export interface Failure {
  status: number;
  slug: string;
  detail: string;
}

export interface OutboxOptions<T> {
  /** Rejects with a {@link Failure}. */
  send(content: T): Promise<void>;
  /** The server will never take it; it was removed. */
  onRefused(content: T, failure: Failure): void;
  onChange(state: OutboxState, unsaved: number): void;
  /** Returns what cancels it; replaced in tests. */
  later?(run: () => void, ms: number): () => void;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** Answers after which the same request may succeed: no connection, time-out, busy, faults of the server. */
const PASSING = (status: number): boolean => status === 0 || status === 408 || status === 429 || status >= 500;

export class Outbox<T> {
  private readonly letters: Letter<T>[] = [];
  private sending = false;
  private cancelPause: (() => void) | null = null;
  private signedOut = false;

  constructor(private readonly options: OutboxOptions<T>) {}

  get unsaved(): number {
    return this.letters.length;
  }

  add(content: T): void {
    this.letters.push({ content, attempts: 0 });
    void this.work();
  }

  /** Try again now: somebody signed in, or the line is back. */
  retry(): void {
    this.signedOut = false;
    this.cancelPause?.();
    this.cancelPause = null;
    void this.work();
  }

  private async work(): Promise<void> {
    if (this.sending || this.cancelPause || this.signedOut) return this.tell();
    this.sending = true;
    this.tell();
    while (this.letters[0] && (await this.deliver(this.letters[0]))) this.tell();
    this.sending = false;
    this.tell();
  }

  /** Whether the next letter may follow. */
  private async deliver(letter: Letter<T>): Promise<boolean> {
    letter.attempts += 1;
    try {
      await this.options.send(letter.content);
    } catch (error) {
      const failure = error as Failure;
      if (failure.status === 401) {
        this.signedOut = true;
        return false;
      }
      if (failure.status === undefined || PASSING(failure.status)) {
        this.pause(letter.attempts);
        return false;
      }
      this.letters.shift();
      this.options.onRefused(letter.content, failure);
      return true;
    }
    this.letters.shift();
    return true;
  }

  private pause(attempts: number): void {
    const later = this.options.later ?? ((run, ms) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    });
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempts - 1));
    this.cancelPause = later(() => {
      this.cancelPause = null;
      void this.work();
    }, ms);
  }

  private tell(): void {
    const state = this.letters.length === 0 ? "idle" : this.signedOut ? "signed-out" : this.cancelPause ? "waiting" : "sending";
    this.options.onChange(state, this.letters.length);
  }
}
