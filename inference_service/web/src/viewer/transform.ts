/** From level-0 pixels of the slide to pixels of the pane and back: moves, scales and rotates. */

/** `x' = a x + c y + e`, `y' = b x + d y + f`, as in CanvasRenderingContext2D.setTransform. */
export interface Transform {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Upright rectangle. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The transform that takes (0, 0), (width, 0) and (0, height) to the three points. */
export function throughCorners(width: number, height: number, origin: Point, right: Point, below: Point): Transform {
  return {
    a: (right.x - origin.x) / width,
    b: (right.y - origin.y) / width,
    c: (below.x - origin.x) / height,
    d: (below.y - origin.y) / height,
    e: origin.x,
    f: origin.y,
  };
}

export function apply(t: Transform, x: number, y: number): Point {
  return { x: t.a * x + t.c * y + t.e, y: t.b * x + t.d * y + t.f };
}

export function inverse(t: Transform): Transform {
  const determinant = t.a * t.d - t.b * t.c;
  return {
    a: t.d / determinant,
    b: -t.b / determinant,
    c: -t.c / determinant,
    d: t.a / determinant,
    e: (t.c * t.f - t.d * t.e) / determinant,
    f: (t.b * t.e - t.a * t.f) / determinant,
  };
}

/** Pane pixels per slide pixel. */
export const scaleOf = (t: Transform): number => Math.hypot(t.a, t.b);

/** The four corners of a pane of `width` x `height`, on the slide, in order around it. */
export function cornersOf(t: Transform, width: number, height: number): Point[] {
  const back = inverse(t);
  return [apply(back, 0, 0), apply(back, width, 0), apply(back, width, height), apply(back, 0, height)];
}

/** The upright rectangle of the slide that holds all that a pane of `width` x `height` shows. */
export function boundsOf(t: Transform, width: number, height: number, margin = 0): Box {
  const corners = cornersOf(t, width, height);
  return {
    left: Math.min(...corners.map((point) => point.x)) - margin,
    top: Math.min(...corners.map((point) => point.y)) - margin,
    right: Math.max(...corners.map((point) => point.x)) + margin,
    bottom: Math.max(...corners.map((point) => point.y)) + margin,
  };
}
