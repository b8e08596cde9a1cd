// The cytotechnologist: sends the slide, follows its screening, looks at first findings, marks cells, hands in.
import { rmSync } from "node:fs";

export async function screen(hall) {
  const { facts, seen } = hall;
  const lan = await hall.person("cytotechnologist");
  await lan.pictures("sign-in", "/sign-in");
  await lan.signIn("/worklist");
  await lan.pictures("worklist-empty", "/worklist?view=mine");
  await send(lan, `/upload?order=${facts.order}`, facts.slide);
  await lan.page.waitForFunction(() => /tìm tế bào [1-9]/.test(document.querySelector("#transfers [role=status]")?.textContent));
  seen.progress = await lan.text("#transfers [role=status]");
  await lan.picture("upload-screening");

  await lan.page.goto("/worklist");
  await lan.until("[data-progress]", "%");
  seen.inWorklist = await lan.text("[data-progress]");
  await lan.pictures("worklist-screening", "/worklist");
  await lan.page.goto("/worklist");
  await lan.press("j", "Enter");
  await lan.page.waitForURL("**/cases/*");
  seen.case = new URL(lan.page.url()).pathname;
  await lan.settled();
  await lan.page.waitForSelector("#case-progress:not([hidden])");
  seen.partial = Number(await lan.page.locator(".gallery .finding").first().getAttribute("aria-setsize"));
  seen.partialWords = await lan.text("#case-progress-text");
  await lan.pictures("case-screening", seen.case, () => lan.settled());

  rmSync(facts.hold);
  await lan.page.waitForSelector("#case-progress", { state: "hidden" });
  await lan.page.waitForFunction(() => document.querySelector("#case-ai strong"));
  await lan.page.waitForFunction((before) =>
    Number(document.querySelector(".gallery .finding")?.getAttribute("aria-setsize")) > before, seen.partial);
  await lan.settled();
  seen.whole = Number(await lan.page.locator(".gallery .finding").first().getAttribute("aria-setsize"));
  await lan.press("a", "n", "d");
  await lan.until("#case-announcer", "2");
  await lan.settled();
  await handIn(lan, seen);
  return lan;
}

/** Choose a file on the upload page and send it. */
async function send(lan, path, file) {
  await lan.pictures("upload", path);
  await lan.page.setInputFiles("#files", file);
  await lan.page.selectOption("#scale", "mpp");
  await lan.page.fill("#mpp", "0.25");
  await lan.page.focus("#form button[type=submit]");
  await lan.press("Enter");
}

async function handIn(lan, seen) {
  await lan.press("s");
  await lan.focusedIn("adequacy");
  await lan.press("1");
  await lan.focusedIn("zone");
  await lan.press("1");
  await lan.focusedIn("general");
  await lan.press("2");
  await lan.focusedIn("squamous");
  await lan.press("4");
  await lan.page.waitForSelector(".signout-summary .right");
  await lan.press("Control+Enter");
  seen.screened = await lan.signature();
}
