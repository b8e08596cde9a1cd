// A slide is sent and screened, its worker dies, another goes on: node resumed_slide.mjs, with the facts as JSON on stdin.
// Tells `kill` on stdout once partial results are on the page; prints what it saw as JSON at the end.
import { existsSync, readFileSync } from "node:fs";
import { Hall } from "./whole_path/hall.mjs";

const facts = JSON.parse(readFileSync(0, "utf8"));
const seen = {};
const hall = new Hall(facts, seen);
await hall.open();
const lan = await hall.person("cytotechnologist");
const { page } = lan;

const size = () => page.locator(".gallery .finding").first().getAttribute("aria-setsize").then(Number);
const tiles = () => page.evaluate(() => document.querySelector("#case-progress-bar").value);

await lan.signIn("/upload");
await page.setInputFiles("#files", facts.slide);
await page.selectOption("#scale", "mpp");
await page.fill("#mpp", "0.25");
await page.locator("#form button[type=submit]").press("Enter");
await page.waitForFunction(() => /tìm tế bào [1-9]/.test(document.querySelector("#transfers [role=status]")?.textContent));
seen.sent = await lan.text("#transfers [role=status]");
await page.goto("/worklist");
await lan.press("j", "Enter");
await page.waitForURL("**/cases/*");
await lan.settled();
await page.waitForFunction(() => document.querySelector("#case-progress-bar").value > 0);
[seen.partial, seen.before] = [await size(), await tiles()];
await lan.picture("resumed-half");
console.log("kill");
while (!existsSync(facts.killed)) await page.waitForTimeout(50);
seen.meanwhile = await size();
await page.reload();
await lan.settled();
[seen.stillThere, seen.stillDone] = [await size(), await tiles()];
console.log("resume");
await page.waitForSelector("#case-progress", { state: "hidden" });
await page.waitForFunction((before) =>
  Number(document.querySelector(".gallery .finding")?.getAttribute("aria-setsize")) > before, seen.partial);
await lan.settled();
seen.whole = await size();
await lan.picture("resumed-whole");
await hall.browser.close();
console.log(JSON.stringify(seen));
