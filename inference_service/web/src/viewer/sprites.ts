/** Small pictures of the shapes, as pixels: thousands of them are put into an image faster than paths are drawn. */
import { dashOf, trace, type Palette } from "./shapes";

export interface Sprite {
  readonly side: number;
  /** RGBA in the byte order of ImageData; 0: nothing there. */
  readonly pixels: Uint32Array;
}

/** Less than this much cover is left out: sprites are copied, not blended. */
const LEAST_ALPHA = 96;

export class Sprites {
  private readonly made = new Map<string, Sprite>();

  constructor(private readonly palette: Palette) {}

  /** The shape of a category; `filled`: solid instead of an outline. */
  of(category: number, radius: number, filled: boolean): Sprite {
    const key = `${category} ${radius} ${filled}`;
    let sprite = this.made.get(key);
    if (!sprite) this.made.set(key, (sprite = this.draw(category, radius, filled)));
    return sprite;
  }

  private draw(category: number, radius: number, filled: boolean): Sprite {
    const side = 2 * Math.ceil(radius * 1.4 + 2) + 1;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    const colour = this.palette.categories[category] ?? this.palette.mark;
    context.beginPath();
    trace(context, category, side / 2, side / 2, radius);
    context.strokeStyle = this.palette.halo;
    context.lineWidth = filled ? 2 : 3.5;
    context.stroke();
    context.fillStyle = context.strokeStyle = colour;
    if (filled) {
      context.fill();
    } else {
      context.setLineDash(radius > 4 ? dashOf(category) : []);
      context.lineWidth = category === 0 ? 1.5 : 2;
      context.stroke();
    }
    const data = context.getImageData(0, 0, side, side).data;
    const pixels = new Uint32Array(data.buffer.slice(0));
    for (let i = 0; i < pixels.length; i++) if (data[4 * i + 3]! < LEAST_ALPHA) pixels[i] = 0;
    return { side, pixels };
  }
}

/** A picture that sprites are copied into. */
export class Board {
  readonly image: ImageData;
  private readonly pixels: Uint32Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  clear(): void {
    this.pixels.fill(0);
  }

  /** Put the middle of `sprite` at (x, y). */
  put(sprite: Sprite, x: number, y: number): void {
    const { side, pixels } = sprite;
    const left = Math.round(x) - (side >> 1), top = Math.round(y) - (side >> 1);
    const fromX = Math.max(0, -left), toX = Math.min(side, this.width - left);
    const fromY = Math.max(0, -top), toY = Math.min(side, this.height - top);
    for (let row = fromY; row < toY; row++) {
      let at = (top + row) * this.width + left + fromX;
      let from = row * side + fromX;
      for (let column = fromX; column < toX; column++, at++, from++) {
        const pixel = pixels[from]!;
        if (pixel !== 0) this.pixels[at] = pixel;
      }
    }
  }
}
