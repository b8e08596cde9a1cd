/**
 * Every key of the case page, in the one table that the dispatcher, the overlay (?) and docs/review.md share.
 *
 * `keys` are values of `KeyboardEvent.key`; `Shift+` and `Control+` before one say what is held with it. A letter is
 * matched without regard to Caps Lock.
 */
export type KeyId =
  | "next" | "previous" | "agree" | "regrade" | "dismiss" | "undo" | "redo"
  | "select" | "extend-next" | "extend-previous" | "select-all" | "escape"
  | "zoom-in" | "zoom-out" | "pan" | "rotate" | "rotate-back" | "home" | "plane-up" | "plane-down"
  | "outlines" | "heatmap" | "coverage" | "add" | "add-here"
  | "gallery" | "viewer" | "findings" | "sign-out" | "discussion" | "next-slide" | "previous-slide" | "next-case"
  | "worklist" | "help";

export type KeyGroup = "findings" | "bulk" | "viewer" | "page";

export interface KeyBinding {
  readonly id: KeyId;
  readonly group: KeyGroup;
  readonly keys: readonly string[];
}

export const KEYS: readonly KeyBinding[] = [
  { id: "next", group: "findings", keys: ["n"] },
  { id: "previous", group: "findings", keys: ["p"] },
  { id: "agree", group: "findings", keys: ["a"] },
  { id: "regrade", group: "findings", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"] },
  { id: "dismiss", group: "findings", keys: ["d"] },
  { id: "add", group: "findings", keys: ["m"] },
  { id: "add-here", group: "findings", keys: ["Enter"] },
  { id: "undo", group: "findings", keys: ["u", "Control+z"] },
  { id: "redo", group: "findings", keys: ["Shift+u", "Control+y"] },
  { id: "select", group: "bulk", keys: ["x", " "] },
  { id: "extend-next", group: "bulk", keys: ["Shift+ArrowRight"] },
  { id: "extend-previous", group: "bulk", keys: ["Shift+ArrowLeft"] },
  { id: "select-all", group: "bulk", keys: ["Shift+x", "Control+a"] },
  { id: "escape", group: "bulk", keys: ["Escape"] },
  { id: "pan", group: "viewer", keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"] },
  { id: "zoom-in", group: "viewer", keys: ["+", "="] },
  { id: "zoom-out", group: "viewer", keys: ["-"] },
  { id: "home", group: "viewer", keys: ["Home"] },
  { id: "rotate", group: "viewer", keys: ["r"] },
  { id: "rotate-back", group: "viewer", keys: ["Shift+r"] },
  { id: "plane-up", group: "viewer", keys: [","] },
  { id: "plane-down", group: "viewer", keys: ["."] },
  { id: "outlines", group: "viewer", keys: ["o"] },
  { id: "heatmap", group: "viewer", keys: ["h"] },
  { id: "coverage", group: "viewer", keys: ["c"] },
  { id: "gallery", group: "page", keys: ["g"] },
  { id: "viewer", group: "page", keys: ["v"] },
  { id: "findings", group: "page", keys: ["f"] },
  { id: "sign-out", group: "page", keys: ["s"] },
  { id: "discussion", group: "page", keys: ["t"] },
  { id: "next-slide", group: "page", keys: ["]"] },
  { id: "previous-slide", group: "page", keys: ["["] },
  { id: "next-case", group: "page", keys: ["Shift+n"] },
  { id: "worklist", group: "page", keys: ["w"] },
  { id: "help", group: "page", keys: ["?"] },
];

export interface Pressed {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** What a key press is called in the table. Shift is left out where it is part of a sign, as in `?`. */
export function nameOf(pressed: Pressed): string {
  const letter = pressed.key.length === 1 && pressed.key.toLowerCase() !== pressed.key.toUpperCase();
  const key = letter ? pressed.key.toLowerCase() : pressed.key;
  const shift = pressed.shiftKey && (letter || key.length > 1);
  return `${pressed.ctrlKey || pressed.metaKey ? "Control+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/** The binding of a key press; null: the page does nothing with it. */
export function bindingOf(pressed: Pressed): { id: KeyId; place: number } | null {
  if (pressed.altKey) return null;
  const name = nameOf(pressed);
  for (const { id, keys } of KEYS) {
    const place = keys.indexOf(name);
    if (place >= 0) return { id, place };
  }
  return null;
}

/** A shortcut of a single character (WCAG 2.1.4): such ones can be switched off; the others always work. */
export const isSingleCharacter = (name: string): boolean => /^(Shift\+)?[^+]$|^\+$/.test(name) && name !== " ";
