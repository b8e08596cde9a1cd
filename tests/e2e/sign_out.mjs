// Drives the sign-out panel in a real browser: node sign_out.mjs '{"executablePath", "url", "case_id", "readers", "screenshots"}'.
// Prints what it saw as JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const asked = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const seen = { errors: [], axe: {} };
const browser = await chromium.launch({
  executablePath: asked.executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

async function sit(reader, language) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, bypassCSP: true });
  await context.addCookies([
    { name: reader.cookie, value: reader.session, url: asked.url },
    { name: "tamsoat-language", value: language, url: asked.url },
  ]);
  return context;
}

async function open(context, watch = true) {
  const page = await context.newPage();
  page.setDefaultTimeout(90_000);
  if (watch) {
    page.on("pageerror", (error) => seen.errors.push(String(error)));
    page.on("console", (message) => {
      const expected = /status of (403|409|412)|ERR_INTERNET_DISCONNECTED/.test(message.text());
      if (message.type() === "error" && !expected) seen.errors.push(`${message.text()} ${message.location().url}`);
    });
  }
  await page.goto(`${asked.url}cases/${asked.case_id}`);
  await page.locator("#signout-adequacy").waitFor({ state: "attached" });
  return page;
}

async function audit(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run("#panel-signout, dialog", {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
  }));
  seen.axe[name] = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  await page.screenshot({ path: `${asked.screenshots}/sign-out-${name}.png` });
}

const saved = (page) => page.waitForFunction(() => /Đã lưu nháp|Draft saved/.test(document.querySelector(".signout-saved").textContent));
const focused = (page, group) => page.waitForFunction((id) => document.activeElement?.closest("fieldset")?.id === id, `signout-${group}`);
const checked = (page) => page.evaluate(() => [...document.querySelectorAll("#panel-signout input:checked")].map((input) => input.value));
const status = (page) => page.locator(".signout-saved").textContent();

// The first reader: by keys alone.
const lan = await sit(asked.readers[0], "vi");
const page = await open(lan);
let presses = 0;
const press = async (key) => {
  presses += 1;
  await page.keyboard.press(key);
};
await press("s");
await focused(page, "adequacy");
await press("1");
await focused(page, "zone");
await press("1");
await focused(page, "general");
await press("2");
await focused(page, "squamous");
await press("4");
await saved(page);
seen.chosen = await checked(page);
seen.summary = await page.locator(".signout-summary").textContent();
await audit(page, "form-vi");
await press("1");
await page.locator(".signout-group.wrong").waitFor();
seen.wrong = await page.locator("#signout-squamous .signout-messages").textContent();
await audit(page, "wrong-vi");
await press("1");
await page.locator(".signout-summary .right").waitFor();
await saved(page);

// Another window of the same person.
const other = await open(lan, false);
await other.keyboard.press("s");
await other.locator("#signout-comment").fill("ở cửa sổ kia");
await saved(other);
await page.locator("#signout-comment").fill("ở cửa sổ này");
await page.locator(".signout-conflict").waitFor();
seen.conflict = await page.locator(".signout-conflict").textContent();
await audit(page, "conflict-vi");
await page.locator(".signout-conflict button").first().click();
await saved(page);
await other.close();

// Without a connection.
await lan.setOffline(true);
await page.locator("#signout-comment").fill("không có mạng");
await page.waitForFunction(() => document.querySelector(".signout-saved").classList.contains("unsaved")
  && /mất kết nối/.test(document.querySelector(".signout-saved").textContent));
seen.kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }).includes("mạng"));
await lan.setOffline(false);
await saved(page);

await press("Control+Enter");
await page.locator("dialog input[type=password]").waitFor();
await audit(page, "dialog-vi");
await page.keyboard.type("sai mật khẩu");
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector("dialog .error").textContent.length > 0);
seen.refused = await page.locator("dialog .error").textContent();
await page.locator("dialog input[type=password]").fill(asked.readers[0].password);
await press("Enter");
await page.locator("[data-outcome]").waitFor();
seen.outcome = await page.locator("[data-outcome]").textContent();
await Promise.all([page.waitForEvent("load"), press("Enter")]);
seen.presses = presses;
await page.locator("#tab-signout").click();
await page.locator(".signout-history li").waitFor();
seen.afterwards = await page.locator(".signout-top").textContent();
seen.formGone = await page.locator(".signout-form").isHidden();

// The second reader sees nothing of it, and agrees; then amends.
const minh = await sit(asked.readers[1], "en");
const second = await open(minh);
await second.keyboard.press("s");
await focused(second, "adequacy");
seen.secondSees = [await second.locator(".signout-top").textContent(), await checked(second), await second.locator(".signout-history").count()];
await audit(second, "second-en");
for (const key of ["1", "1", "2", "4"]) await second.keyboard.press(key);
await saved(second);
await second.keyboard.press("Control+Enter");
await second.locator("dialog input[type=password]").fill(asked.readers[1].password);
await second.keyboard.press("Enter");
await second.locator("[data-outcome]").waitFor();
seen.secondOutcome = await second.locator("[data-outcome]").getAttribute("data-outcome");
await Promise.all([second.waitForEvent("load"), second.keyboard.press("Enter")]);
await second.locator("#tab-signout").click();
await second.locator(".signout-history li").first().waitFor();
seen.history = await second.locator(".signout-history > li > strong").allTextContents();
await audit(second, "history-en");
await second.getByRole("button", { name: "Amend the result" }).click();
await focused(second, "adequacy");
seen.amendStart = await checked(second);
await audit(second, "amendment-en");
console.log(JSON.stringify(seen));
await browser.close();
