/** Numbers in the words of the reader's language. */
import type { Messages } from "./messages";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function bytes(count: number, language: string): string {
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), UNITS.length - 1);
  const digits = power > 1 ? 1 : 0;
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(count / 1000 ** power);
  return `${number} ${UNITS[power]}`;
}

export function duration(seconds: number, text: Messages): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} ${text.seconds}`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} ${text.minutes}`;
  return `${(seconds / 3600).toFixed(1)} ${text.hours}`;
}

/** Speed over the last seconds, so that the time left neither jumps nor remembers a pause. */
export class Speed {
  private readonly points: Array<[number, number]> = [];

  add(nowMs: number, sentBytes: number): void {
    this.points.push([nowMs, sentBytes]);
    while (this.points.length > 2 && nowMs - this.points[0]![0] > 8000) this.points.shift();
  }

  clear(): void {
    this.points.length = 0;
  }

  /** Bytes per second; 0 while it is not known. */
  value(): number {
    const first = this.points[0];
    const last = this.points[this.points.length - 1];
    if (!first || !last || last[0] - first[0] < 300) return 0;
    return Math.max(0, ((last[1] - first[1]) * 1000) / (last[0] - first[0]));
  }
}
