/**
 * The review of one case: which slide and finding is chosen, what is shown of them, what is said of them.
 *
 * The order that is shown stays as it is until the reader asks for another one: neither marks nor findings that arrive
 * while the screening runs move anything.
 */
import { t } from "../common/texts";
import type { FindingTable, Mark, Viewer } from "../viewer/types";
import { filtered, rowAt, sorted, toLookAt } from "./arrange";
import { FindingsBar } from "./bar";
import { ChosenPanel } from "./chosen";
import { announce } from "./dom";
import { Gallery } from "./gallery";
import type { Item } from "./gallery";
import { itemOfAdded, itemOfFinding } from "./items";
import type { KeyId } from "./keys";
import type { Looked } from "./looked";
import { Selection } from "./selection";
import type { MarkStore } from "./store";
import type { Action, Boot, SlideFacts } from "./types";

/** How much of the specimen the viewer shows around the first finding that is chosen. */
const FOCUS_UM = 150;

export class Workbench {
  readonly selection = new Selection();
  slide: SlideFacts;
  table: FindingTable | null = null;
  place = -1;
  private rows = new Uint32Array();
  private added: Action[] = [];
  private waiting: FindingTable | null = null;
  private wanted = new Set<number>();
  private atEnd = 0;
  private focused = false;
  private readonly bar: FindingsBar;
  private readonly gallery: Gallery;
  private readonly chosen: ChosenPanel;

  constructor(
    host: HTMLElement, readonly boot: Boot, readonly store: MarkStore, private readonly looked: Looked,
    private readonly viewer: Viewer, act: (id: KeyId, place: number) => void,
    private readonly onProgress: (looked: number, of: number) => void,
  ) {
    this.slide = boot.slides[0]!;
    this.bar = new FindingsBar(host, boot.categories, {
      changed: () => this.arrange(), selectAll: () => this.selectAll(), clear: () => this.clearSelection(),
      showFresh: () => this.showFresh(),
    });
    this.gallery = new Gallery(host, {
      item: (place) => this.item(place),
      onChoose: (place) => this.choose(place),
      onToggle: (place) => this.toggle(place),
      onExtend: (place) => this.extend(place),
      onSelectAll: () => this.selectAll(),
    });
    const others = boot.cell_categories.filter((category) => !boot.categories.includes(category));
    this.chosen = new ChosenPanel(host, boot.case_id, boot.categories, others, boot.read_only !== "", act);
    viewer.on("findings", ({ table }) => this.take(table));
    viewer.on("select", ({ rank }) => {
      const place = rank === null || !this.table ? -1 : this.placeOf(rank);
      if (place >= 0 && place !== this.place) this.choose(place, false);
    });
  }

  /** What the reader has said of findings of the slide, with their places. */
  marks(): Mark[] {
    const { ledger } = this.store;
    const marked = new Set(ledger.marked(this.slide.slide_id));
    if (!this.table?.complete || marked.size === 0) return [];
    const found: Mark[] = [];
    for (let row = 0; row < this.table.count; row += 1) {
      const rank = this.table.rank[row]!;
      const standing = marked.has(rank) ? ledger.standing(this.slide.slide_id, rank) : null;
      if (standing) {
        found.push({ id: `mine ${rank}`, rank, x_px: this.table.x_px[row]!, y_px: this.table.y_px[row]!,
          author_name: t("case.you"), ...standing });
      }
    }
    return found;
  }

  /** How many items the gallery shows. */
  get count(): number {
    return this.bar.filter.state === "added" ? this.added.length : this.rows.length;
  }

  /** The rank of the chosen finding; null: none is chosen, or it is an added cell. */
  get rank(): number | null {
    return this.rankAt(this.place);
  }

  /** What the AI proposes for the chosen finding; null: none is chosen. */
  get proposed(): string | null {
    return this.rank === null ? null : this.table!.categories[this.table!.category[this.rows[this.place]!]!]!;
  }

  /** Whether something may be said of findings. */
  get final(): boolean {
    return this.table?.complete ?? false;
  }

  /** Begin with another slide of the case. */
  begin(slide: SlideFacts): void {
    this.slide = slide;
    this.table = this.waiting = null;
    this.focused = false;
    this.selection.clear();
    this.arrange();
  }

  /** The slide is open: what was looked at of it before is known from now on. */
  async begun(slide: SlideFacts): Promise<void> {
    await this.looked.load(slide.slide_id);
    if (this.slide === slide) this.progress();
  }

  /** Findings of the AI: the first ones and the final ones are shown at once, those between when asked for. */
  private take(table: FindingTable): void {
    const before = this.table;
    if (before && before.count > 0 && !table.complete) {
      this.waiting = table;
      this.bar.showFresh(table.count - before.count);
      return;
    }
    this.replace(table);
  }

  private showFresh(): void {
    if (this.waiting) this.replace(this.waiting);
    this.gallery.focus();
  }

  /** Ranks may differ between tables of a running screening; the chosen cell is found again by its place. */
  private replace(table: FindingTable): void {
    const row = this.place >= 0 && this.bar.filter.state !== "added" ? this.rows[this.place] : undefined;
    const kept = row !== undefined && this.table ? rowAt(table, this.table.x_px[row]!, this.table.y_px[row]!) : -1;
    if (this.table && !this.table.complete) this.selection.clear();
    this.table = table;
    this.waiting = null;
    this.bar.showFresh(0);
    this.wanted = toLookAt(table, this.boot.look_most, this.boot.operating_point);
    this.arrange(kept);
  }

