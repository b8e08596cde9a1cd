// The parts of the viewer that need no browser: node --test on the bundle of this file (tests/unit/web/test_viewer_logic.py).
import assert from "node:assert/strict";
import { test } from "node:test";
import { CoverageGrid, DWELL_MS, fromBase64, toBase64 } from "../../inference_service/web/src/viewer/coverage_grid.ts";
import { GridIndex, spanOf } from "../../inference_service/web/src/viewer/grid.ts";
import { magnificationLabel, magnificationOf, scaleBar, umPerScreenPx } from "../../inference_service/web/src/viewer/scale.ts";
import { apply, boundsOf, cornersOf, inverse, scaleOf, throughCorners } from "../../inference_service/web/src/viewer/transform.ts";

/** Numbers that look random and are the same every time. */
function numbers(seed) {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

function made(count, width, height, seed = 1) {
  const random = numbers(seed);
  const x = new Float32Array(count), y = new Float32Array(count), category = new Uint8Array(count);
  for (let i = 0; i < count; i++) [x[i], y[i], category[i]] = [random() * width, random() * height, random() * 6];
  return { x, y, category };
}

/** Rotated by `angle`, `scale` screen pixels a slide pixel, (left, top) at the origin of the pane. */
function turned(angle, scale, left, top) {
  const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
  return { a: cos, b: sin, c: -sin, d: cos, e: -cos * left + sin * top, f: -sin * left - cos * top };
}

test("the grid finds what a search through all finds, for any rectangle and filter", () => {
  const { x, y, category } = made(5000, 9000, 4000);
  const random = numbers(3);
  for (const shown of [() => true, (kind) => kind > 3]) {
    const grid = new GridIndex(x, y, category, 9000, 4000, shown);
    for (let round = 0; round < 200; round++) {
      const left = random() * 10000 - 500, top = random() * 5000 - 500;
      const box = { left, top, right: left + random() ** 3 * 9000, bottom: top + random() ** 3 * 5000 };
      const inside = (i) => x[i] >= box.left && x[i] <= box.right && y[i] >= box.top && y[i] <= box.bottom;
      const expected = [...x.keys()].filter((i) => shown(category[i]) && inside(i));
      const found = [];
      grid.forEachIn(box, (index) => found.push(index));
      assert.deepEqual(found.sort((a, b) => a - b), expected);
      assert.ok(grid.countIn(box) >= expected.length);
    }
  }
});

test("every level counts every finding once and knows the gravest", () => {
  const { x, y, category } = made(3000, 7000, 5000, 5);
  const grid = new GridIndex(x, y, category, 7000, 5000);
  for (const level of grid.levels) {
    assert.equal(level.count.reduce((sum, value) => sum + value, 0), 3000);
    const worst = new Uint8Array(level.columns * level.rows);
    for (let i = 0; i < 3000; i++) {
      const at = Math.floor(y[i] / level.side_px) * level.columns + Math.floor(x[i] / level.side_px);
      worst[at] = Math.max(worst[at], category[i]);
    }
    assert.deepEqual(level.worst, worst);
  }
  assert.equal(grid.levels.at(-1).count.length, 1);
  assert.ok(grid.levelFor(100).side_px >= 100);
  assert.equal(grid.levelFor(1e9), grid.levels.at(-1));
});

test("findings outside the slide and none at all do no harm", () => {
  const stray = new GridIndex(new Float32Array([-50, 999999]), new Float32Array([-9, 5]), new Uint8Array([1, 2]), 100, 100);
  assert.equal(stray.count, 2);
  assert.equal(stray.nearest(-50, -9, 5), 0);
  const none = new GridIndex(new Float32Array(), new Float32Array(), new Uint8Array(), 100, 100);
  assert.equal(none.countIn({ left: 0, top: 0, right: 100, bottom: 100 }), 0);
  assert.equal(none.nearest(5, 5, 100), null);
});

test("the nearest finding is the nearest, within reach only", () => {
  const { x, y, category } = made(2000, 3000, 3000, 9);
  const grid = new GridIndex(x, y, category, 3000, 3000);
  const random = numbers(4);
  for (let round = 0; round < 100; round++) {
    const [px, py] = [random() * 3000, random() * 3000];
    const distances = Array.from(x, (value, i) => Math.hypot(value - px, y[i] - py));
    const best = distances.indexOf(Math.min(...distances));
    assert.equal(grid.nearest(px, py, 5000), best);
    assert.equal(grid.nearest(px, py, distances[best] * 0.99), null);
  }
});

test("spans stay on the grid", () => {
  const level = { columns: 10, rows: 8, side_px: 100 };
  assert.deepEqual(spanOf(level, { left: 150, top: 250, right: 420, bottom: 260 }), { left: 1, top: 2, right: 5, bottom: 3 });
  assert.deepEqual(spanOf(level, { left: -900, top: -900, right: 9000, bottom: 9000 }), { left: 0, top: 0, right: 10, bottom: 8 });
  assert.deepEqual(spanOf(level, { left: -900, top: -900, right: -800, bottom: -800 }), { left: 0, top: 0, right: 1, bottom: 1 });
});

test("transforms go there and back, and keep their scale when turned", () => {
  const view = turned(0.7, 0.25, 300, 200);
  const back = inverse(view);
  const there = apply(view, 1234, 567);
  const again = apply(back, there.x, there.y);
  assert.ok(Math.hypot(again.x - 1234, again.y - 567) < 1e-6);
  assert.ok(Math.abs(scaleOf(view) - 0.25) < 1e-12);
  const same = throughCorners(4000, 3000, apply(view, 0, 0), apply(view, 4000, 0), apply(view, 0, 3000));
  for (const key of ["a", "b", "c", "d", "e", "f"]) assert.ok(Math.abs(same[key] - view[key]) < 1e-9, key);
  const box = boundsOf(view, 800, 600);
  for (const { x, y } of cornersOf(view, 800, 600)) {
    assert.ok(x >= box.left - 1e-9 && x <= box.right + 1e-9 && y >= box.top - 1e-9 && y <= box.bottom + 1e-9);
  }
});

test("magnification is that of an objective: 0.25 um a screen pixel is 40x", () => {
  assert.equal(magnificationOf(0.25), 40);
  assert.equal(magnificationOf(1), 10);
  assert.equal(umPerScreenPx(20), 0.5);
  assert.deepEqual([0.83, 3.14159, 9.96, 10.4, 39.99999].map(magnificationLabel), ["0.83×", "3.1×", "10×", "10×", "40×"]);
});

test("the scale bar is the longest round length that fits", () => {
  assert.deepEqual(scaleBar(0.25, 160), { length_um: 20, length_px: 80, label: "20 µm" });
  assert.deepEqual(scaleBar(0.5, 100), { length_um: 50, length_px: 100, label: "50 µm" });
  assert.equal(scaleBar(20, 160).label, "2 mm");
  for (let um = 0.01; um < 100; um *= 1.13) {
    const bar = scaleBar(um, 160);
    assert.ok(bar.length_px <= 160.0001 && bar.length_px > 160 / 2.51, `${um}`);
    assert.match(bar.label, /^[125]0*(\.\d+)? (µm|mm)$|^0\.\d+ µm$/);
    assert.ok(Math.abs(bar.length_px * um - bar.length_um) < 1e-6 * bar.length_um);
  }
});

test("a square counts once it was in view near enough for long enough, without a break", () => {
  const grid = new CoverageGrid(20, 10, 400);
  const view = turned(0, 0.25, 0, 0); // 100 screen pixels a square
  assert.deepEqual(grid.look(view, 240, 150, true, 0), []);
  assert.deepEqual(grid.look(view, 240, 150, true, DWELL_MS - 1), []);
  assert.deepEqual(grid.look(view, 240, 150, true, DWELL_MS), [0, 1, 20, 21], "those whose middle is in view");
  assert.deepEqual(grid.look(view, 240, 150, true, DWELL_MS + 100), [], "once");
  assert.equal(grid.seen, 4);
  const elsewhere = turned(0, 0.25, 4000, 0);
  grid.look(elsewhere, 240, 150, true, 1000);
  grid.look(view, 240, 150, true, 1200);
  assert.deepEqual(grid.look(elsewhere, 240, 150, true, 1400), [], "it went away meanwhile");
  assert.deepEqual(grid.look(elsewhere, 240, 150, false, 2400), [], "too far");
  assert.deepEqual(grid.look(elsewhere, 240, 150, true, 2500), [], "begins anew");
});

test("squares at the edge are reached without looking beyond the slide", () => {
  const grid = new CoverageGrid(2, 2, 400, 450, 420);
  const view = turned(0, 1, 0, 0);
  grid.look(view, 450, 420, true, 0);
  assert.deepEqual(grid.look(view, 450, 420, true, 300), [0, 1, 2, 3]);
});

test("what is in a turned view counts, what lies in its corners does not", () => {
  const grid = new CoverageGrid(100, 100, 100);
  const view = turned(Math.PI / 4, 1, 5000, 5000);
  grid.look(view, 1000, 1000, true, 0);
  const fresh = grid.look(view, 1000, 1000, true, 400);
  for (const index of fresh) {
    const at = apply(view, ((index % 100) + 0.5) * 100, (Math.floor(index / 100) + 0.5) * 100);
    assert.ok(at.x >= 0 && at.x <= 1000 && at.y >= 0 && at.y <= 1000);
  }
  assert.ok(Math.abs(fresh.length - 100) <= 12, `${fresh.length} squares of an area of 100`);
});

test("bits go over the wire as the service stores them, and are added to what is known", () => {
  const grid = new CoverageGrid(5, 3, 100);
  assert.equal(grid.bits.length, 2);
  grid.merge(fromBase64("DwA="));
  assert.deepEqual([...Array(15).keys()].filter((index) => grid.has(index)), [0, 1, 2, 3]);
  grid.merge(new Uint8Array([0, 64, 255]));
  assert.ok(grid.has(14));
  assert.equal(grid.seen, 5);
  assert.equal(toBase64(grid.bits), "D0A=");
  assert.deepEqual([...fromBase64(toBase64(new Uint8Array([0, 255, 7])))], [0, 255, 7]);
});
