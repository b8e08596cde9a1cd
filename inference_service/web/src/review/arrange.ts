/** Which findings the gallery shows, in which order. Pure, on the columns of the table; copes with 100,000 rows. */
import type { FindingTable } from "../viewer/types";
import type { FindingState } from "./types";

export type Sorting = "suspicion" | "category";

export interface Filter {
  /** Index into the table's categories of what the AI proposes; null: all. */
  category: number | null;
  state: FindingState | "added" | null;
}

/** How suspicious row `row` is: the score of the nucleus times 1 - P(NILM), by which the server ranks. */
export const suspicionOf = (table: FindingTable, row: number): number => table.score[row]! * table.suspicion[row]!;

/**
 * The rows of `table`, most suspicious first; by category: the gravest first, and the most suspicious first within.
 * A complete table is in the server's own order, its ranks.
 */
export function sorted(table: FindingTable, sorting: Sorting): Uint32Array {
  const rows = Uint32Array.from({ length: table.count }, (_, row) => row);
  const nearer = (a: number, b: number): number =>
    table.complete ? table.rank[a]! - table.rank[b]! : suspicionOf(table, b) - suspicionOf(table, a) || a - b;
  if (sorting === "suspicion") return rows.sort(nearer);
  return rows.sort((a, b) => table.category[b]! - table.category[a]! || nearer(a, b));
}

/** Those of `rows` that fit the filter, in their order. */
export function filtered(
  table: FindingTable, rows: Uint32Array, filter: Filter, state: (rank: number) => FindingState,
): Uint32Array {
  if (filter.category === null && filter.state === null) return rows;
  return rows.filter(
    (row) =>
      (filter.category === null || table.category[row] === filter.category) &&
      (filter.state === null || state(table.rank[row]!) === filter.state),
  );
}

/**
 * The ranks that the reader is asked to look at: the `most` most suspicious findings, or with `most` 0 every one whose
 * suspicion reaches the model's operating point (without one: every finding).
 */
export function toLookAt(table: FindingTable, most: number, operatingPoint: number | null): Set<number> {
  const order = sorted(table, "suspicion");
  const rows = most > 0 ? order.slice(0, most) : order.filter((row) => table.suspicion[row]! >= (operatingPoint ?? 0));
  return new Set(Array.from(rows, (row) => table.rank[row]!));
}

/** The row of `table` nearest to a place, within `reach_px`; -1: none. Ranks change when a screening ends, places do not. */
export function rowAt(table: FindingTable, x_px: number, y_px: number, reach_px = 2): number {
  let best = -1;
  let nearest = reach_px * reach_px;
  for (let row = 0; row < table.count; row += 1) {
    const distance = (table.x_px[row]! - x_px) ** 2 + (table.y_px[row]! - y_px) ** 2;
    if (distance <= nearest) [best, nearest] = [row, distance];
  }
  return best;
}
