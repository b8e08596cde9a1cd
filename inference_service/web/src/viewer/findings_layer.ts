/**
 * Draws findings: few as outlines, many as small shapes, very many as squares of a grid that say how many there are.
 *
 * The time for a frame is bounded by the pane: what is outside is culled by the grid, and above a number of findings in
 * view they are drawn in coarser ways (docs/viewer.md).
 */
import { GridIndex, spanOf } from "./grid";
import { dashOf, hasHalo, trace, type Palette } from "./shapes";
import { Board, Sprites } from "./sprites";
import { apply, boundsOf, scaleOf, type Transform } from "./transform";
import type { FindingTable } from "./types";

/** Radius of an outline on the specimen: a nucleus and its surroundings. */
const RADIUS_UM = 9;
/** The same where the scale is not known. */
const RADIUS_PX = 40;
/** Above this number in view, shapes are copied instead of drawn as paths, which is slow without a graphics card. */
const MOST_OUTLINES = 120;
/** Above this number squares of a grid stand for what is in them, where they are small enough on the screen. */
const MOST_SHAPES = 12_000;
/** Above this number shapes are made smaller, so that together they cover at most about twice the pane. */
const CROWD = 2000;
const CROWDED_SHARE = 0.8;
const LEAST_RADIUS = 3.5;
const MOST_SPRITE_RADIUS = 160;
/** Sprites are made in sizes that differ by this factor, so that zooming does not make new ones all the time. */
const SPRITE_STEP = 1.06;
/** Screen pixels of the squares. */
const SQUARE_SIDE = 12;
/** Of 255: the slide is seen through them. */
const SQUARE_ALPHA = 190;
const LETTERS_FROM_RADIUS = 14;

export interface Pane {
  readonly width: number;
  readonly height: number;
  /** Canvas pixels per pane pixel. */
  readonly ratio: number;
}

export class FindingsLayer {
  filled = false;
  selected: number | null = null;
  private index: GridIndex | null = null;
  private table: FindingTable | null = null;
  private shown: (category: number) => boolean = () => true;
  private radius_px = RADIUS_PX;
  private size = { width_px: 1, height_px: 1 };
  private board: Board | null = null;
  private readonly sprites: Sprites;
  /** Index by rank; made when something is selected. */
  private byRank: Map<number, number> | null = null;

  constructor(private readonly palette: Palette) {
    this.sprites = new Sprites(palette);
  }

  setSlide(width_px: number, height_px: number, mpp: number | null): void {
    this.size = { width_px, height_px };
    this.radius_px = mpp === null ? RADIUS_PX : RADIUS_UM / mpp;
    this.setTable(null);
  }

  setTable(table: FindingTable | null): void {
    this.table = table;
    this.byRank = null;
    this.build();
  }

  /** Which categories are drawn. */
  filter(shown: (category: number) => boolean): void {
    this.shown = shown;
    this.build();
  }

  /** The index of the finding of this rank; null where there is none. */
  indexOf(rank: number): number | null {
    if (!this.table) return null;
    this.byRank ??= new Map(Array.from(this.table.rank, (value, index) => [value, index]));
    return this.byRank.get(rank) ?? null;
  }

  /** The finding at a place of the slide, at most `reach_px` away (or within its outline). */
  at(x_px: number, y_px: number, reach_px: number): number | null {
    return this.index?.nearest(x_px, y_px, Math.max(reach_px, this.radius_px)) ?? null;
  }

  draw(context: CanvasRenderingContext2D, view: Transform, pane: Pane): void {
    if (!this.index || !this.table) return;
    const scale = scaleOf(view);
    const radius = this.radius_px * scale;
    const box = boundsOf(view, pane.width, pane.height, this.radius_px * 1.4);
    const inView = this.index.countIn(box);
    if (inView > MOST_SHAPES && this.squaresAreCoarse(scale)) {
      this.drawSquares(context, view, pane, scale);
    } else if (inView > MOST_OUTLINES || radius < LEAST_RADIUS * 1.7) {
      const crowded = CROWDED_SHARE * Math.sqrt((pane.width * pane.height) / inView);
      this.drawShapes(context, view, pane, box, inView > CROWD ? Math.min(radius, crowded) : radius);
    } else {
      this.drawOutlines(context, view, pane, box, radius);
    }
    this.drawSelected(context, view, pane, radius);
  }

  private build(): void {
    const { table, size } = this;
    this.index = table && new GridIndex(
      table.x_px, table.y_px, table.category, size.width_px, size.height_px, this.shown,
    );
  }

  /** Whether the finest squares are small enough on the screen to stand for what is in them. */
  private squaresAreCoarse(scale: number): boolean {
    return this.index!.levels[0]!.side_px * scale <= SQUARE_SIDE * 2;
  }

  private drawSquares(context: CanvasRenderingContext2D, view: Transform, pane: Pane, scale: number): void {
    const level = this.index!.levelFor(SQUARE_SIDE / scale);
    const board = this.cleared(pane);
    const span = spanOf(level, boundsOf(view, pane.width, pane.height));
    const radii = [2, 2.5, 3, 3.5, 4].map((radius) => radius * pane.ratio);
    // The graver ones on top.
    for (let category = 0; category < 6; category++) {
      const sprites = radii.map((radius) => this.sprites.of(category, radius, true, SQUARE_ALPHA));
      for (let row = span.top; row < span.bottom; row++) {
        for (let column = span.left; column < span.right; column++) {
          const at = row * level.columns + column;
          const count = level.count[at]!;
          if (count === 0 || level.worst[at] !== category) continue;
          const size = count > 64 ? 4 : count > 16 ? 3 : count > 4 ? 2 : count > 1 ? 1 : 0;
          const point = apply(view, (column + 0.5) * level.side_px, (row + 0.5) * level.side_px);
          board.put(sprites[size]!, point.x * pane.ratio, point.y * pane.ratio);
        }
      }
    }
    this.show(context, board);
  }

