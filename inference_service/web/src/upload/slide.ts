/** A slide that has arrived and is not analysed yet: it is being prepared, or its scale is to be stated. */
import { json, send } from "../common/api";
import type { Messages } from "./messages";

const EVERY_MS = 3000;
const OBJECTIVES = [10, 20, 40, 60, 100];

export interface SlideState {
  readonly slide_id: string;
  readonly condition: "ready" | "needs-scale" | "building" | "unreadable";
  readonly mpp: number | null;
  readonly format: string | null;
  readonly pyramid_percent: number;
  readonly analysis_id: string | null;
  readonly case_id: string | null;
}

function url(slideId: string): string {
  return `/api/v1/slides/${encodeURIComponent(slideId)}`;
}

/** Call `show` now and every few seconds, until the analysis was asked for or the slide turned out to be unreadable. */
export function followSlide(slideId: string, show: (slide: SlideState) => void): void {
  const look = async (): Promise<void> => {
    let slide: SlideState | null = null;
    try {
      slide = await json<SlideState>("GET", url(slideId));
    } catch {
      // The line is down or the service restarts: the next look will tell.
    }
    if (slide) show(slide);
    if (!slide || (!slide.analysis_id && slide.condition !== "unreadable")) setTimeout(() => void look(), EVERY_MS);
  };
  void look();
}

/** The page of the slide's case; null where it has none. */
export async function caseOf(slideId: string): Promise<string | null> {
  const slide = await json<SlideState>("GET", url(slideId));
  return slide.case_id ? `/cases/${encodeURIComponent(slide.case_id)}` : null;
}

/** A choice of objectives that states the scale of the slide. */
export function scaleForm(slideId: string, name: string, text: Messages): HTMLFormElement {
  const form = document.createElement("form");
  const select = document.createElement("select");
  const button = document.createElement("button");
  const problem = document.createElement("span");
  select.setAttribute("aria-label", `${text.scale}: ${name}`);
  select.add(new Option(text.choose, ""));
  for (const objective of OBJECTIVES) select.add(new Option(`${objective}×`, String(objective)));
  button.type = "submit";
  button.textContent = text.stateScale;
  problem.setAttribute("role", "alert");
  form.append(select, button, problem);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (select.value === "") return;
    button.disabled = true;
    send("PATCH", url(slideId), { body: { objective: Number(select.value) } }).then(
      () => form.remove(),
      (error: unknown) => {
        button.disabled = false;
        problem.textContent = error instanceof Error ? error.message : String(error);
      },
    );
  });
  return form;
}
