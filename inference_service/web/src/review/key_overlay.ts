/** The overlay of keys (?), made from the table of keys, with the switch for shortcuts of one character. */
import { t } from "../common/texts";
import { element } from "./dom";
import { KEYS } from "./keys";
import type { KeyGroup } from "./keys";
import { singleKeys } from "./keyboard";

const GROUPS: readonly KeyGroup[] = ["findings", "bulk", "viewer", "page"];
const SIGNS: Record<string, string> = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Control: "Ctrl", Escape: "Esc",
};

/** A key as it is printed on a keyboard. */
export function shown(name: string): string {
  if (name === " ") return t("case.space_bar");
  return name
    .split(/\+(?!$)/)
    .map((part) => SIGNS[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(" + ");
}

/** Open the overlay; it closes with Escape and gives the focus back. */
export function showKeys(): void {
  const dialog = element("dialog", { class: "keys", "aria-labelledby": "keys-title" });
  const columns = element("div", { class: "columns-of-keys" });
  for (const group of GROUPS) columns.append(groupOf(group));
  dialog.append(element("h2", { id: "keys-title" }, t("case.keys")), switchOf(), columns);
  const close = element("button", { type: "button", class: "primary" }, t("case.close"));
  close.addEventListener("click", () => dialog.close());
  dialog.append(element("p", { class: "choices" }, close));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "?") dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
}

function groupOf(group: KeyGroup): HTMLElement {
  const list = element("dl", {});
  for (const { id, keys } of KEYS.filter((binding) => binding.group === group)) {
    const names = element("dt", {});
    keys.forEach((key, place) => {
      if (place) names.append(" ");
      names.append(element("kbd", {}, shown(key)));
    });
    list.append(names, element("dd", {}, t(`case.key.${id}`)));
  }
  return element("section", {}, element("h3", {}, t(`case.keys.${group}`)), list);
}

function switchOf(): HTMLElement {
  const box = element("input", { type: "checkbox" });
  box.checked = singleKeys.on;
  box.addEventListener("change", () => singleKeys.set(box.checked));
  return element("label", { class: "check" }, box, t("case.single_keys"));
}
