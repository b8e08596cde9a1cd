/** How far the screening of the case's slides is; when one ends, the head of the page says what was proposed. */
import { number, t } from "../common/texts";
import { byId } from "./dom";
import type { JobState, SlideFacts } from "./types";

const RUNNING = ["queued", "running"];

/** Follow every slide that is still screened; `onEnd` gets each as it ends. */
export function followScreenings(slides: readonly SlideFacts[], onEnd: (slide: SlideFacts) => void): void {
  const open = new Map<string, JobState>();
  for (const slide of slides) {
    if (!slide.screening || !RUNNING.includes(slide.screening.state)) continue;
    open.set(slide.slide_id, slide.screening);
    const events = new EventSource(`/api/v1/analyses/${slide.screening.analysis_id}/events`);
    events.addEventListener("state", (event) => {
      const state = JSON.parse((event as MessageEvent<string>).data) as JobState;
      slide.screening = state;
      if (RUNNING.includes(state.state)) open.set(slide.slide_id, state);
      else {
        events.close();
        open.delete(slide.slide_id);
        onEnd(slide);
        void renewHead();
      }
      show([...open.values()]);
    });
  }
  show([...open.values()]);
}

function show(states: readonly JobState[]): void {
  byId("case-progress").hidden = states.length === 0;
  if (states.length === 0) return;
  const bar = byId<HTMLProgressElement>("case-progress-bar");
  const done = states.reduce((sum, { progress }) => sum + progress.done, 0);
  const total = states.reduce((sum, { progress }) => sum + progress.total, 0);
  if (total > 0) [bar.max, bar.value] = [total, done];
  else bar.removeAttribute("value");
  const left_s = Math.max(0, ...states.map(({ progress }) => progress.seconds_left ?? 0));
  const left = left_s === 0 ? "" : left_s < 90 ? t("case.left_s", { n: Math.ceil(left_s) }) : t("case.left_min", { n: Math.ceil(left_s / 60) });
  byId("case-progress-text").textContent = [t("case.tiles", { n: number(done), of: number(total) }), left].filter(Boolean).join(" · ");
}

/** Take the state and the AI's proposal from the page as the server makes it now; nothing else moves. */
async function renewHead(): Promise<void> {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [state, proposal] = [page.getElementById("case-state"), page.getElementById("case-ai")];
  if (!state || !proposal) return;
  byId("case-state").textContent = state.textContent;
  const progress = byId("case-progress");
  byId("case-ai").replaceChildren(...[...proposal.children].filter((child) => child.id !== "case-progress"), progress);
}
