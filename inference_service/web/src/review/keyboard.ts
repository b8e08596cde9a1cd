/** Brings key presses to actions: never while somebody types, and single characters only while they are switched on. */
import { bindingOf, isSingleCharacter, nameOf } from "./keys";
import type { KeyId } from "./keys";

const STORED = "tamsoat-single-keys";
const TYPED_IN = "input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable=true]";
/** What such an element does with these keys is its own business. */
const OPERATED = "button, a[href], summary, input, [role=tab], [role=radio], [role=menuitem]";
const OPERATING = [" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

/** Whether single characters are shortcuts; remembered in this browser. */
export const singleKeys = {
  get on(): boolean {
    return localStorage.getItem(STORED) !== "off";
  },
  set(on: boolean): void {
    localStorage.setItem(STORED, on ? "on" : "off");
  },
};

/** `place`: which of the binding's keys it was. Returns whether something was done; else the browser does its own. */
export type Act = (id: KeyId, place: number, event: KeyboardEvent) => boolean;

export function listen(act: Act): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (target.closest(TYPED_IN)) return;
    if (OPERATING.includes(event.key) && target.closest(OPERATED)) return;
    const found = bindingOf(event);
    if (!found || (isSingleCharacter(nameOf(event)) && !singleKeys.on)) return;
    if (act(found.id, found.place, event)) event.preventDefault();
  });
}
