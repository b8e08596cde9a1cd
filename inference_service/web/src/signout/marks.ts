/** From the gravest of the reader's own marks to answers of the form: a help on request, never filled in beforehand. */
import type { Form } from "./types";

const FINDING: Record<string, string> = {
  "ASC-US": "asc-us", LSIL: "lsil", "ASC-H": "asc-h", HSIL: "hsil", SCC: "scc", AGC: "agc", AIS: "ais",
  adenocarcinoma: "adenocarcinoma",
};

/** Put general category and finding into the form; adequacy and all else stay. False: the marks say nothing. */
export function fromMarks(form: Form, category: string | null): boolean {
  if (category === "NILM") {
    form.general = "negative";
    form.findings = [];
    return true;
  }
  const finding = category === null ? undefined : FINDING[category];
  if (finding === undefined) return false;
  form.general = "abnormal";
  form.findings = [finding];
  return true;
}
