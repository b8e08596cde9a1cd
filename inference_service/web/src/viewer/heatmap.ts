/** Where the network suspects what: the highest suspicion of each tile of an analysed slide. */
import { json } from "../common/api";
import { rgbOf, type RasterLayer } from "./raster_layer";

/** What `GET /api/v1/analyses/{id}/map` answers; both grids row after row from the top left. */
export interface SuspicionMap {
  readonly columns: number;
  readonly rows: number;
  readonly tile_um: number;
  /** 0 to 1; null where nothing was screened. */
  readonly suspicion: readonly (number | null)[];
}

const LEAST_ALPHA = 40, MOST_ALPHA = 170;
/** Below this a tile is left clear. */
const LEAST_SUSPICION = 0.05;

export const loadMap = (analysisId: string): Promise<SuspicionMap> =>
  json<SuspicionMap>("GET", `/api/v1/analyses/${encodeURIComponent(analysisId)}/map`);

/** Red, green, blue and alpha: from the first colour to the second, and denser, with suspicion. */
export function heatColour(suspicion: number, colours: readonly [string, string]): [number, number, number, number] {
  const [low, high] = [rgbOf(colours[0]), rgbOf(colours[1])];
  const [red, green, blue] = low.map((from, channel) => Math.round(from + (high[channel]! - from) * suspicion));
  return [red!, green!, blue!, Math.round(LEAST_ALPHA + (MOST_ALPHA - LEAST_ALPHA) * suspicion)];
}

export function paintMap(layer: RasterLayer, map: SuspicionMap, mpp: number, colours: readonly [string, string]): void {
  layer.paint(map.columns, map.rows, map.tile_um / mpp, (index) => {
    const value = map.suspicion[index] ?? 0;
    return value < LEAST_SUSPICION ? null : heatColour(value, colours);
  });
}
