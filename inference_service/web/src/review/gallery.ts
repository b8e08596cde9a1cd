/**
 * The gallery: a listbox of crops in rows, of which only those in view are in the document; copes with 100,000.
 * One item has the focus (roving tabindex); which ones are selected and what they say is asked of the owner.
 */
import { t } from "../common/texts";
import { element } from "./dom";

export const ITEM_WIDTH_PX = 100;
export const ITEM_HEIGHT_PX = 126;
const SPARE_ROWS = 2;

export interface Item {
  /** Address of the crop. */
  source: string;
  /** The whole of what a screen reader says. */
  label: string;
  /** What stands below the crop. */
  caption: string;
  /** The category whose colour is shown beside the caption. */
  category: string;
  state: string;
  selected: boolean;
}

export interface GalleryOptions {
  item(place: number): Item;
  onChoose(place: number): void;
  onToggle(place: number): void;
  onExtend(place: number): void;
  onSelectAll(): void;
}

export class Gallery {
  private count = 0;
  private place = -1;
  private readonly made = new Map<number, HTMLElement>();
  private readonly box = element("div", { class: "gallery", role: "listbox", "aria-multiselectable": "true" });
  private readonly space = element("div", { class: "gallery-space", role: "presentation" });
  private readonly nothing = element("p", { class: "empty" });

  constructor(host: HTMLElement, private readonly options: GalleryOptions) {
    this.box.setAttribute("aria-label", t("case.gallery"));
    this.box.append(this.space);
    host.append(this.box, this.nothing);
    this.nothing.hidden = true;
    this.box.addEventListener("scroll", () => this.render(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.lay()).observe(this.box);
  }

  private get columns(): number {
    return Math.max(1, Math.floor(this.box.clientWidth / ITEM_WIDTH_PX));
  }

  /** Show `count` items; `empty`: the words where there is none. Everything is asked for anew. */
  show(count: number, place: number, empty: string): void {
    this.count = count;
    this.place = place;
    this.clear();
    this.box.hidden = count === 0;
    this.nothing.hidden = count !== 0;
    this.nothing.textContent = empty;
    this.lay();
    this.bringIntoView();
  }

  /** Ask for what is in view again: marks or the selection have changed. */
  refresh(): void {
    for (const [place, node] of this.made) this.dress(node, place);
  }

  /** Make an item the current one and bring it into view. */
  choose(place: number): void {
    const before = this.place;
    const hadFocus = this.box.contains(document.activeElement);
    this.place = place;
    this.bringIntoView();
    this.render();
    for (const changed of [before, place]) {
      const node = this.made.get(changed);
      if (node) this.dress(node, changed);
    }
    if (hadFocus) this.focus();
  }

  focus(): void {
    this.bringIntoView();
    this.render();
    this.made.get(Math.max(0, this.place))?.focus({ preventScroll: true });
  }

  private clear(): void {
    for (const node of this.made.values()) node.remove();
    this.made.clear();
  }

  private lay(): void {
    this.space.style.height = `${Math.ceil(this.count / this.columns) * ITEM_HEIGHT_PX}px`;
    this.clear();
    this.render();
  }

  private bringIntoView(): void {
    if (this.place < 0) return;
    const top = Math.floor(this.place / this.columns) * ITEM_HEIGHT_PX;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + ITEM_HEIGHT_PX > scrollTop + clientHeight) this.box.scrollTop = top + ITEM_HEIGHT_PX - clientHeight;
  }

  private render(): void {
    const columns = this.columns;
    const first = Math.max(0, Math.floor(this.box.scrollTop / ITEM_HEIGHT_PX) - SPARE_ROWS) * columns;
    const rows = Math.ceil(this.box.clientHeight / ITEM_HEIGHT_PX) + 2 * SPARE_ROWS + 1;
    const end = Math.min(this.count, first + rows * columns);
    for (const [place, node] of this.made) {
      const kept = node === document.activeElement || (place >= first && place < end);
      if (!kept) {
        node.remove();
        this.made.delete(place);
      }
    }
    for (let place = first; place < end; place += 1) if (!this.made.has(place)) this.make(place, columns);
  }

  private make(place: number, columns: number): void {
    const picture = element("img", { width: "96", height: "96", decoding: "async", draggable: "false" });
    const node = element("div", { class: "finding", role: "option" }, picture, element("span", { class: "caption" }));
    node.style.left = `${(place % columns) * ITEM_WIDTH_PX + 2}px`;
    node.style.top = `${Math.floor(place / columns) * ITEM_HEIGHT_PX + 2}px`;
    node.addEventListener("click", (event) => {
      if (event.shiftKey) this.options.onExtend(place);
      else if (event.ctrlKey || event.metaKey) this.options.onToggle(place);
      else this.options.onChoose(place);
    });
    this.dress(node, place);
    this.made.set(place, node);
    this.space.append(node);
  }

  private dress(node: HTMLElement, place: number): void {
    const item = this.options.item(place);
    const current = place === this.place;
    node.className = `finding ${item.state}`;
    node.tabIndex = current || (this.place < 0 && place === 0) ? 0 : -1;
    node.setAttribute("aria-label", item.label);
    node.setAttribute("aria-selected", String(item.selected));
    node.setAttribute("aria-setsize", String(this.count));
    node.setAttribute("aria-posinset", String(place + 1));
    if (current) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
    const picture = node.firstElementChild as HTMLImageElement;
    if (picture.getAttribute("src") !== item.source) picture.src = item.source;
    picture.alt = item.label;
    const caption = node.lastElementChild as HTMLElement;
    caption.replaceChildren(element("span", { class: `swatch c-${item.category}` }), item.caption);
  }

  /** Keys of a listbox; all others are left to the page. */
  private pressed(event: KeyboardEvent): void {
    if (event.altKey || this.count === 0) return;
    const steps: Record<string, number> = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      Home: -this.count, End: this.count,
    };
    const step = steps[event.key];
    if (step !== undefined && !event.ctrlKey && !event.metaKey) {
      const place = Math.min(this.count - 1, Math.max(0, Math.max(0, this.place) + step));
      if (event.shiftKey) this.options.onExtend(place);
      this.options.onChoose(place);
    } else if (event.key === " ") this.options.onToggle(Math.max(0, this.place));
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.options.onSelectAll();
    else return;
    event.preventDefault();
  }
}
