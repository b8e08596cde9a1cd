// Reads two cases in a real browser, by keys alone: node case_page.mjs, with the facts of the service as JSON on stdin.
// Prints what it saw as JSON.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { executablePath, url, username, password, first, screenshots } = JSON.parse(readFileSync(0, "utf8"));
const seen = { errors: [], said: [] };
const browser = await chromium.launch({
  executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: url });
const page = await context.newPage();
page.setDefaultTimeout(240_000);
page.on("pageerror", (error) => seen.errors.push(error.message));
page.on("console", (line) => line.type() === "error" && seen.errors.push(`${line.text()} ${line.location().url}`));

let pressed = 0;
async function press(...keys) {
  for (const key of keys) {
    pressed += 1;
    await page.keyboard.press(key);
  }
}
const text = (id) => page.locator(`#${id}`).textContent();
const said = () => text("case-announcer");
const picture = async (name) => page.screenshot({ path: `${screenshots}/case-${name}.png` });
/** Until a line of the page fits; a busy machine takes its time. */
const until = (id, words) =>
  page.waitForFunction(([where, what]) => document.getElementById(where)?.textContent.includes(what), [id, words]);
/** Findings are there, the crops in view were drawn, and every mark is stored. */
async function settled(language) {
  await page.waitForSelector(".gallery .finding[aria-current=true]");
  await page.waitForFunction(() => [...document.querySelectorAll(".gallery .finding img")].every((crop) => crop.complete && crop.naturalWidth));
  await until("case-saved", language === "vi" ? "đã được lưu" : "All marks saved");
}

const answer = await context.request.post("/api/v1/session", { data: { username, password, code: "" } });
if (!answer.ok()) throw new Error(await answer.text());

// What each key does, in English.
await page.goto(`/cases/${first}?language=en`);
await settled("en");
await page.waitForSelector(".chosen meter");
seen.meters = await page.locator(".chosen meter").count();
seen.items = await page.locator(".gallery .finding").first().getAttribute("aria-setsize");
seen.inDocument = await page.locator(".gallery .finding").count();
await picture("en");
await press("d");
await until("case-announcer", "dismissed");
await press("u");
await until("case-announcer", "Undone: dismissed");
await press("Shift+U");
await until("case-announcer", "Redone: dismissed");
await press("x", "Shift+ArrowRight", "Shift+ArrowRight", "a");
await until("case-announcer", "3 findings: agreed");
await press("Shift+X", "3");
seen.asked = await page.locator("dialog[open] p").first().textContent();
await press("Escape", "Escape");
await page.locator("#case").evaluate(() => document.activeElement?.blur());
await press("m", "Enter");
await page.waitForSelector("dialog[open]");
await press("5");
await until("case-announcer", "");
await settled("en");
await press("?");
await page.waitForSelector("dialog.keys[open]");
seen.keys = await page.locator("dialog.keys dt").count();
await picture("keys-en");
await press("Escape");

// The line is lost: nothing of it may be.
await context.setOffline(true);
await press("n", "d");
await until("case-saved", "unsaved");
seen.offline = await text("case-saved");
await context.setOffline(false);
await settled("en");
await page.reload();
await settled("en");
seen.state = await page.locator(".gallery .finding").nth(3).getAttribute("class");
seen.looked = await text("case-looked");
await page.emulateMedia({ colorScheme: "dark" });

// The path of a reader, in Vietnamese: the next case, 24 findings, two regraded, signed.
await page.goto(`/cases/${first}?language=vi`);
await settled("vi");
pressed = 0;
const began_ms = Date.now();
await press("Shift+N");
await page.waitForURL((address) => !address.pathname.endsWith(first));
await settled("vi");
for (let finding = 2; finding <= 24; finding += 1) {
  await press("n");
  if (finding === 5 || finding === 9) await press((await said()).includes("HSIL") ? "3" : "5");
}
await until("case-looked", "24/24");
seen.last = await said();
await settled("vi");
await picture("vi");
await press("s");
await page.waitForFunction(() => document.activeElement?.closest("#signout-adequacy"));
await press("1");
await page.waitForFunction(() => document.activeElement?.closest("#signout-zone"));
await press("1");
await press("m");
await page.waitForFunction(() => document.querySelector(".signout-summary .right"));
await picture("sign-out-vi");
await press("Control+Enter");
await page.waitForSelector("dialog[open] input[type=password]");
await page.keyboard.type(password);
await picture("signing-vi");
await press("Enter");
await page.waitForSelector("dialog[open] input[type=password]", { state: "detached" });
seen.presses = pressed;
seen.path_s = (Date.now() - began_ms) / 1000;
seen.overflow = await page.evaluate(() => document.documentElement.scrollHeight - innerHeight);
await page.goto("/model?language=vi");
seen.model = await page.locator("main").textContent();
await picture("model-vi");
await browser.close();
console.log(JSON.stringify(seen));
