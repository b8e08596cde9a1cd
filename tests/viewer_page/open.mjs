// Opens the viewer in Chromium on a page of its own, served under the address of a running service.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const WEB = new URL("../../inference_service/web/", import.meta.url);
const texts = (language) => Object.assign({}, ...["viewer", "accounts"].map((part) =>
  JSON.parse(readFileSync(new URL(`catalogues/${part}.${language}.json`, WEB), "utf8"))));

/** Headers that every page of the service has. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
  + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** `built`: folder of page.js; `errors` collects what the console and the page complain of. */
export async function openViewer({ executablePath, url, built, language = "en", width = 860, height = 700, flags = [] }) {
  const browser = await chromium.launch({
    executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", ...flags],
  });
  const page = await browser.newPage({ viewport: { width, height } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
  const html = `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><title>viewer</title>
    <link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/app.css"><link rel="stylesheet" href="/static/viewer.css">
    <link rel="stylesheet" href="/viewer-page/page.css">
    <script type="application/json" id="texts">${JSON.stringify(texts(language))}</script>
    <script type="module" src="/viewer-page/page.js"></script></head><body><div id="viewer"></div></body></html>`;
  const answer = (contentType, body) => (route) => route.fulfill({
    contentType, body, headers: { "content-security-policy": POLICY, "cache-control": "no-store" },
  });
  await page.route(`${url}viewer-page/`, answer("text/html", html));
  await page.route(`${url}viewer-page/page.js`, answer("text/javascript", readFileSync(`${built}/page.js`)));
  await page.route(`${url}viewer-page/page.css`, answer(
    "text/css", "body { margin: 0; padding: 0; max-width: none; } #viewer { width: 100vw; height: 100vh; }",
  ));
  await page.goto(`${url}viewer-page/`);
  await page.evaluate(() => window.ready);
  return { browser, page, errors };
}

/** `count` findings spread over a slide in clusters, in the format of `GET /api/v1/analyses/{id}/findings`. */
export function madeUpFindings(count, width_px, height_px, { seed = 7, complete = true, parts = 1 } = {}) {
  const categories = ["NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC"];
  const columns = [["x_px", "f32"], ["y_px", "f32"], ["score", "f32"], ["suspicion", "f32"], ["category", "u8"], ["rank", "u32"]]
    .map(([name, type]) => ({ name, type }));
  let state = seed;
  const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32);
  const x = new Float32Array(count), y = new Float32Array(count), score = new Float32Array(count);
  const suspicion = new Float32Array(count), category = new Uint8Array(count), rank = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    x[i] = random() * width_px;
    y[i] = random() * height_px;
    const value = random();
    category[i] = value < 0.7 ? 0 : 1 + Math.floor(random() * 5);
    score[i] = 0.3 + 0.7 * random();
    suspicion[i] = category[i] === 0 ? 0.3 * random() : 0.4 + 0.6 * random();
    rank[i] = i;
  }
  const header = Buffer.from(JSON.stringify({ count, categories, complete, parts, columns }));
  const start = Math.ceil((4 + header.length) / 8) * 8;
  const content = Buffer.alloc(start + count * (4 * 5 + 1));
  content.writeUInt32LE(header.length, 0);
  header.copy(content, 4);
  let at = start;
  for (const column of [x, y, score, suspicion, category, rank]) {
    Buffer.from(column.buffer).copy(content, at);
    at += column.byteLength;
  }
  return content;
}
