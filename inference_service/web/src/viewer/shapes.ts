/** The outline of each category: a shape of its own, so that nobody depends on colour. */

/** As `AI_CATEGORIES`. */
export const SHAPES = ["dots", "circle", "square", "diamond", "triangle", "star"] as const;

export interface Palette {
  /** By category. */
  readonly categories: readonly string[];
  /** Around outlines, so that they are seen on dark nuclei and on the white ground. */
  readonly halo: string;
  readonly selected: string;
  readonly mark: string;
  readonly seen: string;
  readonly heat: readonly [string, string];
}

type Path = Pick<CanvasRenderingContext2D, "moveTo" | "lineTo" | "arc" | "closePath">;

/** Add the outline of a category, about `radius` around (x, y), to the path. */
export function trace(path: Path, category: number, x: number, y: number, radius: number): void {
  switch (SHAPES[category] ?? "circle") {
    case "square":
      return polygon(path, x, y, radius * 1.2, 4, Math.PI / 4);
    case "diamond":
      return polygon(path, x, y, radius * 1.2, 4, 0);
    case "triangle":
      return polygon(path, x, y, radius * 1.35, 3, -Math.PI / 2);
    case "star":
      return star(path, x, y, radius * 1.3);
    default:
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
  }
}

function polygon(path: Path, x: number, y: number, radius: number, corners: number, turn: number): void {
  for (let i = 0; i < corners; i++) {
    const angle = turn + (i * 2 * Math.PI) / corners;
    const at = [x + radius * Math.cos(angle), y + radius * Math.sin(angle)] as const;
    if (i === 0) path.moveTo(...at);
    else path.lineTo(...at);
  }
  path.closePath();
}

/** Eight points. */
function star(path: Path, x: number, y: number, radius: number): void {
  for (let i = 0; i < 16; i++) {
    const angle = (i * Math.PI) / 8 - Math.PI / 2;
    const reach = i % 2 ? radius * 0.72 : radius;
    const at = [x + reach * Math.cos(angle), y + reach * Math.sin(angle)] as const;
    if (i === 0) path.moveTo(...at);
    else path.lineTo(...at);
  }
  path.closePath();
}

/** The many outlines of NILM are kept faint. */
export const hasHalo = (category: number): boolean => category !== 0;

/** NILM is dotted. */
export const dashOf = (category: number): number[] => (category === 0 ? [2, 3] : []);

/** The colours of the style sheet. */
export function paletteOf(element: HTMLElement): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--slide-${name}`).trim() || "#000000";
  return {
    categories: ["nilm", "asc-us", "lsil", "asc-h", "hsil", "scc"].map(colour),
    halo: colour("halo"),
    selected: colour("selected"),
    mark: colour("mark"),
    seen: colour("seen"),
    heat: [colour("heat-low"), colour("heat-high")],
  };
}
