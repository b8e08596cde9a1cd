/** The tabs of the work panel (WAI-ARIA tabs: arrow keys move, the panel follows). */
import { byId } from "./dom";

export const TABS = ["findings", "signout", "discussion"] as const;
export type Tab = (typeof TABS)[number];

export class Tabs {
  constructor(private readonly onShow: (tab: Tab) => void) {
    TABS.forEach((tab, place) => {
      const handle = byId(`tab-${tab}`);
      handle.addEventListener("click", () => this.show(tab));
      handle.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const next = event.key === "Home" ? TABS[0] : event.key === "End" ? TABS.at(-1)
          : step === undefined ? undefined : TABS[(place + step + TABS.length) % TABS.length];
        if (!next) return;
        event.preventDefault();
        this.show(next);
        byId(`tab-${next}`).focus();
      });
    });
  }

  show(shown: Tab): void {
    for (const tab of TABS) {
      const handle = byId(`tab-${tab}`);
      handle.setAttribute("aria-selected", String(tab === shown));
      handle.tabIndex = tab === shown ? 0 : -1;
      byId(`panel-${tab}`).hidden = tab !== shown;
    }
    this.onShow(shown);
  }
}
