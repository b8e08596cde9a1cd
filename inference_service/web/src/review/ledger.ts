/**
 * What one reader has said so far, with undo and redo. Nothing is forgotten: undoing withdraws an action, redoing says
 * the same again as a new action. Pure: whoever changes it also sends the change (outbox.ts).
 */
import type { Action, FindingState, Standing, StoredMark } from "./types";

interface Entry {
  action: Action;
  withdrawn: boolean;
}

/** The last one that was not withdrawn. */
function latest(entries: readonly Entry[] | undefined): Entry | null {
  return entries?.filter((each) => !each.withdrawn).at(-1) ?? null;
}

const STATES = { agree: "agreed", regrade: "regraded", dismiss: "dismissed", add: "agreed" } as const;

export class Ledger {
  private readonly entries: Entry[] = [];
  private undone: Action[] = [];
  /** Entries on a finding, oldest first, by `slide rank`. */
  private readonly onFinding = new Map<string, Entry[]>();

  /** Start from the caller's own marks, oldest first. */
  constructor(stored: readonly StoredMark[] = []) {
    const batches = new Map<string, Action>();
    for (const mark of stored) {
      if (!mark.mine || mark.withdrawn_at !== null) continue;
      const known = batches.get(mark.batch);
      if (known && mark.rank !== null) known.ranks.push(mark.rank);
      if (known) continue;
      batches.set(mark.batch, {
        batch: mark.batch, slide_id: mark.slide_id, analysis_id: mark.analysis_id, kind: mark.kind,
        ranks: mark.rank === null ? [] : [mark.rank], category: mark.category, comment: mark.comment,
        x_px: mark.kind === "add" ? mark.x_px : null, y_px: mark.kind === "add" ? mark.y_px : null,
      });
    }
    for (const action of batches.values()) this.keep(action);
  }

  /** Note a new action; what was undone before cannot be redone any more. */
  add(action: Action): void {
    this.undone = [];
    this.keep(action);
  }

  /** Withdraw the latest action that stands; null: there is none. */
  undo(): Action | null {
    const entry = latest(this.entries);
    if (!entry) return null;
    entry.withdrawn = true;
    this.undone.push(entry.action);
    return entry.action;
  }

  /** What was undone last, as a new action named `batch` that stands from now on; null: there is nothing. */
  redo(batch: string): Action | null {
    const last = this.undone.pop();
    if (!last) return null;
    const again = { ...last, batch };
    this.keep(again);
    return again;
  }

  /** The server did not take an action: it does not stand, and it cannot be redone. */
  refuse(batch: string): void {
    for (const entry of this.entries) if (entry.action.batch === batch) entry.withdrawn = true;
    this.undone = this.undone.filter((action) => action.batch !== batch);
  }

  /** The server did not take a withdrawal: the action stands. */
  restore(batch: string): void {
    for (const entry of this.entries) if (entry.action.batch === batch) entry.withdrawn = false;
    this.undone = this.undone.filter((action) => action.batch !== batch);
  }

  standing(slideId: string, rank: number): Standing | null {
    const entry = latest(this.onFinding.get(`${slideId} ${rank}`));
    return entry ? { kind: entry.action.kind, category: entry.action.category } : null;
  }

  state(slideId: string, rank: number): FindingState {
    const standing = this.standing(slideId, rank);
    return standing ? STATES[standing.kind] : "unreviewed";
  }

  /** The cells that this reader added on a slide. */
  added(slideId: string): Action[] {
    return this.entries
      .filter((each) => !each.withdrawn && each.action.kind === "add" && each.action.slide_id === slideId)
      .map((each) => each.action);
  }

  /** Ranks of the slide's findings on which something stands. */
  marked(slideId: string): number[] {
    const found = new Set<number>();
    for (const { action, withdrawn } of this.entries) {
      if (!withdrawn && action.slide_id === slideId) for (const rank of action.ranks) found.add(rank);
    }
    return [...found];
  }

  private keep(action: Action): void {
    const entry = { action, withdrawn: false };
    this.entries.push(entry);
    for (const rank of action.ranks) {
      const key = `${action.slide_id} ${rank}`;
      const before = this.onFinding.get(key);
      if (before) before.push(entry);
      else this.onFinding.set(key, [entry]);
    }
  }
}
