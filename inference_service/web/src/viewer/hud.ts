/** Scale bar, magnification, rotation, messages: what is written over the picture. */
import { t } from "../common/texts";
import { magnificationLabel, scaleBar } from "./scale";

const MOST_BAR_PX = 160;

export class Hud {
  readonly element = document.createElement("div");
  private readonly bar = document.createElement("span");
  private readonly barText = document.createElement("span");
  private readonly magnification = document.createElement("span");
  private readonly rotation = document.createElement("span");
  readonly message = document.createElement("p");

  constructor() {
    this.element.className = "viewer-hud";
    this.bar.className = "viewer-bar";
    this.message.className = "viewer-message";
    this.message.setAttribute("role", "status");
    this.message.hidden = true;
    const scale = document.createElement("span");
    scale.className = "viewer-scale";
    scale.append(this.bar, this.barText);
    this.element.append(scale, this.magnification, this.rotation);
  }

  /** `um_per_screen_px` null: the scale of the slide was not stated. */
  show(um_per_screen_px: number | null, magnification: number | null, rotation_deg: number): void {
    this.bar.hidden = um_per_screen_px === null;
    if (um_per_screen_px === null || magnification === null) {
      write(this.barText, t("viewer.no_scale"));
      write(this.magnification, "");
    } else {
      const bar = scaleBar(um_per_screen_px, MOST_BAR_PX);
      this.bar.style.width = `${bar.length_px.toFixed(1)}px`;
      write(this.barText, bar.label);
      write(this.magnification, magnificationLabel(magnification));
    }
    const turned = Math.round(((rotation_deg % 360) + 360) % 360) % 360;
    write(this.rotation, turned ? `${turned}°` : "");
  }

  say(text: string): void {
    this.message.textContent = text;
    this.message.hidden = !text;
  }
}

function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
