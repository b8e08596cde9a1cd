/** The page that sends images and slides: one or many files, resumable, then the state of their analyses. */
import { json, Problem } from "../common/api";
import { wordsFor } from "../common/texts";
import { catalogues } from "../upload/messages";
import type { Messages } from "../upload/messages";
import { Row } from "../upload/row";
import type { Statements } from "../upload/transfer";
import { unfinished } from "../upload/transfer";

const AT_ONCE = 2;
const language = document.documentElement.lang === "en" ? "en" : "vi";
const text = catalogues[language];

function byId<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

function translate(): void {
  for (const element of document.querySelectorAll<HTMLElement>("[data-upload-text]")) {
    const words = text[element.dataset.uploadText as keyof Messages];
    if (typeof words === "string") element.textContent = words;
  }
  const count = unfinished();
  byId("unfinished").hidden = count === 0;
  byId("unfinished").textContent = text.unfinished(count);
}

function complain(words: string): void {
  const line = byId("error");
  line.textContent = words;
  line.hidden = false;
  line.focus();
}

/** What the form says of the files; null where the scale is missing. */
function statements(): Statements | null {
  const scale = byId<HTMLSelectElement>("scale").value;
  const mpp = byId<HTMLInputElement>("mpp").value;
  if (scale === "" || (scale === "mpp" && mpp === "")) return null;
  const order = byId("order").dataset.order ?? "";
  return {
    ...(scale === "mpp" ? { mpp } : scale === "file" ? { scale } : { objective: scale }),
    priority: byId<HTMLSelectElement>("priority").value,
    ...(order ? { order_id: order } : {}),
  };
}

/** Send the rows, a few at once, in order. */
async function sendAll(rows: Row[]): Promise<void> {
  const waiting = [...rows];
  const lane = async (): Promise<void> => {
    for (let row = waiting.shift(); row; row = waiting.shift()) await row.send();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

function submit(event: SubmitEvent): void {
  event.preventDefault();
  byId("error").hidden = true;
  const input = byId<HTMLInputElement>("files");
  const files = [...(input.files ?? [])];
  if (files.length === 0) return complain(text.needFiles);
  const said = statements();
  if (!said) return complain(text.needScale);
  const token = document.querySelector<HTMLMetaElement>("meta[name=csrf-token]")?.content;
  const headers: Record<string, string> = token ? { "X-CSRF-Token": token } : {};
  const rows = files.map((file) => new Row(file, said, headers, text, language));
  byId("transfers").append(...rows.map((row) => row.element));
  byId("list").hidden = false;
  input.value = "";
  byId("unfinished").hidden = true;
  void sendAll(rows);
}

/** People know an order by its number; where it is not to be had, its identifier stays. */
async function showNumber(orderId: string): Promise<void> {
  try {
    const { number } = await json<{ number: string }>("GET", `/api/v1/orders/${encodeURIComponent(orderId)}`);
    byId("order-id").textContent = number;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    complain(wordsFor(error));
  }
}

const order = new URLSearchParams(location.search).get("order");
if (order) {
  byId("order").dataset.order = order;
  byId("order").hidden = false;
  byId("order-id").textContent = order;
  void showNumber(order);
}
byId("form").addEventListener("submit", submit);
byId("scale").addEventListener("change", () => {
  byId("mpp-row").hidden = byId<HTMLSelectElement>("scale").value !== "mpp";
});
translate();
