/**
 * Findings by place: which ones lie in a rectangle, and how many lie in each square of a coarser and coarser grid.
 *
 * What is drawn is bounded by the size of the pane, not by the number of findings: few are drawn one by one, many as
 * squares that say how many there are and how grave the worst is.
 */
import type { Box } from "./transform";

/** One level of squares: row after row from the top left. */
export interface Squares {
  readonly columns: number;
  readonly rows: number;
  /** Level-0 pixels. */
  readonly side_px: number;
  readonly count: Uint32Array;
  /** The gravest category in it. */
  readonly worst: Uint8Array;
}

const MOST_SQUARES = 2 ** 20;

export class GridIndex {
  /** From the finest level to a single square. */
  readonly levels: readonly Squares[];
  /** Findings by square of the finest level: `order[start[i]]` to `order[start[i + 1] - 1]`. */
  private readonly start: Uint32Array;
  private readonly order: Uint32Array;

  /**
   * About one finding in each of the finest squares.
   *
   * `shown[category]` false leaves a category out. Places outside the slide are counted in the nearest square.
   */
  constructor(
    private readonly x_px: Float32Array,
    private readonly y_px: Float32Array,
    category: Uint8Array,
    width_px: number,
    height_px: number,
    shown: (category: number) => boolean = () => true,
  ) {
    const kept = new Uint8Array(256).map((_, index) => (shown(index) ? 1 : 0));
    const wanted = Math.min(MOST_SQUARES, Math.max(1, x_px.length));
    const side_px = Math.max(1, Math.sqrt((width_px * height_px) / wanted));
    const columns = Math.max(1, Math.ceil(width_px / side_px));
    const rows = Math.max(1, Math.ceil(height_px / side_px));
    const square = new Uint32Array(x_px.length);
    this.start = new Uint32Array(columns * rows + 1);
    const worst = new Uint8Array(columns * rows);
    for (let i = 0; i < x_px.length; i++) {
      const column = Math.min(columns - 1, Math.max(0, Math.floor(x_px[i]! / side_px)));
      const row = Math.min(rows - 1, Math.max(0, Math.floor(y_px[i]! / side_px)));
      square[i] = row * columns + column;
      if (!kept[category[i]!]) continue;
      this.start[square[i]! + 1]!++;
      if (category[i]! > worst[square[i]!]!) worst[square[i]!] = category[i]!;
    }
    const count = this.start.slice(1);
    for (let i = 1; i < this.start.length; i++) this.start[i]! += this.start[i - 1]!;
    this.order = new Uint32Array(this.start[columns * rows]!);
    const next = this.start.slice();
    for (let i = 0; i < x_px.length; i++) if (kept[category[i]!]) this.order[next[square[i]!]!++] = i;
    const levels: Squares[] = [{ columns, rows, side_px, count, worst }];
    for (let last = levels[0]!; last.count.length > 1; levels.push(last)) last = halved(last);
    this.levels = levels;
  }

  /** Findings that are kept. */
  get count(): number {
    return this.order.length;
  }

  /** How many findings lie in the squares that touch `box`: an upper bound of those in it. */
  countIn(box: Box): number {
    let total = 0;
    this.rowsOf(box, (first, end) => (total += this.start[end]! - this.start[first]!));
    return total;
  }

  /** Call `visit` with the index of each finding in `box`. */
  forEachIn(box: Box, visit: (index: number) => void): void {
    const { x_px, y_px, order } = this;
    this.rowsOf(box, (first, end) => {
      for (let at = this.start[first]!; at < this.start[end]!; at++) {
        const index = order[at]!;
        const x = x_px[index]!, y = y_px[index]!;
        if (x >= box.left && x <= box.right && y >= box.top && y <= box.bottom) visit(index);
      }
    });
  }

  /** The finding nearest to a place within `reach_px`; null where there is none. */
  nearest(x: number, y: number, reach_px: number): number | null {
    let best: number | null = null;
    let distance = reach_px * reach_px;
    this.forEachIn({ left: x - reach_px, top: y - reach_px, right: x + reach_px, bottom: y + reach_px }, (index) => {
      const square = (this.x_px[index]! - x) ** 2 + (this.y_px[index]! - y) ** 2;
      if (square <= distance) [best, distance] = [index, square];
    });
    return best;
  }

  /** The finest level whose squares have at least `least_px` of the slide on a side. */
  levelFor(least_px: number): Squares {
    return this.levels.find((level) => level.side_px >= least_px) ?? this.levels[this.levels.length - 1]!;
  }

  private rowsOf(box: Box, visit: (first: number, end: number) => void): void {
    const span = spanOf(this.levels[0]!, box);
    for (let row = span.top; row < span.bottom; row++) {
      visit(row * this.levels[0]!.columns + span.left, row * this.levels[0]!.columns + span.right);
    }
  }
}

/** Columns `left` to `right - 1` and rows `top` to `bottom - 1` touch `box`; all that lies outside is at the edge. */
export function spanOf(level: { columns: number; rows: number; side_px: number }, box: Box): Box {
  const within = (value: number, most: number): number => Math.min(most, Math.max(0, value));
  const left = within(Math.floor(box.left / level.side_px), level.columns - 1);
  const top = within(Math.floor(box.top / level.side_px), level.rows - 1);
  return {
    left,
    top,
    right: Math.max(left + 1, within(Math.floor(box.right / level.side_px) + 1, level.columns)),
    bottom: Math.max(top + 1, within(Math.floor(box.bottom / level.side_px) + 1, level.rows)),
  };
}

function halved(finer: Squares): Squares {
  const columns = Math.ceil(finer.columns / 2), rows = Math.ceil(finer.rows / 2);
  const count = new Uint32Array(columns * rows);
  const worst = new Uint8Array(columns * rows);
  for (let row = 0; row < finer.rows; row++) {
    for (let column = 0; column < finer.columns; column++) {
      const from = row * finer.columns + column;
      const to = (row >> 1) * columns + (column >> 1);
      count[to]! += finer.count[from]!;
      if (finer.worst[from]! > worst[to]!) worst[to] = finer.worst[from]!;
    }
  }
  return { columns, rows, side_px: finer.side_px * 2, count, worst };
}
