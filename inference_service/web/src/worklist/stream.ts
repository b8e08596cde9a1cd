/** Hears of changes from the server; says when it cannot, and tries again by itself. */
const AGAIN_MS = 5000;

export interface Changed {
  changed_at: string;
  questions: number;
  progress: [string, number, number][];
}

/** `heard` gets every change; `line(false)` is called when the line is lost, `line(true)` when it is there again. */
export function follow(heard: (changed: Changed) => void, line: (up: boolean) => void): void {
  const source = new EventSource("/api/v1/cases/events");
  source.addEventListener("changed", (event) => {
    line(true);
    heard(JSON.parse((event as MessageEvent<string>).data) as Changed);
  });
  source.addEventListener("error", () => {
    line(false);
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
    source.close();
    setTimeout(() => follow(heard, line), AGAIN_MS);
  });
  addEventListener("pagehide", () => source.close());
}
