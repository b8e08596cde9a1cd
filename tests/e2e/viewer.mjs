// Drives the viewer in a real browser: node viewer.mjs '{"executablePath", "url", "built", "slide", "screenshots"}'.
// Prints what it saw as JSON. What the AI found is made up here; slide and coverage are those of the service.
import { madeUpFindings, openViewer } from "../viewer_page/open.mjs";

const asked = JSON.parse(process.argv[2]);
const { slide, url, screenshots } = asked;
const seen = {};
const COUNT = 4000;
const { browser, page, errors } = await openViewer(asked);
const findings = (count, options) => madeUpFindings(count, slide.width_px, slide.height_px, options);
const bytes = (body) => ({ contentType: "application/octet-stream", body });

// The screening runs at first: one part is there, the next one comes with the news that it is complete.
const queries = [];
await page.route("**/api/v1/analyses/*/findings*", (route) => {
  const query = new URL(route.request().url()).search;
  queries.push(query);
  if (query) return route.fulfill(bytes(findings(COUNT / 2, { seed: 8, parts: 2 })));
  const first = queries.filter((text) => !text).length === 1;
  return route.fulfill(bytes(first ? findings(COUNT / 2, { complete: false }) : findings(COUNT, { parts: 2 })));
});
await page.route("**/api/v1/analyses/*/events", (route) => route.fulfill({
  contentType: "text/event-stream", body: `event: state\ndata: ${JSON.stringify({ state: "completed" })}\n\n`,
}));
await page.route("**/api/v1/analyses/*/map", (route) => route.fulfill({
  json: { columns: 4, rows: 4, tile_um: (slide.width_px * slide.mpp) / 4, quality: new Array(16).fill(0),
    suspicion: Array.from({ length: 16 }, (_, index) => index / 16) },
}));
const puts = [];
page.on("request", (request) => request.method() === "PUT" && puts.push(request.postDataJSON()));
const kept = [];
page.on("response", (answer) => answer.request().method() === "PUT" && kept.push(answer.status()));
page.setDefaultTimeout(240_000);

/** Pixels of an overlay canvas (0: grids, 1: shapes) that are not empty. */
const drawn = (which) => page.evaluate((which) => {
  const canvas = document.querySelectorAll("canvas.viewer-overlay")[which];
  if (canvas.hidden) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let total = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i]) total++;
  return total;
}, which);
const settled = () => page.waitForFunction(() => {
  const image = viewer.stage.osd.world.getItemAt(0);
  return image?.getFullyLoaded() && !viewer.stage.osd.isAnimating();
});
const toggle = (name) => page.getByRole("button", { name, exact: true }).click();
const shot = (name) => page.screenshot({ path: `${screenshots}/viewer-${name}.png` });

await page.evaluate(({ slide_id }) => viewer.open(slide_id, "made-up"), slide);
await settled();
await page.waitForFunction((count) => heard.findings.at(-1)?.count === count, COUNT);
seen.tables = await page.evaluate(() => heard.findings.map(({ count }) => count));
seen.queries = queries;
seen.tilePixels = await page.evaluate(() => {
  const canvas = viewer.stage.osd.drawer.canvas;
  const { data } = canvas.getContext("2d").getImageData(canvas.width / 2 - 50, canvas.height / 2 - 50, 100, 100);
  return new Set(new Uint32Array(data.buffer)).size;
});
await page.waitForFunction(() => heard.coverage.length > 0);
seen.coverageAtFirst = await page.evaluate(() => heard.coverage[0].cells_seen);
seen.outlines = await drawn(1);
await shot("whole");
await toggle("Outlines");
seen.outlinesOff = await drawn(1);
await toggle("Outlines");
seen.gridsOff = await drawn(0);
await toggle("Heat map");
await page.waitForFunction(() => !document.querySelector("canvas.viewer-overlay").hidden);
seen.heatmap = await drawn(0);
await shot("heatmap");
await toggle("Heat map");

