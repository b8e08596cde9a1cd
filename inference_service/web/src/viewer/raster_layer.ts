/** Grids over the slide as one small picture each: the heat map and what was looked at. */
import type { Pane } from "./findings_layer";
import type { Transform } from "./transform";

export class RasterLayer {
  private readonly canvas = document.createElement("canvas");
  private cell_px = 0;

  /** Paint a grid whose squares have `cell_px` of the slide on a side; `colour(i)` gives red, green, blue, alpha. */
  paint(columns: number, rows: number, cell_px: number, colour: (index: number) => readonly number[] | null): void {
    this.cell_px = cell_px;
    this.canvas.width = columns;
    this.canvas.height = rows;
    const image = new ImageData(columns, rows);
    for (let index = 0; index < columns * rows; index++) {
      const rgba = colour(index);
      if (rgba) image.data.set(rgba, index * 4);
    }
    this.canvas.getContext("2d")!.putImageData(image, 0, 0);
  }

  /** Change one square. */
  set(index: number, rgba: readonly number[]): void {
    const context = this.canvas.getContext("2d")!;
    const [red, green, blue, alpha] = rgba;
    context.clearRect(index % this.canvas.width, Math.floor(index / this.canvas.width), 1, 1);
    context.fillStyle = `rgba(${red}, ${green}, ${blue}, ${alpha! / 255})`;
    context.fillRect(index % this.canvas.width, Math.floor(index / this.canvas.width), 1, 1);
  }

  clear(): void {
    this.cell_px = 0;
  }

  get empty(): boolean {
    return this.cell_px === 0;
  }

  draw(context: CanvasRenderingContext2D, view: Transform, pane: Pane): void {
    if (this.empty) return;
    const { ratio } = pane;
    context.save();
    context.setTransform(
      view.a * ratio, view.b * ratio, view.c * ratio, view.d * ratio, view.e * ratio, view.f * ratio,
    );
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, this.canvas.width * this.cell_px, this.canvas.height * this.cell_px);
    context.restore();
  }
}

/** `#rrggbb` as numbers. */
export function rgbOf(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
