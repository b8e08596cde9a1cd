/** The public page of one report: compares a PDF file with the report's digests, without sending it anywhere. */
import { t } from "../common/texts";

const input = document.querySelector<HTMLInputElement>("#file");
const outcome = document.querySelector<HTMLElement>("#file-outcome");

input?.addEventListener("change", () => {
  const file = input.files?.[0];
  if (file) void compare(file, input);
});

async function compare(file: File, known: HTMLInputElement): Promise<void> {
  // Browsers have SubtleCrypto on https and on the loopback address only.
  if (!globalThis.crypto?.subtle) {
    show(t("report.check.file-insecure"), false);
    return;
  }
  const digest = hex(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const language = (["vi", "en"] as const).find((name) => known.dataset[name] === digest);
  if (language) show(t("report.check.file-same", { language: known.dataset[`${language}Name`] ?? language }), true);
  else show(t("report.check.file-other", { digest }), false);
}

function hex(buffer: ArrayBuffer): string {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function show(text: string, good: boolean): void {
  if (!outcome) return;
  outcome.textContent = text;
  outcome.className = good ? "notice" : "error";
  outcome.hidden = false;
}
