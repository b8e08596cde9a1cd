/** The page for the head of the department: fetches the figures of a period and shows them as tables and plots. */
import { json, Problem } from "../common/api";
import { language, number, percent, t, wordsFor } from "../common/texts";
import { bars, columns } from "../quality/plots";
import { element, folded, table } from "../quality/tables";

interface Figure {
  name: string; unit: string; value: number | null; low: number | null; high: number | null;
  n: number; few: boolean; method: string;
}
interface Compared { now: Figure; before: Figure }
interface Period { first: string; last: string }
interface Drift {
  stability: Figure; distance: Figure; critical: number | null; reference_n: number;
  histogram: { edges: number[]; now: number[]; reference: number[] };
}
interface Quality {
  period: Period; before: Period;
  volumes: Compared[]; rates: Compared[]; categories: Compared[]; agreement: Compared[];
  second_reading: Compared[]; turnaround: Compared[];
  weeks: { monday: string; received: number; signed: number }[];
  reasons: { code: string; count: number }[];
  confusion: { levels: string[]; counts: number[][] };
  drift: Drift | null;
}

const page = {
  form: document.querySelector<HTMLFormElement>("#period")!,
  first: document.querySelector<HTMLInputElement>("#first")!,
  last: document.querySelector<HTMLInputElement>("#last")!,
  csv: document.querySelector<HTMLAnchorElement>("#csv")!,
  state: document.querySelector<HTMLElement>("#state")!,
  figures: document.querySelector<HTMLElement>("#figures")!,
};

const day = (iso: string): string =>
  new Intl.DateTimeFormat(language === "vi" ? "vi-VN" : "en-GB", { timeZone: "UTC" }).format(new Date(`${iso}T00:00Z`));
const decimal = (value: number, digits: number): string =>
  new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

function shown(value: number | null, unit: string): string {
  if (value === null) return t("quality.none");
  if (unit === "share") return percent(value);
  if (unit === "count") return number(value);
  return decimal(value, unit === "hours" ? 1 : 2);
}

function interval(figure: Figure): string {
  if (figure.low === null || figure.high === null) return "–";
  return `${shown(figure.low, figure.unit)} – ${shown(figure.high, figure.unit)}`;
}

function section(name: string, ...content: Node[]): HTMLElement {
  const made = element("section", "quality-section");
  const heading = element("h2", "", t(`quality.${name}`));
  heading.id = `quality-${name}`;
  made.setAttribute("aria-labelledby", heading.id);
  made.append(heading, ...content);
  return made;
}

/** One line per figure: now with its interval, then the period before. */
function figures(name: string, rows: Compared[], label: (figure: Figure) => string): HTMLTableElement {
  const header = ["figure", "now", "interval", "cases", "before", "interval", "cases"].map((one) => t(`quality.${one}`));
  const count = (figure: Figure) => figure.unit === "count" ? "" :
    figure.few ? { text: `${number(figure.n)} · ${t("quality.few")}`, className: "few" } : number(figure.n);
  return table(t(`quality.${name}`), header, rows.map(({ now, before }) => [
    label(now), shown(now.value, now.unit), interval(now), count(now),
    shown(before.value, before.unit), interval(before), count(before),
  ]));
}

const plain = (name: string, rows: Compared[]): HTMLTableElement =>
  figures(name, rows, (figure) => t(`quality.${name}.${figure.name}`));

function weeks(found: Quality["weeks"]): Node[] {
  const most = Math.max(0, ...found.map((week) => Math.max(week.received, week.signed)));
  const plot = columns(
    t("quality.weeks"), t("quality.weeks-desc", { most }), found.map((week) => day(week.monday)),
    found.map((week) => week.signed), found.map((week) => week.received), (value) => decimal(value, value % 1 ? 1 : 0),
  );
  const header = [t("quality.week"), t("quality.volumes.received"), t("quality.volumes.signed")];
  const rows = found.map((week) => [day(week.monday), number(week.received), number(week.signed)]);
  return [element("h3", "", t("quality.weeks")), element("p", "", t("quality.weeks-desc", { most })), plot,
    folded(t("quality.data"), table(t("quality.weeks"), header, rows))];
}

