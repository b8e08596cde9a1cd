/** The versions of a case's report: PDF in both languages, and the public page that tells whether one is genuine. */
import { moment, t } from "../common/texts";
import { element } from "../review/dom";

export interface Report {
  report_id: string;
  number: number;
  state: "current" | "superseded";
  issued_at: string;
  code: string;
  files: Record<string, { href: string }>;
}

const LANGUAGES = ["vi", "en"] as const;

/** The newest first; nothing where there is no report. */
export function reportsOf(reports: readonly Report[]): HTMLElement | string {
  if (!reports.length) return "";
  const list = element("ul", { class: "signout-reports" }, ...reports.map(line));
  return element("section", { "aria-labelledby": "signout-reports" }, element("h3", { id: "signout-reports" }, t("signout.reports")), list);
}

function line(report: Report): HTMLElement {
  const superseded = report.state === "superseded";
  const words = t(superseded ? "signout.report_superseded" : "signout.report", { n: report.number, at: moment(report.issued_at) });
  const links = LANGUAGES.map((language) => element("a", { href: report.files[language]!.href, target: "_blank" }, t(`signout.report_${language}`)));
  const check = element("a", { href: `/verify/${encodeURIComponent(report.code)}`, target: "_blank" }, t("signout.report_check"));
  return element("li", { class: superseded ? "superseded" : "" }, words, element("br", {}), ...[...links, check].flatMap((link) => [link, " "]));
}
