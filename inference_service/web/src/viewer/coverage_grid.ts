/**
 * What was looked at: the squares of a grid over the specimen that were in view long enough, near enough.
 *
 * Square `i` (row after row from the top left) is bit `i & 7` of byte `i >> 3`.
 */
import { apply, boundsOf, type Transform } from "./transform";

/** Objective that a specimen is screened with. */
export const SCREENING_MAGNIFICATION = 10;
/** How long a square has to be in view. */
export const DWELL_MS = 300;

export class CoverageGrid {
  readonly bits: Uint8Array;
  private since = new Map<number, number>();

  /** `cell_px`: side of a square in level-0 pixels of the slide, whose size is `width_px` x `height_px`. */
  constructor(
    readonly columns: number,
    readonly rows: number,
    readonly cell_px: number,
    private readonly width_px = columns * cell_px,
    private readonly height_px = rows * cell_px,
  ) {
    this.bits = new Uint8Array(Math.ceil((columns * rows) / 8));
  }

  has(index: number): boolean {
    return ((this.bits[index >> 3]! >> (index & 7)) & 1) === 1;
  }

  /** Add what is known from elsewhere. */
  merge(bits: Uint8Array): void {
    for (let i = 0; i < Math.min(bits.length, this.bits.length); i++) this.bits[i]! |= bits[i]!;
  }

  /** How many squares were looked at. */
  get seen(): number {
    let total = 0;
    for (let value of this.bits) for (; value; value &= value - 1) total++;
    return total;
  }

  /**
   * What the pane shows at the time `now_ms`, to be called several times a second; returns the squares that are
   * looked at from now on. `near`: whether the magnification is that of screening or higher.
   */
  look(view: Transform, width: number, height: number, near: boolean, now_ms: number): number[] {
    const fresh: number[] = [];
    const since = new Map<number, number>();
    if (near) {
      for (const index of this.inView(view, width, height)) {
        const from = this.since.get(index) ?? now_ms;
        since.set(index, from);
        if (now_ms - from >= DWELL_MS && !this.has(index)) {
          this.bits[index >> 3]! |= 1 << (index & 7);
          fresh.push(index);
        }
      }
    }
    this.since = since;
    return fresh;
  }

  /** Squares whose middle is in the pane; of those that reach beyond the slide, the middle of what lies on it. */
  private inView(view: Transform, width: number, height: number): number[] {
    const box = boundsOf(view, width, height);
    const found: number[] = [];
    const first = (value: number): number => Math.max(0, Math.floor(value / this.cell_px));
    const last = (value: number, most: number): number => Math.min(most - 1, Math.floor(value / this.cell_px));
    for (let row = first(box.top); row <= last(box.bottom, this.rows); row++) {
      for (let column = first(box.left); column <= last(box.right, this.columns); column++) {
        const at = apply(view, middle(column, this.cell_px, this.width_px), middle(row, this.cell_px, this.height_px));
        if (at.x >= 0 && at.x <= width && at.y >= 0 && at.y <= height) found.push(row * this.columns + column);
      }
    }
    return found;
  }
}

const middle = (index: number, side: number, most: number): number =>
  (index * side + Math.min(most, (index + 1) * side)) / 2;

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const value of bytes) text += String.fromCharCode(value);
  return btoa(text);
}

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
