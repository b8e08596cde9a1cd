/** Live state of one analysis, from the service's event stream. */
export interface JobState {
  readonly state: "queued" | "running" | "completed" | "failed" | "cancelled";
  readonly progress?: { step?: string | null; done: number; total: number; seconds_left?: number | null } | null;
  readonly problem?: { type?: string; title?: string; detail?: string } | null;
}

const FINAL = ["completed", "failed", "cancelled"];

/** Call `show` now and after every change, until the analysis has ended. The browser reconnects by itself. */
export function follow(analysisId: string, show: (state: JobState) => void): void {
  const source = new EventSource(`/api/v1/analyses/${encodeURIComponent(analysisId)}/events`);
  source.addEventListener("state", (event) => {
    const state = JSON.parse((event as MessageEvent<string>).data) as JobState;
    show(state);
    if (FINAL.includes(state.state)) source.close();
  });
}
