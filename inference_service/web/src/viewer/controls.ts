/** The viewer's own buttons: each has a name, is reached by Tab and says whether it is on. */
import { t } from "../common/texts";
import type { Overlay } from "./types";

export const MAGNIFICATIONS = [4, 10, 20, 40] as const;
export const TOGGLES: readonly Overlay[] = ["outlines", "filled", "marks", "heatmap", "coverage", "field"];

export interface Actions {
  zoom(factor: number): void;
  zoomTo(magnification: number): void;
  rotate(by_deg: number): void;
  home(): void;
  changePlane(by: number): void;
  setOverlay(name: Overlay, on: boolean): void;
  overlay(name: Overlay): boolean;
}

export class Controls {
  readonly element = document.createElement("div");
  private readonly toggles = new Map<Overlay, HTMLButtonElement>();
  private readonly steps = new Map<number, HTMLButtonElement>();
  private readonly planes = document.createElement("span");
  private readonly planeText = document.createElement("output");

  constructor(private readonly actions: Actions) {
    this.element.className = "viewer-controls";
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", t("viewer.controls"));
    this.element.append(
      group(
        button("−", t("viewer.zoom_out"), () => actions.zoom(1 / 1.5)),
        button("+", t("viewer.zoom_in"), () => actions.zoom(1.5)),
        button(t("viewer.whole"), t("viewer.whole_label"), () => actions.home()),
      ),
      group(...MAGNIFICATIONS.map((value) => this.step(value))),
      group(
        button("↺", t("viewer.rotate_left"), () => actions.rotate(-15)),
        button("↻", t("viewer.rotate_right"), () => actions.rotate(15)),
      ),
      this.planes,
      group(...TOGGLES.map((name) => this.toggle(name))),
    );
    this.planes.className = "viewer-group";
    this.planes.append(
      button("▽", t("viewer.plane_down"), () => actions.changePlane(-1)),
      this.planeText,
      button("△", t("viewer.plane_up"), () => actions.changePlane(1)),
    );
  }

  /** What the slide has. */
  open(planes: number, hasScale: boolean): void {
    this.planes.hidden = planes < 2;
    for (const step of this.steps.values()) step.disabled = !hasScale;
    this.toggles.get("field")!.disabled = this.toggles.get("coverage")!.disabled = !hasScale;
  }

  showPlane(plane: number, planes: number): void {
    this.planeText.textContent = t("viewer.plane", { n: plane + 1, of: planes });
  }

  showMagnification(magnification: number | null): void {
    for (const [value, step] of this.steps) {
      const on = magnification !== null && Math.abs(magnification / value - 1) < 0.02;
      if ((step.getAttribute("aria-pressed") === "true") !== on) step.setAttribute("aria-pressed", String(on));
    }
  }

  showOverlay(name: Overlay): void {
    this.toggles.get(name)?.setAttribute("aria-pressed", String(this.actions.overlay(name)));
  }

  /** Hide what needs findings of the network, for whoever reads without them; a single field has no heat map. */
  showAnalysed(analysed: boolean, single: boolean): void {
    for (const name of ["outlines", "filled", "heatmap"] as const) this.toggles.get(name)!.hidden = !analysed;
    this.toggles.get("heatmap")!.hidden ||= single;
  }

  private step(value: number): HTMLButtonElement {
    const made = button(`${value}×`, t("viewer.magnification", { n: value }), () => this.actions.zoomTo(value));
    made.setAttribute("aria-pressed", "false");
    this.steps.set(value, made);
    return made;
  }

  private toggle(name: Overlay): HTMLButtonElement {
    const label = t(`viewer.${name}`);
    const made = button(label, "", () => this.actions.setOverlay(name, !this.actions.overlay(name)));
    made.title = t(`viewer.${name}_help`);
    this.toggles.set(name, made);
    made.setAttribute("aria-pressed", String(this.actions.overlay(name)));
    return made;
  }
}

function group(...buttons: HTMLElement[]): HTMLSpanElement {
  const made = document.createElement("span");
  made.className = "viewer-group";
  made.append(...buttons);
  return made;
}

function button(text: string, label: string, act: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (label) {
    made.title = label;
    made.setAttribute("aria-label", label);
  }
  made.addEventListener("click", act);
  return made;
}
