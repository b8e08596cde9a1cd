/** Puts the parts of the viewer together. */
import { json, Problem } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { Controls } from "./controls";
import { CoverageKeeper } from "./coverage";
import { followFindings } from "./findings";
import { Hud } from "./hud";
import { Legend } from "./legend";
import { Overlays } from "./overlays";
import { Overview } from "./overview";
import { magnificationOf, umPerScreenPx } from "./scale";
import { paletteOf } from "./shapes";
import { Stage } from "./stage";
import { scaleOf } from "./transform";
import type { FindingTable, Mark, Overlay, SlideView, Viewer, ViewerEvents } from "./types";

const LOOK_EVERY_MS = 100;
const TELL_EVERY_MS = 150;
/** How near to an outline a click has to be, screen pixels. */
const REACH = 10;

type Handlers = { [E in keyof ViewerEvents]: Set<(detail: ViewerEvents[E]) => void> };

export class SlideViewer implements Viewer {
  private readonly stage: Stage;
  private readonly overlays: Overlays;
  private readonly controls: Controls;
  private readonly legend: Legend;
  private readonly hud = new Hud();
  private readonly overview: Overview;
  private readonly coverage: CoverageKeeper;
  private readonly handlers: Handlers = {
    select: new Set(), add: new Set(), coverage: new Set(), viewport: new Set(), findings: new Set(), open: new Set(),
    overlay: new Set(),
  };
  private readonly ends = new AbortController();
  private readonly clock: number;
  private slide: SlideView | null = null;
  private followed: FindingTable | null = null;
  /** The page shows findings of its own choice. */
  private chosen = false;
  private stopFollowing: () => void = () => undefined;
  private adding = false;
  private redrawAsked = 0;
  private toldAt_ms = 0;

  constructor(private readonly host: HTMLElement, readOnly: boolean) {
    host.classList.add("viewer");
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", t("viewer.slide"));
    const palette = paletteOf(host);
    const ground = document.createElement("div");
    ground.className = "viewer-stage";
    host.append(ground);
    this.stage = new Stage(ground, () => this.draw());
    this.overlays = new Overlays(palette, this.stage.osd.canvas);
    this.overview = new Overview(palette, ({ x, y }) => this.stage.centreOn(x, y));
    this.controls = new Controls(this);
    this.legend = new Legend(palette, () => {
      this.overlays.findings.filter(this.legend.shown);
      this.redraw();
    });
    this.coverage = new CoverageKeeper(readOnly, (fresh) => this.seen(fresh));
    host.append(this.controls.element, this.legend.element, this.hud.element, this.overview.element, this.hud.message);
    this.stage.osd.addHandler("canvas-click", (event) => {
      if (event.quick) this.click(event.position.x, event.position.y);
    });
    this.clock = window.setInterval(() => this.look(), LOOK_EVERY_MS);
    addEventListener("pagehide", () => this.coverage.flush(true), { signal: this.ends.signal });
    document.addEventListener(
      "visibilitychange", () => document.hidden && this.coverage.flush(true), { signal: this.ends.signal },
    );
  }

  async open(slideId: string, analysisId: string | null): Promise<void> {
    this.stopFollowing();
    const slide = await json<SlideView>("GET", `/api/v1/slides/${encodeURIComponent(slideId)}/view`);
    this.slide = slide;
    this.followed = null;
    this.chosen = false;
    this.overlays.open(slide, analysisId);
    this.legend.count(null);
    this.controls.open(slide.planes, slide.mpp !== null);
    this.controls.showPlane(slide.best_plane, slide.planes);
    this.controls.showAnalysed(analysisId !== null, slide.format === "field");
    this.overview.open(slide);
    this.overview.showSeen(null);
    this.hud.say("");
    await this.stage.open(slide);
    this.emit("open", { view: slide });
    this.coverage.open(slide).catch((error: unknown) => this.complain("viewer.coverage_missing", error));
    if (analysisId !== null) {
      this.stopFollowing = followFindings(
        analysisId, (table) => this.arrived(table), (problem) => this.complain("viewer.findings_missing", problem),
      );
    }
    this.showMap();
    this.redraw();
  }

  setFindings(table: FindingTable | null): void {
    this.chosen = true;
    this.showFindings(table);
  }

  setMarks(marks: readonly Mark[]): void {
    this.overlays.marks.marks = marks;
    this.redraw();
  }

  focus(x_px: number, y_px: number, side_um?: number): void {
    if (side_um !== undefined && this.slide?.mpp) {
      const { width, height } = this.stage.size;
      this.stage.zoomToScale((Math.min(width, height) * this.slide.mpp) / side_um);
    }
    this.stage.centreOn(x_px, y_px);
  }

  select(rank: number | null): void {
    this.overlays.findings.selected = rank;
    this.redraw();
  }

  on<E extends keyof ViewerEvents>(event: E, handler: (detail: ViewerEvents[E]) => void): () => void {
    this.handlers[event].add(handler);
    return () => this.handlers[event].delete(handler);
  }

