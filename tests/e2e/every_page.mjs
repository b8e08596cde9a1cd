// Visits pages and reports on each: node every_page.mjs '{"executablePath", "url", "pages", "runs", "axe", ...}'.
// pages: [{name, path, wait?, click?: [selectors]}]; runs: [{language, theme}]. Prints a list of reports as JSON.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const asked = JSON.parse(process.argv[2]);
const axe = readFileSync(asked.axe, "utf-8");
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const browser = await chromium.launch({ executablePath: asked.executablePath, args: ARGS });
const reports = [];

/** Texts that a person sees or hears which hold letters and no mark of the catalogue, and are not `allowed`. */
function untranslated({ mark, allowed }) {
  const plain = (text) => allowed.reduce((rest, known) => rest.replaceAll(known, " "), text).replace(/[\d.,:%×/()–·-]/g, " ");
  const foreign = (text) => !text.includes(mark) && /\p{L}{2,}/u.test(plain(text));
  const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[lang]:not(html), code, script, style, [data-text-of-a-person]");
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement, data } = walker.currentNode;
    if (parentElement && visible(parentElement) && foreign(data)) found.add(data.trim());
  }
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
    if (!visible(element)) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt"]) {
      const text = element.getAttribute(name);
      if (text && foreign(text)) found.add(`${name}: ${text}`);
    }
  }
  if (foreign(document.title)) found.add(`title: ${document.title}`);
  return [...found];
}

for (const { language, theme } of asked.runs) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: theme, bypassCSP: false });
  if (asked.cookies) await context.addCookies(asked.cookies);
  for (const { name, path, wait, click = [] } of asked.pages) {
    const page = await context.newPage();
    const errors = [];
    let bytes = 0;
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("response", async (response) => {
      const kind = response.request().resourceType();
      if (!["document", "script", "stylesheet"].includes(kind)) return;
      const sizes = await response.request().sizes().catch(() => null);
      if (sizes) bytes += sizes.responseBodySize + sizes.responseHeadersSize;
    });
    const address = new URL(path, asked.url);
    address.searchParams.set("language", language);
    await page.goto(address.href, { waitUntil: "load" });
    if (wait) {
      await page.locator(wait).first().waitFor({ timeout: 120000 }).catch((error) => {
        throw new Error(`${name} in ${language}: ${[...errors, error.message].join("; ")}`);
      });
    }
    for (const selector of click) await page.locator(selector).first().click();
    await page.waitForTimeout(400);
    await page.screenshot({ path: `${asked.screenshots}/${name}-${language}-${theme}.png` });
    const report = { name, language, theme, errors, bytes, untranslated: [], violations: [] };
    report.wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (asked.mark) report.untranslated = await page.evaluate(untranslated, { mark: asked.mark, allowed: asked.allowed });
    else {
      await page.evaluate(axe);
      const result = await page.evaluate((tags) => axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), RULES);
      report.violations = result.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(" | ")}`);
    }
    reports.push(report);
    await page.close();
  }
  await context.close();
}
await browser.close();
console.log(JSON.stringify(reports));