// Near enough, long enough: looked at, kept by the service, shown.
await page.getByRole("button", { name: "Magnification as a 10× objective" }).click();
await settled();
await page.waitForFunction(() => heard.coverage.at(-1).cells_seen > 0);
await toggle("Looked at");
await page.waitForTimeout(50);
seen.seenArea = await drawn(0);
await page.evaluate(() => viewer.setMarks([
  { id: "1", kind: "add", rank: null, x_px: viewer.stage.centre().x, y_px: viewer.stage.centre().y, category: "HSIL", author_name: "Lan" },
]));
await toggle("40× field");
await shot("looked-at");
while (!kept.length) await page.waitForTimeout(50);
seen.puts = puts.length;
seen.hud = await page.locator(".viewer-hud").innerText();
await toggle("Looked at");
await toggle("40× field");

// A click chooses the finding under it; in the other mode it says where a cell was missed.
await page.evaluate(() => viewer.zoomTo(40));
await settled();
const place = await page.evaluate(() => {
  const { table, findings } = viewer.overlays, centre = viewer.stage.centre();
  const index = findings.at(centre.x, centre.y, 600);
  const t = viewer.stage.transform();
  const x = table.x_px[index], y = table.y_px[index];
  return { rank: table.rank[index], x: t.a * x + t.c * y + t.e, y: t.b * x + t.d * y + t.f };
});
await page.mouse.click(place.x, place.y);
await page.waitForFunction(() => heard.select.length > 0);
seen.chosen = [place.rank, await page.evaluate(() => heard.select[0].rank)];
await toggle("Tint and names");
await page.evaluate(() => viewer.rotate(30));
await settled();
await shot("chosen");
seen.rotated = await page.locator(".viewer-hud").innerText();
await page.evaluate(() => viewer.addMode(true));
await page.mouse.click(300, 400);
await page.waitForFunction(() => heard.add.length > 0);
await page.evaluate(() => viewer.addAtCentre());
seen.added = await page.evaluate(() => [heard.add[0], heard.add[1], viewer.stage.toSlide({ x: 300, y: 400 }), viewer.stage.centre()]);
await page.evaluate(() => viewer.addMode(false));

// The view can be left and entered by keyboard; its controls are reached by Tab and have names.
seen.buttons = await page.evaluate(() => [...document.querySelectorAll("button")].filter((button) => button.offsetParent)
  .map((button) => ({ name: button.getAttribute("aria-label") ?? button.textContent, height: button.offsetHeight, width: button.offsetWidth })));
await page.keyboard.press("Tab");
seen.focusable = await page.evaluate(() => document.activeElement?.tagName);

// Open again: what was looked at is there.
const before = await page.evaluate(() => heard.coverage.at(-1).cells_seen);
await page.evaluate(() => viewer.coverage.flush());
await page.waitForFunction(() => !viewer.coverage.unsent);
await page.waitForTimeout(300);
await page.evaluate(async ({ slide_id }) => { heard.coverage.length = 0; await viewer.open(slide_id, null); }, slide);
await page.waitForFunction(() => heard.coverage.length > 0);
seen.restored = [before, await page.evaluate(() => heard.coverage[0].cells_seen)];
seen.withoutAi = await page.getByRole("button", { name: "Heat map", exact: true }).isVisible();
await browser.close();

const vietnamese = await openViewer({ ...asked, language: "vi" });
await vietnamese.page.evaluate(({ slide_id }) => viewer.open(slide_id, null), slide);
await vietnamese.page.waitForFunction(() => viewer.stage.osd.world.getItemAt(0)?.getFullyLoaded());
seen.vietnamese = await vietnamese.page.locator(".viewer-controls").innerText();
await vietnamese.page.screenshot({ path: `${screenshots}/viewer-vi.png` });
await vietnamese.page.evaluate(() => viewer.destroy());
seen.left = await vietnamese.page.evaluate(() => document.getElementById("viewer").childElementCount);
await vietnamese.browser.close();
seen.errors = [...errors, ...vietnamese.errors];
console.log(JSON.stringify(seen));
