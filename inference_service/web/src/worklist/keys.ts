/** The keys of the worklist; single characters can be switched off (the same switch as on the case page). */
import { t } from "../common/texts";

const STORED = "tamsoat-single-keys";
const TYPED_IN = "input, textarea, select, [contenteditable=true]";

/** Keys and what they do: `cases.key.<name>`. */
export const KEYS: [name: string, ...keys: string[]][] = [
  ["down", "j", "ArrowDown"],
  ["up", "k", "ArrowUp"],
  ["first", "Home"],
  ["last", "End"],
  ["open", "Enter"],
  ["next", "N"],
  ["take", "t"],
  ["search", "/"],
  ["fresh", "."],
  ["keys", "?"],
];

const singleOn = (): boolean => localStorage.getItem(STORED) !== "off";

export function listen(act: (name: string) => boolean): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]") || target.closest(TYPED_IN)) return;
    if (event.key === "Enter" && target.closest("a, button, summary")) return;
    const found = KEYS.find(([, ...keys]) => keys.includes(event.key));
    if (!found || (event.key.length === 1 && !singleOn())) return;
    if (act(found[0])) event.preventDefault();
  });
}

/** The overlay of keys; Escape closes it. */
export function showKeys(): void {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = t("cases.keys");
  const table = document.createElement("dl");
  table.className = "keys";
  for (const [name, ...keys] of KEYS) {
    const term = document.createElement("dt");
    for (const key of keys) {
      const shown = document.createElement("kbd");
      shown.textContent = { ArrowDown: "↓", ArrowUp: "↑", N: "Shift + N" }[key] ?? key;
      term.append(shown, " ");
    }
    const words = document.createElement("dd");
    words.textContent = t(`cases.key.${name}`);
    table.append(term, words);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = t("cases.close");
  close.addEventListener("click", () => dialog.close());
  const choices = document.createElement("p");
  choices.className = "choices";
  choices.append(close);
  dialog.append(title, table, single(), choices);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function single(): HTMLElement {
  const label = document.createElement("label");
  label.className = "check";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = singleOn();
  box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));
  label.append(box, t("cases.single_keys"));
  return label;
}
