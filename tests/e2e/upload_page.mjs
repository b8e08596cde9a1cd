// Drives the upload page in a real browser: node upload_page.mjs CHROMIUM URL FILE SCREENSHOT. Prints what it saw as JSON.
import { chromium } from "playwright-core";

const [executablePath, url, file, screenshot] = process.argv.slice(2);
const seen = { errors: [] };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.on("pageerror", (error) => seen.errors.push(error.message));
page.on("console", (line) => line.type() === "error" && seen.errors.push(line.text()));
const network = await page.context().newCDPSession(page);
const line = () => page.locator("#transfers li").last().locator("span").first();

async function choose() {
  await page.setInputFiles("#files", file);
  await page.selectOption("#scale", "40");
  await page.focus("#form button[type=submit]");
  await page.keyboard.press("Enter");
}

await page.goto(`${url}upload?language=en`);
await page.focus("#form button[type=submit]");
await page.keyboard.press("Enter");
seen.complaint = await page.locator("#error").textContent();
await network.send("Network.enable");
await network.send("Network.emulateNetworkConditions", {
  offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_500_000,
});
page.setDefaultTimeout(240_000);
const parts = [];
await page.route("**/api/v1/uploads/*", (route) => {
  // The line stands still after the first part.
  if (route.request().method() === "PATCH" && parts.push(route) > 1) return;
  return route.continue();
});
await choose();
while (parts.length < 2) await page.waitForTimeout(50);
seen.sending = await line().textContent();
seen.remembered = await page.evaluate(() => JSON.stringify(Object.entries(localStorage)));
await page.screenshot({ path: screenshot, fullPage: true });
await page.unroute("**/api/v1/uploads/*");
await page.reload();
await page.waitForFunction(() => document.querySelector("#unfinished")?.textContent);
seen.unfinished = await page.locator("#unfinished").textContent();
const head = page.waitForResponse((answer) => answer.request().method() === "HEAD");
await choose();
seen.offset = Number((await head).headers()["upload-offset"]);
await network.send("Network.emulateNetworkConditions", {
  offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1,
});
await page.waitForSelector("#transfers a");
seen.finished = await line().textContent();
seen.forgotten = await page.evaluate(() => localStorage.length);
await page.click("#transfers a");
await page.waitForURL("**/cases/*");
await page.waitForSelector(".openseadragon-canvas");
seen.landed = new URL(page.url()).pathname;
await browser.close();
console.log(JSON.stringify(seen));
