/** What every server-rendered page needs: its texts, messages to the reader, the sign-out button. */
import { call, goToSignIn, signOut, slugOf } from "./session.js";

export const texts = JSON.parse(document.getElementById("texts").textContent);
export const byId = (id) => document.getElementById(id);

/** Plain words for an answer that is no success. */
export function wordsFor(answer) {
  const known = texts[`error.${slugOf(answer.body)}`];
  if (known) return known;
  const detail = answer.body?.detail ? `${answer.body.detail}` : `HTTP ${answer.status}`;
  return `${texts["error.other"]} ${detail}`;
}

function show(line, words) {
  line.textContent = words;
  line.hidden = false;
  line.focus();
}

export function clearMessages() {
  for (const line of document.querySelectorAll("[role=alert], #notice")) line.hidden = true;
}

/** Show `words` as an error: in the open dialog where there is one, else at the top of the page. */
export function showError(words) {
  const line = document.querySelector("dialog[open] [role=alert]") || byId("error");
  show(line, words);
}

export function showNotice(words) {
  show(byId("notice"), words);
}

/**
 * Run `work` for a form or button that must not be used twice at once; `work` asks the server by the `ask` it is given
 * and gets the answer's body, or null where an error was shown.
 */
export async function busy(element, work) {
  const buttons = element.matches("button") ? [element] : [...element.querySelectorAll("button[type=submit]")];
  for (const button of buttons) button.disabled = true;
  clearMessages();
  try {
    await work(ask);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

async function ask(method, path, body, expected = {}) {
  let answer;
  try {
    answer = await call(method, path, body);
  } catch {
    showError(texts["error.offline"]);
    return null;
  }
  if (answer.status < 300) return answer.body ?? {};
  const slug = slugOf(answer.body);
  if (expected[slug]) {
    expected[slug]();
    return null;
  }
  if (slug === "not-signed-in" && location.pathname !== "/sign-in") {
    goToSignIn();
    return null;
  }
  showError(wordsFor(answer));
  return null;
}

for (const box of document.querySelectorAll("[data-shows]")) {
  box.addEventListener("change", () => {
    for (const id of box.dataset.shows.split(" ")) byId(id).type = box.checked ? "text" : "password";
  });
}
byId("sign-out")?.addEventListener("click", signOut);
