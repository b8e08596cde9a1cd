/** One line of the list: a file, how far it is, what can be done with it. */
import { follow } from "./follow";
import { caseOf, followSlide, scaleForm } from "./slide";
import type { SlideState } from "./slide";
import type { JobState } from "./follow";
import type { Messages } from "./messages";
import { Transfer } from "./transfer";
import type { Arrived, Listener, Problem, Statements } from "./transfer";
import { Speed, bytes, duration } from "./words";

export class Row implements Listener {
  readonly element = document.createElement("li");
  private readonly bar = document.createElement("progress");
  private readonly line = document.createElement("span");
  private readonly pauseButton = document.createElement("button");
  private readonly cancelButton = document.createElement("button");
  private readonly speed = new Speed();
  private readonly transfer: Transfer;
  private paused = false;
  private note = "";
  private settle: () => void = () => undefined;

  constructor(
    private readonly file: File,
    statements: Statements,
    headers: Record<string, string>,
    private readonly text: Messages,
    private readonly language: string,
  ) {
    this.transfer = new Transfer(file, statements, headers, this);
    const name = document.createElement("strong");
    name.textContent = `${file.name} (${bytes(file.size, language)})`;
    this.bar.max = Math.max(1, file.size);
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", file.name);
    this.line.setAttribute("role", "status");
    this.line.textContent = text.waiting;
    for (const button of [this.pauseButton, this.cancelButton]) button.type = "button";
    this.pauseButton.textContent = text.pause;
    this.cancelButton.textContent = text.cancel;
    this.pauseButton.setAttribute("aria-label", `${text.pause}: ${file.name}`);
    this.cancelButton.setAttribute("aria-label", `${text.cancel}: ${file.name}`);
    this.pauseButton.hidden = true;
    this.pauseButton.addEventListener("click", () => void (this.paused ? this.resume() : this.pause()));
    this.cancelButton.addEventListener("click", () => void this.giveUp());
    this.element.append(name, this.bar, this.line, this.pauseButton, this.cancelButton);
  }

  /** Send the file; resolves when it has arrived, failed or was given up: then the next may begin. */
  async send(): Promise<void> {
    if (this.cancelButton.hidden) return;
    this.line.textContent = this.text.checking;
    this.pauseButton.hidden = false;
    const settled = new Promise<void>((resolve) => {
      this.settle = resolve;
    });
    await this.transfer.start();
    await settled;
  }

  progress(sentBytes: number): void {
    if (this.paused) return;
    this.speed.add(performance.now(), sentBytes);
    this.bar.value = sentBytes;
    const rate = this.speed.value();
    this.line.textContent =
      sentBytes >= this.file.size
        ? this.text.finishing
        : [
            this.text.sending({
              sent: bytes(sentBytes, this.language),
              total: bytes(this.file.size, this.language),
              speed: rate ? bytes(rate, this.language) : "–",
              left: duration(rate ? (this.file.size - sentBytes) / rate : Infinity, this.text),
            }),
            this.note,
          ]
            .filter(Boolean)
            .join(" · ");
  }

  retrying(): void {
    this.speed.clear();
    this.line.textContent = this.text.retrying;
  }

  resumed(): void {
    this.note = this.text.resumed;
  }

  arrived(result: Arrived): void {
    this.bar.value = this.bar.max;
    this.endControls();
    this.settle();
    if (result.analysisId) follow(result.analysisId, (state) => this.showJob(result, state));
    else followSlide(result.slideId, (slide) => this.showSlide(result, slide));
  }

  failed(problem: Problem): void {
    this.settle();
    this.element.classList.add("failed");
    const known = this.text.errors[problem.slug];
    const said = problem.status === 401 ? this.text.signedOut : problem.status === 0 ? this.text.offline : known;
    const id = problem.requestId ? ` (${this.text.requestId} ${problem.requestId})` : "";
    this.line.setAttribute("role", "alert");
    this.line.textContent = (said || problem.detail || `HTTP ${problem.status}`) + id;
    this.paused = true;
    this.label(this.text.resume);
    if (problem.status >= 400 && problem.status < 500) this.endControls();
  }

  private showSlide(result: Arrived, slide: SlideState): void {
    if (slide.analysis_id) {
      const arrived = { ...result, analysisId: slide.analysis_id };
      follow(slide.analysis_id, (state) => this.showJob(arrived, state));
      return;
    }
    if (slide.condition === "building") {
      this.line.textContent = this.text.building(slide.pyramid_percent);
      this.bar.max = 100;
      this.bar.value = slide.pyramid_percent;
    } else if (slide.condition === "unreadable") {
      this.element.classList.add("failed");
      this.line.textContent = this.text.unreadable;
    } else {
      this.line.textContent = this.text.slideNeedsScale;
    }
    if (slide.mpp === null && slide.condition !== "unreadable" && !this.element.querySelector("form")) {
      this.element.append(scaleForm(slide.slide_id, this.file.name, this.text));
    }
  }

  private showJob(result: Arrived, job: JobState): void {
    const progress = job.progress;
    const words: Record<JobState["state"], string> = {
      queued: this.text.queued,
      running: this.text.running({
        step: this.text.steps[progress?.step ?? ""] ?? "",
        done: progress?.done ?? 0,
        total: progress?.total ?? 0,
        left: progress?.seconds_left == null ? "" : duration(progress.seconds_left, this.text),
      }),
      completed: this.text.completed,
      failed: `${this.text.failed}: ${job.problem?.detail ?? ""}`,
      cancelled: this.text.cancelled,
    };
    this.line.textContent = [result.duplicate ? this.text.duplicate : "", words[job.state]].filter(Boolean).join(" ");
    this.element.classList.toggle("failed", job.state === "failed");
    if (progress && progress.total > 0) {
      this.bar.max = progress.total;
      this.bar.value = progress.done;
    }
    if (job.state === "completed") {
      this.bar.value = this.bar.max;
      const link = document.createElement("a");
      link.href = `/field?analysis=${encodeURIComponent(result.analysisId)}`;
      link.textContent = this.text.result;
      // Where the case cannot be asked for now, the page of the analysis shows the result as well.
      void caseOf(result.slideId)
        .then((href) => { link.href = href ?? link.href; }, () => undefined)
        .then(() => this.element.append(link));
    }
  }

  private async pause(): Promise<void> {
    this.paused = true;
    this.label(this.text.resume);
    await this.transfer.pause();
    this.line.textContent = this.text.paused;
    this.settle();
  }

  private resume(): void {
    this.paused = false;
    this.speed.clear();
    this.element.classList.remove("failed");
    this.line.setAttribute("role", "status");
    this.label(this.text.pause);
    this.transfer.resume();
  }

  private async giveUp(): Promise<void> {
    if (!window.confirm(this.text.cancelConfirm)) return;
    this.paused = true;
    this.endControls();
    this.line.textContent = this.text.cancelled;
    try {
      await this.transfer.giveUp();
    } finally {
      this.settle();
    }
  }

  private label(words: string): void {
    this.pauseButton.textContent = words;
    this.pauseButton.setAttribute("aria-label", `${words}: ${this.file.name}`);
  }

  private endControls(): void {
    this.pauseButton.hidden = true;
    this.cancelButton.hidden = true;
  }
}
