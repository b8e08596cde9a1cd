/** Which findings the reader has chosen one by one: remembered on the server beside the coverage of the slide. */
import { json, Problem, send } from "../common/api";

const PAUSE_MS = 2000;
/** The server remembers ranks below this. */
const MOST = 1024;

interface Grid {
  columns: number;
  rows: number;
  cell_um: number;
  looked: number[];
}

export class Looked {
  private readonly seen = new Map<string, Set<number>>();
  private readonly grids = new Map<string, Grid>();
  private readonly unsent = new Map<string, Set<number>>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  /** `keep`: whether it is to be stored (not where the case is only read). */
  constructor(private readonly caseId: string, private readonly keep: boolean) {
    addEventListener("pagehide", () => void this.store(true));
  }

  /** What is known of a slide from before. A slide without a scale has no coverage: then this page remembers alone. */
  async load(slideId: string): Promise<void> {
    if (this.grids.has(slideId)) return;
    try {
      const grid = await json<Grid>("GET", this.path(slideId));
      this.grids.set(slideId, grid);
      for (const rank of grid.looked) this.of(slideId).add(rank);
    } catch (error) {
      if (!(error instanceof Problem) || error.slug !== "coverage-unavailable") throw error;
    }
  }

  of(slideId: string): Set<number> {
    const known = this.seen.get(slideId) ?? new Set<number>();
    this.seen.set(slideId, known);
    return known;
  }

  add(slideId: string, rank: number): void {
    if (this.of(slideId).has(rank)) return;
    this.of(slideId).add(rank);
    if (!this.keep || rank >= MOST || !this.grids.has(slideId)) return;
    const waiting = this.unsent.get(slideId) ?? new Set<number>();
    this.unsent.set(slideId, waiting.add(rank));
    this.timer ??= setTimeout(() => void this.store(false), PAUSE_MS);
  }

  /** Send what is new; where the line is lost it goes along with the next time. */
  private async store(leaving: boolean): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    for (const [slideId, ranks] of [...this.unsent]) {
      this.unsent.delete(slideId);
      const { columns, rows, cell_um } = this.grids.get(slideId)!;
      const body = { columns, rows, cell_um, looked: [...ranks] };
      try {
        await send("PUT", this.path(slideId), { body, keepalive: leaving, stay: true });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const again = this.unsent.get(slideId) ?? new Set<number>();
        for (const rank of ranks) again.add(rank);
        this.unsent.set(slideId, again);
      }
    }
  }

  private path(slideId: string): string {
    return `/api/v1/cases/${this.caseId}/coverage/${slideId}`;
  }
}