function categories(rows: Compared[]): Node[] {
  const label = (figure: Figure): string => t(`report.category.${figure.name}`);
  const plot = bars(t("quality.categories"), t("quality.categories-desc"), rows.map(({ now }) => ({
    label: label(now), value: now.value ?? 0, low: now.low ?? 0, high: now.high ?? 0,
    text: `${shown(now.value, now.unit)} (${interval(now)})`,
  })));
  return [element("p", "", t("quality.categories-desc")), plot,
    folded(t("quality.data"), figures("categories", rows, label))];
}

function confusion(found: Quality["confusion"]): HTMLTableElement {
  return table(t("quality.confusion"), [t("quality.confusion"), ...found.levels], found.counts.map((row, at) => [
    found.levels[at] ?? "",
    ...row.map((count, column) => (column === at ? { text: number(count), className: "agree" } : number(count))),
  ]));
}

function drift(found: Drift | null): Node[] {
  if (!found) return [element("p", "", t("quality.drift-none"))];
  const rows = [found.stability, found.distance].map((figure) => [
    t(`quality.drift.${figure.name}`), shown(figure.value, figure.unit), interval(figure),
    figure.few ? { text: `${number(figure.n)} · ${t("quality.few")}`, className: "few" } : number(figure.n),
  ]);
  const header = ["figure", "now", "interval", "cases"].map((one) => t(`quality.${one}`));
  const { edges, now, reference } = found.histogram;
  const labels = now.map((_, at) => decimal(edges[at] ?? 0, 2));
  const data = now.map((share, at) => [
    `${decimal(edges[at] ?? 0, 2)} – ${decimal(edges[at + 1] ?? 1, 2)}`, percent(share), percent(reference[at] ?? 0),
  ]);
  return [
    table(t("quality.drift"), header, rows),
    element("p", "", t("quality.drift-note", {
      critical: found.critical === null ? "–" : decimal(found.critical, 2), n: found.reference_n,
    })),
    element("h3", "", t("quality.histogram")),
    element("p", "", t("quality.histogram-desc")),
    columns(t("quality.histogram"), t("quality.histogram-desc"), labels, now, reference, percent),
    folded(t("quality.data"), table(t("quality.histogram"),
      [t("quality.bin"), t("quality.now"), t("quality.reference")], data)),
  ];
}

function show(found: Quality): void {
  page.first.value = found.period.first;
  page.last.value = found.period.last;
  page.csv.href = `/api/v1/quality.csv?${new URLSearchParams({ ...found.period })}`;
  const said = t("quality.shown", {
    first: day(found.period.first), last: day(found.period.last),
    before_first: day(found.before.first), before_last: day(found.before.last),
  });
  const signed = found.volumes.find((row) => row.now.name === "signed")?.now.value;
  page.state.textContent = signed ? said : `${said} ${t("quality.empty")}`;
  const reasons = found.reasons.map((one) => [t(`signout.term.${one.code}`), number(one.count)]);
  page.figures.replaceChildren(
    section("volumes", plain("volumes", found.volumes), ...weeks(found.weeks)),
    section("rates", plain("rates", found.rates)),
    section("categories", ...categories(found.categories)),
    ...(reasons.length
      ? [section("reasons", table(t("quality.reasons"), [t("quality.reason"), t("quality.cases")], reasons))]
      : []),
    section("agreement", plain("agreement", found.agreement), element("p", "", t("quality.agreement-note")),
      confusion(found.confusion)),
    section("second_reading", plain("second_reading", found.second_reading)),
    section("turnaround", plain("turnaround", found.turnaround)),
    section("drift", ...drift(found.drift)),
  );
}

async function load(query: URLSearchParams): Promise<void> {
  page.state.textContent = t("quality.loading");
  try {
    show(await json<Quality>("GET", `/api/v1/quality?${query}`));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    page.figures.replaceChildren();
    page.state.textContent = wordsFor(error);
  }
}

page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams({ first: page.first.value, last: page.last.value });
  history.replaceState(null, "", `?${query}`);
  void load(query);
});

const asked = new URLSearchParams(location.search);
const kept = new URLSearchParams([...asked].filter(([name]) => name === "first" || name === "last"));
void load(kept);
