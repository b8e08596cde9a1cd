/** How the facility reads its cases: sent whole, with the version that was read. */
import { Problem, send } from "../common/api";
import { wordsFor } from "../common/texts";

const PATH = "/api/v1/review-settings";
const form = document.getElementById("review-settings") as HTMLFormElement;
let tag = "";

function tell(id: "error" | "notice", words: string): void {
  for (const other of ["error", "notice"]) (document.getElementById(other) as HTMLElement).hidden = other !== id;
  const line = document.getElementById(id) as HTMLElement;
  line.textContent = words;
  line.focus();
}

async function save(): Promise<void> {
  const values = new FormData(form);
  const line = (name: string): string | null => String(values.get(name) ?? "").trim() || null;
  const body = {
    blind_first: values.has("blind_first"),
    negative_share: Number(values.get("negative_percent")) / 100,
    disagreement_steps: Number(values.get("disagreement_steps")),
    report_name: line("report_name"),
    report_department: line("report_department"),
    report_address: line("report_address"),
    report_phone: line("report_phone"),
  };
  try {
    const answer = await send("PUT", PATH, { body, headers: { "If-Match": tag } });
    tag = answer.headers.get("ETag") ?? "";
    tell("notice", form.dataset.saved ?? "");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    tell("error", wordsFor(error));
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void save();
});
tag = (await send("GET", PATH)).headers.get("ETag") ?? "";