  /** Order and filter anew; `row` of the table becomes the chosen one where it is shown, else the first. */
  private arrange(row = this.place >= 0 ? (this.rows[this.place] ?? -1) : -1): void {
    this.added = this.store.ledger.added(this.slide.slide_id);
    const { sorting, filter } = this.bar;
    this.rows = this.table
      ? Uint32Array.from(filtered(this.table, sorted(this.table, sorting), filter,
        (rank) => this.store.ledger.state(this.slide.slide_id, rank)))
      : new Uint32Array();
    const place = filter.state === "added" ? 0 : this.rows.indexOf(row);
    this.place = -1;
    this.gallery.show(this.count, Math.max(0, place), this.table || filter.state ? t("case.nothing_here") : t("case.no_findings_yet"));
    this.atEnd = 0;
    this.bar.showSelected(this.selection.size);
    if (this.count) this.choose(Math.max(0, place));
    else this.chosen.show(null);
    this.progress();
  }

  /** Make an item the chosen one: shown in the middle of the slide, looked at. */
  choose(place: number, move = true): void {
    this.place = place;
    this.gallery.choose(place);
    const added = this.bar.filter.state === "added" ? this.added[place] : undefined;
    if (added) {
      this.viewer.focus(added.x_px!, added.y_px!);
      this.chosen.show(null);
      return announce(this.item(place).label);
    }
    const rank = this.rankAt(place);
    if (rank === null || !this.table) return;
    const row = this.rows[place]!;
    if (move) this.viewer.focus(this.table.x_px[row]!, this.table.y_px[row]!, this.focused ? undefined : FOCUS_UM);
    this.focused = true;
    this.viewer.select(rank);
    if (this.final) this.looked.add(this.slide.slide_id, rank);
    this.describe();
    this.progress();
    announce(this.item(place).label);
  }

  /** One step on; at an end it says so, and the next step begins at the other end. */
  step(by: 1 | -1): void {
    if (this.count === 0) return announce(t("case.nothing_here"));
    const place = this.place + by;
    if (place >= 0 && place < this.count) {
      this.atEnd = 0;
      return this.choose(place);
    }
    if (this.atEnd !== by) {
      this.atEnd = by;
      return announce(t(by > 0 ? "case.last_one" : "case.first_one"));
    }
    this.atEnd = 0;
    this.choose(by > 0 ? 0 : this.count - 1);
  }

  toggle(place = this.place): void {
    const rank = this.rankAt(place);
    if (rank === null) return;
    const on = this.selection.toggle(rank);
    this.selectionChanged();
    announce(t(on ? "case.selected_one" : "case.deselected_one", { n: this.selection.size }));
  }

  extend(place: number): void {
    const rank = this.rankAt(place);
    if (rank === null) return;
    if (this.selection.size === 0 && this.rank !== null) this.selection.toggle(this.rank);
    this.selection.extend(rank, this.ranks());
    this.selectionChanged();
  }

  /** Select from the chosen one on, one step further. */
  extendBy(by: 1 | -1): void {
    const place = this.place + by;
    if (place < 0 || place >= this.count) return;
    this.extend(place);
    this.choose(place);
  }

  selectAll(): void {
    this.selection.all(this.ranks());
    this.selectionChanged();
    announce(t("case.selected", { n: this.selection.size }));
  }

  clearSelection(): void {
    this.selection.clear();
    this.selectionChanged();
  }

  focusGallery(): void {
    this.gallery.focus();
  }

  /** Marks have changed: show it where it is seen, and leave everything in its place. */
  refresh(): void {
    this.added = this.store.ledger.added(this.slide.slide_id);
    if (this.bar.filter.state === "added") this.gallery.show(this.count, this.place, t("case.nothing_here"));
    this.gallery.refresh();
    this.describe();
    this.progress();
  }

  private selectionChanged(): void {
    this.bar.showSelected(this.selection.size);
    this.gallery.refresh();
  }

  private ranks(): number[] {
    if (this.bar.filter.state === "added" || !this.table) return [];
    return Array.from(this.rows, (row) => this.table!.rank[row]!);
  }

  private rankAt(place: number): number | null {
    const row = this.bar.filter.state === "added" ? undefined : this.rows[place];
    return row === undefined || !this.table ? null : this.table.rank[row]!;
  }

  private placeOf(rank: number): number {
    return this.rows.findIndex((row) => this.table!.rank[row] === rank);
  }

  private progress(): void {
    const looked = this.looked.of(this.slide.slide_id);
    let done = 0;
    for (const rank of this.wanted) if (looked.has(rank)) done += 1;
    this.bar.showProgress(done, this.wanted.size);
    this.onProgress(done, this.wanted.size);
  }

  private describe(): void {
    const rank = this.rank;
    if (rank === null || !this.table) return this.chosen.show(null);
    const row = this.rows[this.place]!;
    this.chosen.show({
      slideId: this.slide.slide_id, rank, number: this.place + 1, of: this.count,
      category: this.table.categories[this.table.category[row]!]!, suspicion: this.table.suspicion[row]!,
      score: this.table.score[row]!, standing: this.store.ledger.standing(this.slide.slide_id, rank),
      others: this.store.others(this.slide.slide_id, rank), final: this.final,
    });
  }

  private item(place: number): Item {
    const slideId = this.slide.slide_id;
    if (this.bar.filter.state === "added") return itemOfAdded(slideId, this.added[place]!, place, this.count);
    const row = this.rows[place]!;
    const rank = this.table!.rank[row]!;
    const { ledger } = this.store;
    return {
      ...itemOfFinding(slideId, this.table!, row, ledger.standing(slideId, rank), place, this.count),
      state: ledger.state(slideId, rank), selected: this.selection.has(rank),
    };
  }
}
