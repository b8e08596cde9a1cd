/** The chooser of the case's slides; nothing is shown where there is only one. */
import { t } from "../common/texts";
import { element } from "./dom";
import type { SlideFacts } from "./types";

export class SlideChooser {
  private readonly buttons: HTMLButtonElement[] = [];
  place = 0;

  constructor(host: HTMLElement, readonly slides: readonly SlideFacts[], private readonly onChoose: (slide: SlideFacts) => void) {
    if (slides.length < 2) return;
    slides.forEach((slide, place) => {
      const made = element("button", { type: "button" });
      made.addEventListener("click", () => this.choose(place));
      this.buttons.push(made);
      this.name(slide);
      host.append(made);
    });
  }

  /** Write the name of a slide anew: its proposal or state has changed. */
  name(slide: SlideFacts): void {
    const place = this.slides.indexOf(slide);
    const made = this.buttons[place];
    if (!made) return;
    const state = slide.condition !== "ready" ? t(`case.condition.${slide.condition}`)
      : slide.proposal?.category ?? (slide.screening ? t(`case.job.${slide.screening.state}`) : "");
    made.textContent = `${t("case.slide_number", { n: place + 1 })} ${state}`.trim();
    made.setAttribute("aria-pressed", String(place === this.place));
  }

  choose(place: number): void {
    this.place = (place + this.slides.length) % this.slides.length;
    this.buttons.forEach((made, index) => made.setAttribute("aria-pressed", String(index === this.place)));
    this.onChoose(this.slides[this.place]!);
  }
}
