/** The small picture of the whole slide: the field that is shown now, what was looked at, and a click to go there. */
import { t } from "../common/texts";
import { cornersOf, type Point, type Transform } from "./transform";
import type { CoverageGrid } from "./coverage_grid";
import { rgbOf } from "./raster_layer";
import type { Palette } from "./shapes";
import type { SlideView } from "./types";

const LONGEST = 168;
const EVERY_MS = 80;

export class Overview {
  readonly element = document.createElement("canvas");
  private view: SlideView | null = null;
  private readonly picture = new Image();
  private readonly seen = document.createElement("canvas");
  private timer = 0;
  private last: { transform: Transform; width: number; height: number } | null = null;

  constructor(private readonly palette: Palette, private readonly go: (place: Point) => void) {
    this.element.className = "viewer-overview";
    this.element.setAttribute("role", "img");
    this.element.setAttribute("aria-label", t("viewer.overview"));
    this.picture.addEventListener("load", () => this.redraw());
    const follow = (event: PointerEvent): void => {
      if (!this.view || !(event.buttons & 1)) return;
      const box = this.element.getBoundingClientRect();
      this.go({
        x: ((event.clientX - box.left) / box.width) * this.view.width_px,
        y: ((event.clientY - box.top) / box.height) * this.view.height_px,
      });
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.element.addEventListener("pointermove", follow);
  }

  open(view: SlideView): void {
    this.view = view;
    this.seen.width = this.seen.height = 1;
    const scale = LONGEST / Math.max(view.width_px, view.height_px);
    const width = Math.max(24, Math.round(view.width_px * scale));
    const height = Math.max(24, Math.round(view.height_px * scale));
    this.element.width = width * devicePixelRatio;
    this.element.height = height * devicePixelRatio;
    this.element.style.width = `${width}px`;
    this.element.style.height = `${height}px`;
    this.picture.src = view.thumbnail;
  }

  showSeen(grid: CoverageGrid | null): void {
    this.seen.width = grid?.columns ?? 1;
    this.seen.height = grid?.rows ?? 1;
    if (grid) {
      const image = new ImageData(grid.columns, grid.rows);
      const colour = [...rgbOf(this.palette.seen), 110];
      for (let i = 0; i < grid.columns * grid.rows; i++) if (grid.has(i)) image.data.set(colour, 4 * i);
      this.seen.getContext("2d")!.putImageData(image, 0, 0);
    }
    this.redraw();
  }

  /** The field changed: shown soon, not with every frame. */
  follow(transform: Transform, width: number, height: number): void {
    this.last = { transform, width, height };
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      this.redraw();
    }, EVERY_MS);
  }

  destroy(): void {
    window.clearTimeout(this.timer);
  }

  private redraw(): void {
    if (!this.view) return;
    const context = this.element.getContext("2d")!;
    const { width, height } = this.element;
    context.clearRect(0, 0, width, height);
    if (this.picture.complete && this.picture.naturalWidth) context.drawImage(this.picture, 0, 0, width, height);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.seen, 0, 0, width, height);
    if (!this.last) return;
    const across = width / this.view.width_px, down = height / this.view.height_px;
    const corners = cornersOf(this.last.transform, this.last.width, this.last.height)
      .map(({ x, y }) => ({ x: x * across, y: y * down }));
    // A field too small to be seen is shown by a cross.
    const middle = { x: (corners[0]!.x + corners[2]!.x) / 2, y: (corners[0]!.y + corners[2]!.y) / 2 };
    const reach = Math.max(6, Math.hypot(corners[2]!.x - corners[0]!.x, corners[2]!.y - corners[0]!.y) / 2 + 3);
    const path = new Path2D();
    corners.forEach(({ x, y }, index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
    if (reach < 12) {
      path.moveTo(middle.x - 12, middle.y);
      path.lineTo(middle.x + 12, middle.y);
      path.moveTo(middle.x, middle.y - 12);
      path.lineTo(middle.x, middle.y + 12);
    }
    for (const [colour, line] of [[this.palette.halo, 4], [this.palette.heat[1], 2]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.stroke(path);
    }
  }
}
