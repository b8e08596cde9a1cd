/** OpenSeadragon: the slide itself, moving and zooming it. */
import OpenSeadragon from "openseadragon";
import { throughCorners, type Point, type Transform } from "./transform";
import type { SlideView } from "./types";

/** The lowest level that is asked for fits into one tile. */
const FIRST_LEVEL = 8;
/** Screen pixels that one pixel of the slide may become. */
const MOST_ENLARGED = 4;
/** Tiles asked for at once: what a browser sends to one server anyway. */
const AT_ONCE = 6;
const TRIES = 3;
const RETRY_MS = 2000;

export class Stage {
  readonly osd: OpenSeadragon.Viewer;
  private view: SlideView | null = null;
  private plane = 0;

  constructor(host: HTMLElement, private readonly changed: () => void) {
    keepStyleOut();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.osd = new OpenSeadragon.Viewer({
      element: host,
      drawer: "canvas",
      showNavigationControl: false,
      showNavigator: false,
      prefixUrl: "",
      animationTime: calm ? 0 : 0.4,
      springStiffness: 8,
      blendTime: 0,
      imageLoaderLimit: AT_ONCE,
      maxImageCacheCount: 400,
      tileRetryMax: TRIES,
      tileRetryDelay: RETRY_MS,
      maxZoomPixelRatio: MOST_ENLARGED,
      minZoomImageRatio: 0.7,
      visibilityRatio: 0.4,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, pinchToZoom: true, flickEnabled: true },
      gestureSettingsPen: { clickToZoom: false },
    });
    // The page binds the keys; those of OpenSeadragon would do other things.
    this.osd.addHandler("canvas-key", (event) => {
      event.preventDefaultAction = true;
    });
    this.osd.addHandler("update-viewport", this.changed);
    this.osd.addHandler("resize", this.changed);
  }

  /** Show a slide; resolves when its first picture may be drawn. */
  open(view: SlideView): Promise<void> {
    this.view = view;
    this.plane = view.best_plane;
    this.osd.viewport?.setRotation(0, true);
    return new Promise((resolve, reject) => {
      this.osd.addOnceHandler("open", () => resolve());
      this.osd.addOnceHandler("open-failed", (event) => reject(new Error(String(event.message))));
      this.osd.open(this.source() as unknown as OpenSeadragon.TileSourceSpecifier);
    });
  }

  private source(): object {
    const view = this.view!, plane = this.plane;
    const query = view.planes > 1 ? `?plane=${plane}` : "";
    return {
      width: view.width_px,
      height: view.height_px,
      tileSize: view.tile_px,
      tileOverlap: 0,
      minLevel: Math.min(FIRST_LEVEL, view.levels),
      maxLevel: view.levels,
      getTileUrl: (level: number, x: number, y: number) =>
        `/api/v1/slides/${encodeURIComponent(view.slide_id)}/tiles/${level}/${x}_${y}.jpg${query}`,
    };
  }

  /** The focal plane that is shown. */
  get focalPlane(): number {
    return this.plane;
  }

  set focalPlane(plane: number) {
    if (!this.view || plane === this.plane || plane < 0 || plane >= this.view.planes) return;
    this.plane = plane;
    this.osd.addTiledImage({
      tileSource: this.source() as unknown as OpenSeadragon.TileSourceOptions, index: 0, replace: true, width: 1,
    });
  }

  /** Null before a slide is open. */
  transform(): Transform | null {
    const { view } = this;
    if (!view || !this.osd.isOpen()) return null;
    const at = (x: number, y: number): Point => this.osd.viewport.imageToViewerElementCoordinates(point(x, y));
    return throughCorners(
      view.width_px, view.height_px, at(0, 0), at(view.width_px, 0), at(0, view.height_px),
    );
  }

  get size(): { width: number; height: number } {
    const { x, y } = this.osd.viewport.getContainerSize();
    return { width: x, height: y };
  }

  /** Slide pixel in the middle of the pane, where the movement is going to end. */
  centre(): Point {
    return this.osd.viewport.viewportToImageCoordinates(this.osd.viewport.getCenter(false));
  }

  /** Move a slide pixel to the middle. */
  centreOn(x_px: number, y_px: number): void {
    this.osd.viewport.panTo(this.osd.viewport.imageToViewportCoordinates(x_px, y_px));
  }

  /** Pane pixels per slide pixel, around the middle. */
  zoomToScale(scale: number): void {
    this.osd.viewport.zoomTo(this.osd.viewport.imageToViewportZoom(scale));
    this.osd.viewport.applyConstraints();
  }

  zoomBy(factor: number): void {
    this.osd.viewport.zoomBy(factor);
    this.osd.viewport.applyConstraints();
  }

  panBy(right: number, down: number): void {
    const { width, height } = this.size;
    this.osd.viewport.panBy(this.osd.viewport.deltaPointsFromPixels(point(right * width, down * height)));
    this.osd.viewport.applyConstraints();
  }

  rotateBy(deg: number): void {
    this.osd.viewport.setRotation(this.osd.viewport.getRotation(false) + deg);
  }

  get rotation_deg(): number {
    return this.osd.viewport.getRotation(true);
  }

  home(): void {
    this.osd.viewport.setRotation(0);
    this.osd.viewport.goHome();
  }

  /** A place of the pane on the slide. */
  toSlide(position: Point): Point {
    return this.osd.viewport.viewerElementToImageCoordinates(point(position.x, position.y));
  }

  destroy(): void {
    this.osd.destroy();
  }
}

/**
 * OpenSeadragon adds a style element, which the Content-Security-Policy forbids, unless it finds its own: give it an
 * element of that name that means nothing to browsers.
 */
function keepStyleOut(): void {
  const none = document.createElementNS("urn:tamsoat:nothing", "style");
  none.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(none);
}

const point = (x: number, y: number): OpenSeadragon.Point => new OpenSeadragon.Point(x, y);
