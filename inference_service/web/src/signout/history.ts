/** The signed readings of a case, oldest first, each with what it changed; superseded ones stay readable. */
import { moment, t } from "../common/texts";
import { element } from "../review/dom";
import { FIELDS } from "./types";
import type { Reading } from "./types";
import { answers, differing, result, roleOf } from "./words";

export function historyOf(readings: readonly Reading[], hidden: boolean): HTMLElement {
  const list = element("ol", { class: "signout-history" });
  readings.forEach((reading, place) => list.append(entryOf(reading, earlier(readings, reading, place))));
  const box = element("section", { "aria-label": t("signout.readings") }, element("h3", {}, t("signout.readings")));
  if (hidden) box.append(element("p", { class: "signout-note" }, t("signout.readings_hidden")));
  if (readings.length) box.append(list);
  else if (!hidden) box.append(element("p", {}, t("signout.no_readings")));
  return box;
}

/** What a reading is compared with: the one that it replaces, else the one before it. */
function earlier(readings: readonly Reading[], reading: Reading, place: number): Reading | null {
  return readings.find((other) => other.reading_id === reading.supersedes) ?? readings[place - 1] ?? null;
}

function entryOf(reading: Reading, before: Reading | null): HTMLElement {
  const superseded = reading.was_result && !reading.is_result;
  const entry = element("li", { class: superseded ? "superseded" : reading.is_result ? "result" : "" });
  entry.append(
    element("strong", {}, `${roleOf(reading)}: ${result(reading.form)}`),
    element("p", {}, `${reading.mine ? t("signout.you") : reading.reader}, ${moment(reading.signed_at)}`),
  );
  if (reading.is_result) entry.append(element("p", { class: "signout-mark" }, t("signout.is_result")));
  if (superseded) entry.append(element("p", { class: "signout-mark" }, t("signout.superseded")));
  if (reading.reason) entry.append(element("p", {}, `${t("signout.reason")}: ${reading.reason}`));
  if (reading.confirmed_by !== null && reading.confirmed_at) {
    entry.append(element("p", {}, t("signout.confirmed_by", { name: reading.confirmed_by, at: moment(reading.confirmed_at) })));
  } else if (reading.needs_confirmation) entry.append(element("p", {}, t("signout.awaits_confirmation")));
  if (before) entry.append(differencesOf(before, reading));
  entry.append(wholeOf(reading));
  return entry;
}

function differencesOf(before: Reading, reading: Reading): HTMLElement {
  const fields = differing(before.form, reading.form);
  if (!fields.length) return element("p", {}, t("signout.no_difference", { role: roleOf(before) }));
  const table = element("dl", { class: "signout-differences" });
  for (const field of fields) {
    table.append(
      element("dt", {}, t(`signout.field.${field}`)),
      element("dd", {}, element("del", {}, answers(before.form, field).join("; ") || "–"), " ",
        element("ins", {}, answers(reading.form, field).join("; ") || "–")),
    );
  }
  return table;
}

function wholeOf(reading: Reading): HTMLElement {
  const list = element("dl", {});
  for (const field of FIELDS) {
    const told = answers(reading.form, field);
    if (told.length) list.append(element("dt", {}, t(`signout.field.${field}`)), element("dd", {}, told.join("; ")));
  }
  list.append(element("dt", {}, t("signout.digest")), element("dd", {}, element("code", {}, reading.digest)));
  return element("details", {}, element("summary", {}, t("signout.whole")), list);
}
