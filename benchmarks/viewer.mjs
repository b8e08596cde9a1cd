// Drives the viewer with many findings: node viewer.mjs '{"executablePath", "url", "built", "slide", "count", …}'.
// Prints frame times of scripted panning and zooming as JSON. Used by viewer.py.
import { madeUpFindings, openViewer } from "../tests/viewer_page/open.mjs";

const asked = JSON.parse(process.argv[2]);
const { slide, count, rounds } = asked;
const { browser, page, errors } = await openViewer(asked);
const body = madeUpFindings(count, slide.width_px, slide.height_px);
await page.route("**/api/v1/analyses/*/findings*", (route) => route.fulfill({ contentType: "application/octet-stream", body }));
await page.route("**/api/v1/analyses/*/events", (route) => route.fulfill({ contentType: "text/event-stream", body: "" }));
await page.route("**/api/v1/cases/*/coverage/*", (route) => route.fulfill({
  json: { columns: 1, rows: 1, cell_um: 1e6, bits: "", looked: [], share_of_slide: 0, share_of_cells: null },
}));

/** From `open` until every tile of the first view is drawn, and until the first tile is, milliseconds. */
async function openSlide() {
  return page.evaluate(async ({ slide_id }) => {
    const start = performance.now();
    let first = 0;
    const opened = viewer.open(slide_id, "made-up");
    const osd = viewer.stage.osd;
    osd.addOnceHandler("tile-drawn", () => (first = performance.now() - start));
    await opened;
    await new Promise((resolve) => {
      const whole = () => osd.world.getItemAt(0)?.getFullyLoaded() ? resolve() : setTimeout(whole, 10);
      whole();
    });
    const all = performance.now() - start;
    while (!first) await new Promise((resolve) => requestAnimationFrame(resolve));
    return { first, all };
  }, slide);
}

/** Frame times in milliseconds of the same movements at the same places. */
async function frames() {
  return page.evaluate(async ({ rounds, slide }) => {
    if (rounds === 0) return {};
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const recording = async (moves) => {
      const times = [];
      let on = true, last = 0;
      const tick = (now) => {
        if (last) times.push(now - last);
        last = now;
        if (on) requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
      await moves();
      on = false;
      return times;
    };
    const osd = viewer.stage.osd, viewport = osd.viewport;
    const found = {};
    for (const [name, magnification] of [["whole", null], ["4×", 4], ["10×", 10], ["40×", 40]]) {
      if (magnification === null) viewer.home();
      else viewer.zoomTo(magnification);
      viewer.stage.centreOn(slide.width_px / 2, slide.height_px / 2);
      await wait(1500);
      const pan = await recording(async () => {
        for (let i = 0; i < rounds; i++) {
          for (const [right, down] of [[0.2, 0], [0, 0.2], [-0.2, 0], [0, -0.2]]) {
            viewer.pan(right, down);
            await wait(300);
          }
        }
      });
      const zoom = await recording(async () => {
        for (let i = 0; i < rounds; i++) {
          for (const factor of [1.6, 1 / 1.6, 1 / 1.6, 1.6]) {
            viewer.zoom(factor);
            await wait(300);
          }
        }
      });
      found[name] = { pan, zoom };
    }
    return found;
  }, { rounds, slide });
}

/** The same findings as one element of OpenSeadragon's own overlays each: at most `most` of them. */
async function addElements(most) {
  return page.evaluate(({ most }) => {
    const start = performance.now();
    viewer.setOverlay("outlines", false);
    const { table } = viewer.overlays, osd = viewer.stage.osd, image = osd.world.getItemAt(0);
    const side = 96;
    for (let i = 0; i < most; i++) {
      const element = document.createElement("div");
      element.className = "each";
      element.style.border = `2px solid ${["green", "blue", "purple", "orange", "red", "black"][table.category[i]]}`;
      element.style.borderRadius = "50%";
      osd.addOverlay({ element, location: image.imageToViewportRectangle(table.x_px[i] - side / 2, table.y_px[i] - side / 2, side, side) });
    }
    osd.forceRedraw();
    return performance.now() - start;
  }, { most });
}

/** The same findings as one SVG that is moved as a whole: a `<circle>` each, as Annotorious and others draw. */
async function addSvg(most) {
  return page.evaluate(({ most }) => {
    const start = performance.now();
    viewer.setOverlay("outlines", false);
    viewer.stage.osd.clearOverlays();
    const { table } = viewer.overlays, osd = viewer.stage.osd;
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg");
    svg.style.position = "absolute";
    svg.style.inset = "0";
    svg.style.pointerEvents = "none";
    svg.setAttribute("width", "100%");
    svg.setAttribute("height", "100%");
    const group = document.createElementNS(NS, "g");
    for (let i = 0; i < most; i++) {
      const circle = document.createElementNS(NS, "circle");
      circle.setAttribute("cx", table.x_px[i]);
      circle.setAttribute("cy", table.y_px[i]);
      circle.setAttribute("r", "48");
      circle.setAttribute("fill", "none");
      circle.setAttribute("vector-effect", "non-scaling-stroke");
      circle.setAttribute("stroke-width", "2");
      circle.setAttribute("stroke", ["green", "blue", "purple", "orange", "red", "black"][table.category[i]]);
      group.append(circle);
    }
    svg.append(group);
    osd.canvas.append(svg);
    const follow = () => {
      const { a, b, c, d, e, f } = viewer.stage.transform();
      group.setAttribute("transform", `matrix(${a} ${b} ${c} ${d} ${e} ${f})`);
    };
    osd.addHandler("update-viewport", follow);
    follow();
    return performance.now() - start;
  }, { most });
}

const result = { opened: await openSlide() };
await page.waitForFunction(() => window.heard.findings.length > 0);
if (!asked.alternative) result.viewer = await frames();
if (asked.alternative === "elements") result.added_ms = await addElements(asked.alternatives);
if (asked.alternative === "svg") result.added_ms = await addSvg(asked.alternatives);
if (asked.alternative) result.other = await frames();
if (!asked.alternative) {
  await page.evaluate(() => viewer.setOverlay("outlines", false));
  result.none = await frames();
}
result.errors = errors;
await browser.close();
console.log(JSON.stringify(result));
