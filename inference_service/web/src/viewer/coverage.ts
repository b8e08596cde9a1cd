/** Keeps what was looked at: restored when a slide is opened, sent every few seconds and when the page is left. */
import { json, Problem, send } from "../common/api";
import { CoverageGrid, fromBase64, SCREENING_MAGNIFICATION, toBase64 } from "./coverage_grid";
import { magnificationOf } from "./scale";
import { scaleOf, type Transform } from "./transform";
import type { Coverage, SlideView } from "./types";

const SEND_AFTER_MS = 3000;

interface Answer {
  columns: number;
  rows: number;
  cell_um: number;
  bits: string;
  share_of_slide: number;
  share_of_cells: number | null;
}

export class CoverageKeeper {
  grid: CoverageGrid | null = null;
  private answer: Answer | null = null;
  /** What the server has not confirmed yet. */
  private unsent: Uint8Array | null = null;
  private timer = 0;
  private path = "";
  private mpp = 1;

  /** `changed`: called with the squares that were looked at since (all of them: null). */
  constructor(private readonly readOnly: boolean, private readonly changed: (fresh: number[] | null) => void) {}

  /** Nothing is kept of a slide without a scale or without a case. */
  async open(view: SlideView): Promise<void> {
    this.flush();
    this.grid = this.answer = this.unsent = null;
    if (view.mpp === null || view.case_id === null) return;
    this.mpp = view.mpp;
    this.path = `/api/v1/cases/${encodeURIComponent(view.case_id)}/coverage/${encodeURIComponent(view.slide_id)}`;
    const path = this.path;
    const answer = await json<Answer>("GET", path);
    if (path !== this.path) return;
    const { columns, rows, cell_um } = answer;
    this.grid = new CoverageGrid(columns, rows, cell_um / view.mpp, view.width_px, view.height_px);
    this.grid.merge(fromBase64(answer.bits));
    this.answer = answer;
    this.changed(null);
  }

  /** The share as the server counts it; between its answers squares of the whole slide are counted. */
  get state(): Coverage {
    if (!this.grid || !this.answer) return { share: 0, of_cells: false, cells_seen: 0 };
    const { share_of_cells } = this.answer;
    const share = share_of_cells ?? this.grid.seen / (this.grid.columns * this.grid.rows);
    return { share, of_cells: share_of_cells !== null, cells_seen: this.grid.seen };
  }

  /** What the pane shows now. */
  look(view: Transform, width: number, height: number, now_ms: number): void {
    if (!this.grid) return;
    const near = magnificationOf(this.mpp / scaleOf(view)) >= SCREENING_MAGNIFICATION * 0.99;
    const fresh = this.grid.look(view, width, height, near, now_ms);
    if (!fresh.length) return;
    this.changed(fresh);
    if (this.readOnly) return;
    this.unsent ??= new Uint8Array(this.grid.bits.length);
    for (const index of fresh) this.unsent[index >> 3]! |= 1 << (index & 7);
    this.timer ||= window.setTimeout(() => this.flush(), SEND_AFTER_MS);
  }

  /** Send what was not sent yet; `leaving`: the page goes away meanwhile. */
  flush(leaving = false): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    if (!this.unsent || !this.answer) return;
    const { path, unsent, answer } = this;
    this.unsent = null;
    const body = {
      columns: answer.columns, rows: answer.rows, cell_um: answer.cell_um, bits: toBase64(trimmed(unsent)),
    };
    send("PUT", path, { body, keepalive: leaving })
      .then(async (response) => {
        const told = (await response.json()) as Answer;
        if (path !== this.path) return;
        this.answer = told;
        this.changed([]);
      })
      .catch((error: unknown) => this.keep(path, unsent, error));
  }

  /** Try again later, unless the server will never take it. */
  private keep(path: string, unsent: Uint8Array, error: unknown): void {
    const passing = error instanceof Problem && (error.status === 0 || error.status >= 500 || error.status === 429);
    if (path !== this.path || !passing) return;
    this.unsent ??= new Uint8Array(unsent.length);
    for (let i = 0; i < unsent.length; i++) this.unsent[i]! |= unsent[i]!;
    this.timer ||= window.setTimeout(() => this.flush(), 2 * SEND_AFTER_MS);
  }
}

/** Without the zeros at the end. */
function trimmed(bits: Uint8Array): Uint8Array {
  let length = bits.length;
  while (length > 0 && bits[length - 1] === 0) length--;
  return bits.subarray(0, length);
}
