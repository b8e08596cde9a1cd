/** Small helpers to make elements. */

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K, attributes: Record<string, string>, ...content: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

/** The element of the template with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as T;
}

/** A button with words and, where it has one, its key. */
export function button(words: string, key: string | null, onClick: () => void): HTMLButtonElement {
  const made = element("button", { type: "button" }, words);
  if (key) made.append(" ", element("kbd", { "aria-hidden": "true" }, key));
  made.addEventListener("click", onClick);
  return made;
}

/** Tell a screen reader; the same words twice in a row are told twice. */
export function announce(words: string): void {
  const line = byId("case-announcer");
  line.textContent = line.textContent === words ? `${words}\u00a0` : words;
}

/** Ask before something large; resolves to whether it was confirmed. */
export function confirmed(question: string, yes: string, no: string): Promise<boolean> {
  const dialog = element("dialog", {}, element("p", { id: "confirm-question" }, question));
  dialog.setAttribute("aria-labelledby", "confirm-question");
  const accept = element("button", { type: "button", class: "primary" }, yes);
  const refuse = element("button", { type: "button" }, no);
  accept.addEventListener("click", () => dialog.close("yes"));
  refuse.addEventListener("click", () => dialog.close());
  dialog.append(element("p", { class: "choices" }, refuse, accept));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** A random UUID (version 4), also where the page did not come over HTTPS. */
export function newUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
