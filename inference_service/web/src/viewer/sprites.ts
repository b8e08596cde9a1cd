/** Small pictures of the shapes, as pixels: thousands of them are put into an image faster than paths are drawn. */
import { dashOf, hasHalo, trace, type Palette } from "./shapes";

export interface Sprite {
  readonly side: number;
  /** The pixels that are there: how far right of and below the upper left corner, and their RGBA as in ImageData. */
  readonly right: Int16Array;
  readonly down: Int16Array;
  readonly colour: Uint32Array;
}

const MOST_SPRITES = 400;
/** Less than this much cover is left out: sprites are copied, not blended. */
const LEAST_ALPHA = 96;

export class Sprites {
  private readonly made = new Map<string, Sprite>();

  constructor(private readonly palette: Palette) {}

  /** The shape of a category; `filled`: solid instead of an outline; `alpha`: 0 to 255. */
  of(category: number, radius: number, filled: boolean, alpha = 255): Sprite {
    const key = `${category} ${radius} ${filled} ${alpha}`;
    let sprite = this.made.get(key);
    if (!sprite && this.made.size >= MOST_SPRITES) this.made.clear();
    if (!sprite) this.made.set(key, (sprite = this.draw(category, radius, filled, alpha)));
    return sprite;
  }

  private draw(category: number, radius: number, filled: boolean, alpha: number): Sprite {
    const side = 2 * Math.ceil(radius * 1.4 + 2) + 1;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    const colour = this.palette.categories[category] ?? this.palette.mark;
    context.beginPath();
    trace(context, category, side / 2, side / 2, radius);
    context.strokeStyle = this.palette.halo;
    context.lineWidth = filled ? 2 : 3.5;
    if (filled || hasHalo(category)) context.stroke();
    context.fillStyle = context.strokeStyle = colour;
    if (filled) {
      context.fill();
    } else {
      context.setLineDash(radius > 4 ? dashOf(category) : []);
      context.lineWidth = category === 0 ? 1.5 : 2;
      context.stroke();
    }
    const data = context.getImageData(0, 0, side, side).data;
    for (let i = 3; i < data.length; i += 4) data[i] = data[i]! < LEAST_ALPHA ? 0 : Math.min(alpha, data[i]!);
    return sparse(side, new Uint32Array(data.buffer));
  }
}

function sparse(side: number, pixels: Uint32Array): Sprite {
  const kept = Array.from(pixels.keys()).filter((index) => pixels[index] !== 0 && opaque(pixels[index]!));
  return {
    side,
    right: Int16Array.from(kept, (index) => index % side),
    down: Int16Array.from(kept, (index) => Math.floor(index / side)),
    colour: Uint32Array.from(kept, (index) => pixels[index]!),
  };
}

/** On all machines that run browsers the last byte of a pixel is its highest. */
const opaque = (pixel: number): boolean => pixel >>> 24 !== 0;

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
    const { side, right, down, colour } = sprite;
    const { width, height, pixels } = this;
    const left = Math.round(x) - (side >> 1), top = Math.round(y) - (side >> 1);
    if (left >= width || top >= height || left + side <= 0 || top + side <= 0) return;
    if (left >= 0 && top >= 0 && left + side <= width && top + side <= height) {
      const start = top * width + left;
      for (let i = 0; i < colour.length; i++) pixels[start + down[i]! * width + right[i]!] = colour[i]!;
      return;
    }
    for (let i = 0; i < colour.length; i++) {
      const column = left + right[i]!, row = top + down[i]!;
      if (column >= 0 && column < width && row >= 0 && row < height) pixels[row * width + column] = colour[i]!;
    }
  }
}
