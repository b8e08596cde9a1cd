/** To the case that this reader should read next. */
import { json, Problem } from "../common/api";
import { t, wordsFor } from "../common/texts";
import { complain } from "./actions";
import { announce } from "./dom";

export async function nextCase(after: string): Promise<void> {
  try {
    const next = await json<{ case_id: string | null }>("GET", `/api/v1/cases/next?after=${encodeURIComponent(after)}`);
    if (next.case_id) location.assign(`/cases/${next.case_id}`);
    else announce(t("case.no_next_case"));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    complain(wordsFor(error));
  }
}
