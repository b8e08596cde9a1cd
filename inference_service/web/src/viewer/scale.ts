/** Magnification and scale bar. */

/**
 * Magnification as an objective would show it: a screen pixel at 10× is 1 µm wide, at 40× 0.25 µm (the nominal pixel of
 * a camera behind that objective).
 */
export const magnificationOf = (um_per_screen_px: number): number => 10 / um_per_screen_px;

/** Micrometres that a screen pixel has to be wide at a magnification. */
export const umPerScreenPx = (magnification: number): number => 10 / magnification;

export interface ScaleBar {
  readonly length_um: number;
  /** Screen pixels. */
  readonly length_px: number;
  /** Such as `50 µm` or `2 mm`. */
  readonly label: string;
}

/** The longest bar of 1, 2 or 5 times a power of ten that has at most `most_px`. */
export function scaleBar(um_per_screen_px: number, most_px: number): ScaleBar {
  const most_um = um_per_screen_px * most_px;
  const power = 10 ** Math.floor(Math.log10(most_um));
  const length_um = power * (most_um / power >= 5 ? 5 : most_um / power >= 2 ? 2 : 1);
  const label = length_um >= 1000 ? `${length_um / 1000} mm` : `${Number(length_um.toPrecision(3))} µm`;
  return { length_um, length_px: length_um / um_per_screen_px, label };
}

/** `20×`, `3.5×`. */
export function magnificationLabel(magnification: number): string {
  const shown = magnification >= 9.95 ? Math.round(magnification) : Number(magnification.toPrecision(2));
  return `${shown}×`;
}