  addMode(on: boolean): void {
    this.adding = this.overlays.aiming = on;
    this.host.classList.toggle("viewer-adding", on);
    this.redraw();
  }

  addAtCentre(): void {
    if (!this.adding) return;
    const { x, y } = this.stage.centre();
    this.add(x, y);
  }

  setOverlay(name: Overlay, on: boolean): void {
    this.overlays.set(name, on);
    this.controls.showOverlay(name);
    if (name === "outlines") this.legend.element.hidden = !on || !this.overlays.table;
    if (name === "heatmap") {
      this.legend.showHeat(on);
      this.hud.say(on && this.slide && !this.overlays.mappable ? t("error.analysis-without-map") : "");
      this.showMap();
    }
    this.emit("overlay", { name, on });
    this.redraw();
  }

  overlay(name: Overlay): boolean {
    return this.overlays.isOn(name);
  }

  zoomTo(magnification: number): void {
    if (this.slide?.mpp) this.stage.zoomToScale(this.slide.mpp / umPerScreenPx(magnification));
  }

  zoom(factor: number): void {
    this.stage.zoomBy(factor);
  }

  pan(right: number, down: number): void {
    this.stage.panBy(right, down);
  }

  rotate(by_deg: number): void {
    this.stage.rotateBy(by_deg);
  }

  home(): void {
    this.stage.home();
  }

  changePlane(by: number): void {
    if (!this.slide) return;
    this.stage.focalPlane += by;
    this.controls.showPlane(this.stage.focalPlane, this.slide.planes);
  }

  destroy(): void {
    this.stopFollowing();
    this.coverage.flush(true);
    this.ends.abort();
    window.clearInterval(this.clock);
    cancelAnimationFrame(this.redrawAsked);
    this.overview.destroy();
    this.stage.destroy();
    this.host.replaceChildren();
  }

  private arrived(table: FindingTable): void {
    this.followed = table;
    this.overlays.screened = table.complete || table.parts > 0;
    if (!this.chosen) this.showFindings(table);
    this.emit("findings", { table });
    this.showMap(true);
  }

  /** Fetch the heat map where it is wanted; `again`: there is a newer one. */
  private showMap(again = false): void {
    this.overlays.loadMap(again).then(() => this.redraw(), (error: unknown) => this.complain("viewer.map_missing", error));
  }

  private showFindings(table: FindingTable | null): void {
    this.overlays.table = table;
    this.legend.count(this.overlays.isOn("outlines") ? (this.followed ?? table) : null);
    this.redraw();
  }

  private click(x: number, y: number): void {
    const place = this.stage.toSlide({ x, y });
    if (this.adding) return this.add(place.x, place.y);
    const view = this.stage.transform();
    if (!view || !this.overlays.isOn("outlines")) return;
    const rank = this.overlays.rankAt(place.x, place.y, REACH / scaleOf(view));
    this.select(rank);
    this.emit("select", { rank });
  }

  private add(x_px: number, y_px: number): void {
    if (!this.slide) return;
    if (x_px >= 0 && y_px >= 0 && x_px < this.slide.width_px && y_px < this.slide.height_px) {
      this.emit("add", { x_px, y_px });
    }
  }

  private seen(fresh: number[] | null): void {
    this.overlays.showSeen(this.coverage.grid, fresh);
    if (fresh === null || fresh.length) this.overview.showSeen(this.coverage.grid);
    this.emit("coverage", this.coverage.state);
    this.redraw();
  }

  private look(): void {
    const view = document.hidden ? null : this.stage.transform();
    if (view) this.coverage.look(view, this.stage.size.width, this.stage.size.height, performance.now());
  }

  private redraw(): void {
    this.redrawAsked ||= requestAnimationFrame(() => {
      this.redrawAsked = 0;
      this.draw();
    });
  }

  private draw(): void {
    const view = this.stage.transform();
    if (!view || !this.slide) return;
    const { width, height } = this.stage.size;
    this.overlays.draw(view, width, height);
    this.overview.follow(view, width, height);
    const um = this.slide.mpp === null ? null : this.slide.mpp / scaleOf(view);
    const magnification = um === null ? null : magnificationOf(um);
    this.hud.show(um, magnification, this.stage.rotation_deg);
    const now_ms = performance.now();
    if (now_ms - this.toldAt_ms < TELL_EVERY_MS) return;
    this.toldAt_ms = now_ms;
    this.controls.showMagnification(magnification);
    const { x, y } = this.stage.toSlide({ x: width / 2, y: height / 2 });
    this.emit("viewport", { x_px: x, y_px: y, magnification, rotation_deg: this.stage.rotation_deg });
  }

  private complain(key: string, error: unknown): void {
    const words = error instanceof Problem ? wordsFor(error) : String(error);
    this.hud.say(`${t(key)} ${words}`);
  }

  private emit<E extends keyof ViewerEvents>(event: E, detail: ViewerEvents[E]): void {
    for (const handler of this.handlers[event]) handler(detail);
  }
}
