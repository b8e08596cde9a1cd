/** The worklist: filters in the address, keys, and news that never move what is being read. */
import { json, Problem, send } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { tick } from "../worklist/durations";
import * as keys from "../worklist/keys";
import * as rows from "../worklist/rows";
import { follow } from "../worklist/stream";
import type { Changed } from "../worklist/stream";

const TYPING_MS = 350;
const SETTLE_MS = 1500;
const form = document.getElementById("filters") as HTMLFormElement;
const search = document.getElementById("search") as HTMLInputElement;
const live = document.getElementById("live") as HTMLElement;
const news = document.getElementById("news") as HTMLButtonElement;

let known = "";
let waiting: HTMLElement | null = null;
let asOf = new Date();
let lostAt: Date | null = null;
let newest = 0;
let settling = 0;
let typing = 0;

const clock = (moment: Date): string =>
  moment.toLocaleTimeString("vi-VN", { hour: "2-digit", minute: "2-digit", timeZone: "Asia/Ho_Chi_Minh" });

const sought = (): string => new URLSearchParams(location.hash.slice(1)).get("q")?.trim() ?? "";

async function ask(): Promise<HTMLElement> {
  const q = sought();
  const answer = q.length >= 2
    ? await send("POST", "/worklist/rows", { body: { q, view: "all" }, headers: { accept: "text/html" } })
    : await send("GET", `/worklist/rows${location.search}`, { headers: { accept: "text/html" } });
  return rows.fragment(await answer.text());
}

/** Ask the server; `quietly`: change what is shown in place, and offer what is new. */
async function refresh(quietly: boolean): Promise<void> {
  const turn = ++newest;
  try {
    const made = await ask();
    if (turn !== newest) return; // a later question is under way
    asOf = new Date();
    reached();
    rows.showCounts(made);
    if (quietly && rows.rows().length) offer(made);
    else show(made);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 0 || error.status >= 500) lost();
    else complain(wordsFor(error));
  }
}

function offer(made: HTMLElement): void {
  const fresh = rows.patch(made);
  const moved = made.querySelectorAll("tr[data-case]").length !== rows.rows().length;
  waiting = fresh || moved ? made : null;
  news.hidden = !waiting;
  news.textContent = fresh ? t("cases.news", { n: fresh }) : t("cases.changed");
}

function show(made: HTMLElement): void {
  rows.replace(made);
  waiting = null;
  news.hidden = true;
  tick();
}

function reached(): void {
  lostAt = null;
  status();
}

function lost(): void {
  lostAt ??= new Date();
  status();
}

function status(): void {
  live.parentElement?.classList.toggle("offline", lostAt !== null);
  live.textContent = lostAt
    ? t("cases.offline", { since: clock(lostAt), as_of: clock(asOf) })
    : t("cases.live", { as_of: clock(asOf) });
}

function complain(words: string): void {
  const line = document.getElementById("error") as HTMLElement;
  line.textContent = words;
  line.hidden = false;
  line.focus();
}

function heard(changed: Changed): void {
  rows.showProgress(changed.progress);
  const now = `${changed.changed_at} ${changed.questions}`;
  if (known === now && lostAt === null) return;
  const first = known === "";
  known = now;
  if (first) return reached();
  clearTimeout(settling);
  settling = window.setTimeout(() => void refresh(true), SETTLE_MS);
}

async function take(button: HTMLElement, release: boolean): Promise<void> {
  const row = button.closest("tr");
  if (!row) return;
  const holder = button.dataset.holder;
  if (holder && !(await confirmed(t("cases.take_over_question", { holder })))) return;
  const caseId = rows.caseOf(row);
  try {
    await json("POST", `/api/v1/cases/${caseId}/${release ? "release" : "assign"}`,
      release ? {} : { body: { take_over: Boolean(holder) } });
    await refresh(true);
    rows.goTo(rows.rowOf(caseId));
    await refresh(true); // the cell that held the focus
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    complain(wordsFor(error));
  }
}

function confirmed(question: string): Promise<boolean> {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", question);
  const words = document.createElement("p");
  words.textContent = question;
  const choices = document.createElement("p");
  choices.className = "choices";
  for (const [key, value] of [["cases.cancel", ""], ["cases.take_over", "yes"]] as const) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = t(key);
    button.addEventListener("click", () => dialog.close(value));
    choices.append(button);
  }
  dialog.append(words, choices);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

async function next(): Promise<void> {
  const view = new URLSearchParams(location.search).get("view") === "second" ? "?view=second" : "";
  const found = await json<{ case_id: string | null }>("GET", `/api/v1/cases/next${view}`);
  if (found.case_id) location.assign(`/cases/${found.case_id}`);
  else live.textContent = t("cases.nothing_next");
}

function act(name: string): boolean {
  const present = rows.here();
  if (name === "down" || name === "up") rows.step(name === "down" ? 1 : -1);
  else if (name === "first") rows.goTo(rows.rows()[0]);
  else if (name === "last") rows.goTo(rows.rows().at(-1));
  else if (name === "open" && present) location.assign(`/cases/${rows.caseOf(present)}`);
  else if (name === "next") void next();
  else if (name === "take" && present) present.querySelector<HTMLElement>("[data-take]")?.click();
  else if (name === "search") search.focus();
  else if (name === "fresh") news.hidden ? void refresh(false) : news.click();
  else if (name === "keys") keys.showKeys();
  else return false;
  return true;
}

function filtersChanged(): void {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) chosen.set(name, String(value));
  history.pushState(null, "", `/worklist?${chosen}`);
  search.value = "";
  void refresh(false);
}

function searchChanged(): void {
  const q = search.value.trim();
  history.replaceState(null, "", `${location.pathname}${location.search}${q ? `#${new URLSearchParams({ q })}` : ""}`);
  void refresh(false);
}

/** The form as the address says, after the back button. */
function fromAddress(): void {
  const chosen = new URLSearchParams(location.search);
  if ((chosen.get("view") ?? "facility") !== form.querySelector<HTMLInputElement>("[name=view]")?.value) {
    location.reload(); // another tab has other filters
    return;
  }
  for (const select of form.querySelectorAll("select")) select.value = chosen.get(select.name) ?? "";
  search.value = sought();
  void refresh(false);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (document.activeElement === search) searchChanged();
  else filtersChanged();
});
form.addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement) filtersChanged();
});
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = window.setTimeout(searchChanged, TYPING_MS);
});
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape" || event.key === "ArrowDown") rows.goTo(rows.here() ?? rows.rows()[0]);
});
document.getElementById("list")?.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-take], [data-release]") : null;
  if (button) void take(button, "release" in button.dataset);
});
document.getElementById("list")?.addEventListener("focusin", (event) => {
  const row = event.target instanceof Element ? event.target.closest<HTMLTableRowElement>("tr[data-case]") : null;
  if (row) rows.mark(row);
});
news.addEventListener("click", () => {
  if (waiting) show(waiting);
  rows.goTo(rows.here() ?? rows.rows()[0]);
});
addEventListener("popstate", fromAddress);
addEventListener("online", () => void refresh(true));
addEventListener("offline", lost);
keys.listen(act);
setInterval(tick, 30_000);
if (sought()) fromAddress();
follow(heard, (up) => (up ? undefined : lost()));
