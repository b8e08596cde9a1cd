/** What lies over the slide: which layers are on, and drawing them onto two canvases (grids below, shapes above). */
import type { CoverageGrid } from "./coverage_grid";
import { FindingsLayer, type Pane } from "./findings_layer";
import { loadMap, paintMap } from "./heatmap";
import { MarksLayer } from "./marks_layer";
import { RasterLayer, rgbOf } from "./raster_layer";
import type { Palette } from "./shapes";
import { scaleOf, type Transform } from "./transform";
import type { FindingTable, Overlay, SlideView } from "./types";

/** Diameter of the field of an eyepiece with field number 22 behind a 40× objective. */
const FIELD_UM = (22 / 40) * 1000;
const SEEN_ALPHA = 70;
const MOST_RATIO = 2;

export class Overlays {
  readonly findings: FindingsLayer;
  readonly marks: MarksLayer;
  /** Whether a cross in the middle shows where a cell would be added. */
  aiming = false;
  private readonly heat = new RasterLayer();
  private readonly seen = new RasterLayer();
  private readonly below: CanvasRenderingContext2D;
  private readonly above: CanvasRenderingContext2D;
  private readonly on: Record<Overlay, boolean> = {
    outlines: true, filled: false, marks: true, heatmap: false, coverage: false, field: false,
  };
  private shown: FindingTable | null = null;
  private slide: SlideView | null = null;
  private analysisId: string | null = null;
  private mapAsked = false;
  /** At least a part of the slide. */
  screened = false;

  constructor(private readonly palette: Palette, host: HTMLElement) {
    this.findings = new FindingsLayer(palette);
    this.marks = new MarksLayer(palette);
    [this.below, this.above] = [canvasIn(host), canvasIn(host)];
  }

  open(slide: SlideView, analysisId: string | null): void {
    this.slide = slide;
    this.analysisId = analysisId;
    this.mapAsked = this.screened = false;
    this.shown = null;
    this.findings.setSlide(slide.width_px, slide.height_px, slide.mpp);
    this.findings.selected = null;
    this.marks.marks = [];
    this.heat.clear();
    this.seen.clear();
  }

  get table(): FindingTable | null {
    return this.shown;
  }

  set table(table: FindingTable | null) {
    this.shown = table;
    this.findings.setTable(table);
  }

  isOn(name: Overlay): boolean {
    return this.on[name];
  }

  set(name: Overlay, on: boolean): void {
    this.on[name] = on;
    this.findings.filled = this.on.filled;
  }

  /** Whether there can be a heat map: not of a single field, and not before something was screened. */
  get mappable(): boolean {
    return this.slide?.format !== "field" && this.screened;
  }

  /** Fetch the heat map where it is on and was not fetched yet; `again`: there is a newer one. */
  async loadMap(again = false): Promise<void> {
    const { slide, analysisId } = this;
    if (!this.on.heatmap || (this.mapAsked && !again) || !slide?.mpp || analysisId === null || !this.mappable) return;
    this.mapAsked = true;
    const map = await loadMap(analysisId);
    if (slide === this.slide) paintMap(this.heat, map, slide.mpp, this.palette.heat);
  }

  /** `fresh`: the squares that are new since the last time; null: all may be. */
  showSeen(grid: CoverageGrid | null, fresh: number[] | null): void {
    if (!grid) return this.seen.clear();
    const colour = [...rgbOf(this.palette.seen), SEEN_ALPHA];
    if (fresh === null || this.seen.empty) {
      this.seen.paint(grid.columns, grid.rows, grid.cell_px, (index) => (grid.has(index) ? colour : null));
    } else {
      for (const index of fresh) this.seen.set(index, colour);
    }
  }

  /** The rank of the finding that is drawn at a place of the slide. */
  rankAt(x_px: number, y_px: number, reach_px: number): number | null {
    const index = this.findings.at(x_px, y_px, reach_px);
    return index === null ? null : this.shown!.rank[index]!;
  }

  draw(view: Transform, width: number, height: number): void {
    const pane = { width, height, ratio: Math.min(MOST_RATIO, devicePixelRatio) };
    const grids = [this.on.heatmap ? this.heat : null, this.on.coverage ? this.seen : null];
    const visible = grids.filter((layer): layer is RasterLayer => layer !== null && !layer.empty);
    this.below.canvas.hidden = !visible.length;
    if (visible.length) {
      prepare(this.below, pane);
      for (const layer of visible) layer.draw(this.below, view, pane);
    }
    prepare(this.above, pane);
    if (this.on.outlines) this.findings.draw(this.above, view, pane);
    if (this.on.marks) this.marks.draw(this.above, view, pane);
    if (this.on.field) this.drawField(view, pane);
    if (this.aiming) this.drawAim(pane);
  }

  /** A circle as large as a microscope's field, fixed in the middle of the pane. */
  private drawField(view: Transform, pane: Pane): void {
    if (!this.slide?.mpp) return;
    const radius = ((FIELD_UM / 2) / this.slide.mpp) * scaleOf(view);
    const path = new Path2D();
    path.arc(pane.width / 2, pane.height / 2, radius, 0, 2 * Math.PI);
    this.line(path, pane, this.palette.heat[1]);
  }

  private drawAim(pane: Pane): void {
    const path = new Path2D();
    const [x, y] = [pane.width / 2, pane.height / 2];
    for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
      path.moveTo(x + right * 6, y + down * 6);
      path.lineTo(x + right * 24, y + down * 24);
    }
    this.line(path, pane, this.palette.mark);
  }

  private line(path: Path2D, pane: Pane, colour: string): void {
    const context = this.above;
    context.save();
    context.scale(pane.ratio, pane.ratio);
    for (const [stroke, width] of [[this.palette.halo, 4], [colour, 2]] as const) {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.stroke(path);
    }
    context.restore();
  }
}

function canvasIn(host: HTMLElement): CanvasRenderingContext2D {
  const canvas = document.createElement("canvas");
  canvas.className = "viewer-overlay";
  canvas.setAttribute("aria-hidden", "true");
  host.append(canvas);
  return canvas.getContext("2d")!;
}

/** As large as the pane, and empty. */
function prepare(context: CanvasRenderingContext2D, pane: Pane): void {
  const width = Math.round(pane.width * pane.ratio), height = Math.round(pane.height * pane.ratio);
  if (context.canvas.width !== width || context.canvas.height !== height) {
    context.canvas.width = width;
    context.canvas.height = height;
  } else {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
  }
}
