/** What goes over the wire about a consultation, and the making of elements. */

export interface Consultation {
  consultation_id: string;
  case_id: string;
  asking_facility: string;
  asked_by: string | null;
  consultant_name: string;
  consultant_facility: string;
  question: string;
  state: "open" | "answered" | "declined" | "withdrawn" | "expired";
  created_at: string;
  expires_at: string;
  opinion: string | null;
  category: string | null;
  answered_at: string | null;
  asked_of_me: boolean;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K, attributes: Record<string, string>, ...content: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

/** A labelled field; `help` is read with it. */
export function field(
  control: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement, id: string, label: string, help = "",
): HTMLElement {
  control.id = id;
  const line = element("p", {}, element("label", { for: id }, label), control);
  if (help) {
    control.setAttribute("aria-describedby", `${id}-help`);
    line.append(element("small", { id: `${id}-help` }, help));
  }
  return line;
}
