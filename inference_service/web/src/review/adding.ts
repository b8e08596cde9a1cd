/** Adding a cell that the AI missed: point at it, then choose its category. */
import { t } from "../common/texts";
import type { Viewer } from "../viewer/types";
import { announce, element } from "./dom";
import type { Boot } from "./types";
import { categoryName } from "./words";

export interface Place {
  x_px: number;
  y_px: number;
}

export class Adding {
  private on = false;

  constructor(
    private readonly viewer: Viewer, private readonly boot: Boot, private readonly add: (place: Place, category: string) => void,
  ) {
    viewer.on("add", (place) => {
      this.stop();
      this.ask(place);
    });
  }

  get active(): boolean {
    return this.on;
  }

  start(): void {
    if (this.boot.read_only) return announce(t(`case.read_only.${this.boot.read_only}`));
    this.on = true;
    this.viewer.addMode(true);
    announce(t("case.adding"));
  }

  stop(): void {
    this.on = false;
    this.viewer.addMode(false);
  }

  /** The cell in the middle of the view, for those who do not point. */
  here(): void {
    if (this.on) this.viewer.addAtCentre();
  }

  private ask(place: Place): void {
    const dialog = element("dialog", { "aria-labelledby": "adding-title" });
    const choices = element("p", { class: "choices adding" });
    const names = [...this.boot.categories, ...this.boot.cell_categories.filter((name) => !this.boot.categories.includes(name))];
    names.forEach((category, index) => {
      const choice = element("button", { type: "button" }, categoryName(category), " ", element("kbd", {}, String((index + 1) % 10)));
      choice.addEventListener("click", () => dialog.close(category));
      choices.append(choice);
    });
    const cancel = element("button", { type: "button" }, t("case.cancel"));
    cancel.addEventListener("click", () => dialog.close());
    dialog.append(element("h2", { id: "adding-title" }, t("case.adding_which")), choices, element("p", { class: "choices" }, cancel));
    dialog.addEventListener("keydown", (event) => {
      const chosen = /^\d$/.test(event.key) ? names[(Number(event.key) + 9) % 10] : undefined;
      if (chosen) dialog.close(chosen);
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue) this.add(place, dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  }
}
