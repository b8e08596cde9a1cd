/** Draws the marks of people: pins with a sign and a name, unlike anything the network draws. */
import type { Pane } from "./findings_layer";
import type { Palette } from "./shapes";
import { apply, scaleOf, type Transform } from "./transform";
import type { Mark } from "./types";

const SIGNS: Record<Mark["kind"], string> = { agree: "✓", regrade: "✎", dismiss: "✕", add: "+" };
const PIN = 9;
/** Nearer than this the name and the category stand beside the pin. */
const NAMES_FROM_SCALE = 0.4;
const MOST_NAMES = 200;
/** Distance of the pin from the place it points at, screen pixels. */
const STALK = 22;

export class MarksLayer {
  marks: readonly Mark[] = [];

  constructor(private readonly palette: Palette) {}

  draw(context: CanvasRenderingContext2D, view: Transform, pane: Pane): void {
    if (!this.marks.length) return;
    const margin = 2 * STALK;
    const inView = this.marks
      .map((mark) => ({ mark, at: apply(view, mark.x_px, mark.y_px) }))
      .filter(({ at }) => at.x > -margin && at.x < pane.width + margin && at.y > -margin && at.y < pane.height + margin);
    const named = scaleOf(view) >= NAMES_FROM_SCALE && inView.length <= MOST_NAMES;
    context.save();
    context.scale(pane.ratio, pane.ratio);
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const { mark, at } of inView) this.pin(context, mark, at.x, at.y);
    if (named) {
      context.textAlign = "left";
      for (const { mark, at } of inView) this.name(context, mark, at.x, at.y);
    }
    context.restore();
  }

  /** A square pin above the place, with a stalk down to it. */
  private pin(context: CanvasRenderingContext2D, mark: Mark, x: number, y: number): void {
    const top = y - STALK;
    context.strokeStyle = this.palette.halo;
    context.lineWidth = 4;
    line(context, x, y, x, top);
    context.strokeRect(x - PIN, top - PIN, 2 * PIN, 2 * PIN);
    context.strokeStyle = context.fillStyle = this.palette.mark;
    context.lineWidth = 2;
    line(context, x, y, x, top);
    context.fillRect(x - PIN, top - PIN, 2 * PIN, 2 * PIN);
    context.fillStyle = this.palette.halo;
    context.fillText(SIGNS[mark.kind], x, top + 1);
  }

  private name(context: CanvasRenderingContext2D, mark: Mark, x: number, y: number): void {
    const text = [mark.category, mark.author_name].filter(Boolean).join(" · ");
    context.strokeStyle = this.palette.halo;
    context.lineWidth = 3;
    context.strokeText(text, x + PIN + 4, y - STALK);
    context.fillStyle = this.palette.mark;
    context.fillText(text, x + PIN + 4, y - STALK);
  }
}

function line(context: CanvasRenderingContext2D, x: number, y: number, toX: number, toY: number): void {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
}
