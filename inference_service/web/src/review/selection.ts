/** Findings selected for an action on many: single ones, ranges, all that are shown. Pure. */
export class Selection {
  private readonly chosen = new Set<number>();
  /** Where a range begins: the rank toggled last. */
  private anchor: number | null = null;

  get size(): number {
    return this.chosen.size;
  }

  get ranks(): number[] {
    return [...this.chosen].sort((a, b) => a - b);
  }

  has(rank: number): boolean {
    return this.chosen.has(rank);
  }

  toggle(rank: number): boolean {
    this.anchor = rank;
    if (this.chosen.delete(rank)) return false;
    this.chosen.add(rank);
    return true;
  }

  /** Everything from the anchor to `rank` in the order that is shown; without an anchor `rank` alone. */
  extend(rank: number, shown: readonly number[]): void {
    const to = shown.indexOf(rank);
    const from = this.anchor === null ? to : shown.indexOf(this.anchor);
    if (to < 0) return;
    const [first, last] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
    for (let place = first; place <= last; place += 1) this.chosen.add(shown[place]!);
    this.anchor ??= rank;
  }

  all(shown: readonly number[]): void {
    for (const rank of shown) this.chosen.add(rank);
  }

  clear(): void {
    this.chosen.clear();
    this.anchor = null;
  }
}
