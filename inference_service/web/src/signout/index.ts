/** Sign-out and discussion of one case, for the case page. */
import { Problem, json } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { element } from "../review/dom";
import { SignOutPanel } from "./panel";
import type { SignOutOptions } from "./panel";
import type { Term } from "./types";

export { mountDiscussion } from "./discussion";
export type { SignOutOptions } from "./panel";

/** Put the sign-out form of a case into `host`. Where the case is not the reader's to sign, it says so. */
export function mountSignOut(host: HTMLElement, options: SignOutOptions): void {
  void mount(host, options);
}

async function mount(host: HTMLElement, options: SignOutOptions): Promise<void> {
  try {
    const { items } = await json<{ items: Term[] }>("GET", "/api/v1/reporting-terms");
    await new SignOutPanel(host, options, items).load();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const words = options.readOnly && error.slug === "case-not-found" ? t("signout.not_yours") : wordsFor(error);
    host.replaceChildren(element("p", { role: "alert" }, words));
  }
}