  private drawShapes(
    context: CanvasRenderingContext2D, view: Transform, pane: Pane, box: Parameters<GridIndex["forEachIn"]>[0],
    radius: number,
  ): void {
    const board = this.cleared(pane);
    const wanted = Math.min(MOST_SPRITE_RADIUS, Math.max(LEAST_RADIUS, radius)) * pane.ratio;
    const size = SPRITE_STEP ** Math.round(Math.log(wanted) / Math.log(SPRITE_STEP));
    const solid = radius < LEAST_RADIUS * 1.7;
    const sprites = this.palette.categories.map((_, category) => this.sprites.of(category, size, solid));
    const { x_px, y_px, category } = this.table!;
    const { ratio } = pane;
    this.index!.forEachIn(box, (index) => {
      const x = view.a * x_px[index]! + view.c * y_px[index]! + view.e;
      const y = view.b * x_px[index]! + view.d * y_px[index]! + view.f;
      board.put(sprites[category[index]!] ?? sprites[0]!, x * ratio, y * ratio);
    });
    this.show(context, board);
  }

  private drawOutlines(
    context: CanvasRenderingContext2D, view: Transform, pane: Pane, box: Parameters<GridIndex["forEachIn"]>[0],
    radius: number,
  ): void {
    const { x_px, y_px, category, categories } = this.table!;
    const found: number[][] = this.palette.categories.map(() => []);
    this.index!.forEachIn(box, (index) => found[category[index]!]?.push(index));
    context.save();
    context.scale(pane.ratio, pane.ratio);
    context.font = "600 11px system-ui, sans-serif";
    const letters = this.filled && radius >= LETTERS_FROM_RADIUS;
    found.forEach((indices, kind) => {
      if (!indices.length) return;
      const path = new Path2D();
      const points = indices.map((index) => apply(view, x_px[index]!, y_px[index]!));
      for (const point of points) trace(path, kind, point.x, point.y, radius);
      this.strokeTwice(context, path, kind, 2);
      if (this.filled) {
        context.globalAlpha = 0.16;
        context.fillStyle = this.palette.categories[kind]!;
        context.fill(path);
        context.globalAlpha = 1;
      }
      if (letters) for (const point of points) this.write(context, categories[kind] ?? "", kind, point, radius);
    });
    context.restore();
  }

  private strokeTwice(context: CanvasRenderingContext2D, path: Path2D, kind: number, width: number): void {
    context.setLineDash([]);
    context.strokeStyle = this.palette.halo;
    context.lineWidth = width + 2;
    if (hasHalo(kind)) context.stroke(path);
    context.setLineDash(dashOf(kind));
    context.strokeStyle = this.palette.categories[kind]!;
    context.lineWidth = width;
    context.stroke(path);
    context.setLineDash([]);
  }

  private write(
    context: CanvasRenderingContext2D, text: string, kind: number, at: { x: number; y: number }, radius: number,
  ): void {
    context.lineWidth = 3;
    context.strokeStyle = this.palette.halo;
    context.fillStyle = this.palette.categories[kind]!;
    context.strokeText(text, at.x + radius * 0.8, at.y - radius * 0.9);
    context.fillText(text, at.x + radius * 0.8, at.y - radius * 0.9);
  }

  private drawSelected(context: CanvasRenderingContext2D, view: Transform, pane: Pane, radius: number): void {
    const index = this.selected === null ? null : this.indexOf(this.selected);
    if (index === null) return;
    const at = apply(view, this.table!.x_px[index]!, this.table!.y_px[index]!);
    const around = Math.max(radius, 8);
    const path = new Path2D();
    trace(path, this.table!.category[index]!, at.x, at.y, around);
    const ring = new Path2D();
    ring.arc(at.x, at.y, around * 1.5 + 3, 0, 2 * Math.PI);
    for (let quarter = 0; quarter < 4; quarter++) {
      const cos = Math.cos((quarter * Math.PI) / 2), sin = Math.sin((quarter * Math.PI) / 2);
      ring.moveTo(at.x + cos * (around * 1.5 + 3), at.y + sin * (around * 1.5 + 3));
      ring.lineTo(at.x + cos * (around * 1.5 + 12), at.y + sin * (around * 1.5 + 12));
    }
    context.save();
    context.scale(pane.ratio, pane.ratio);
    this.strokeTwice(context, path, this.table!.category[index]!, 3);
    context.strokeStyle = "#000000";
    context.lineWidth = 5;
    context.stroke(ring);
    context.strokeStyle = this.palette.selected;
    context.lineWidth = 3;
    context.stroke(ring);
    context.restore();
  }

  private cleared(pane: Pane): Board {
    const width = Math.round(pane.width * pane.ratio), height = Math.round(pane.height * pane.ratio);
    if (this.board?.width !== width || this.board.height !== height) this.board = new Board(width, height);
    this.board.clear();
    return this.board;
  }

  /** The canvas is empty below: what is there already has to be drawn after. */
  private show(context: CanvasRenderingContext2D, board: Board): void {
    context.putImageData(board.image, 0, 0);
  }
}
