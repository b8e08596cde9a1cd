/** The slide viewer: OpenSeadragon with findings, marks, heat map, coverage, scale bar and overview. */
import { SlideViewer } from "./viewer";
import type { Viewer, ViewerOptions } from "./types";

export { appended, emptyFindings, loadFindings } from "./findings";
export * from "./types";

/** Make a viewer that fills `host`. Texts of the page: those whose keys begin with `viewer.`; style: viewer.css. */
export async function createViewer(host: HTMLElement, options: ViewerOptions = {}): Promise<Viewer> {
  const viewer = new SlideViewer(host, options.readOnly ?? false);
  if (options.slideId) await viewer.open(options.slideId, options.analysisId ?? null);
  return viewer;
}
