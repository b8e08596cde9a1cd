// Tests of the case page's modules that need no browser: node review.mjs; with --keys it prints the table of keys as JSON.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rolldown } from "rolldown";

const FOLDER = new URL("../../../inference_service/web/src/review/", import.meta.url);

/** A module as the browser would get it. */
async function load(name) {
  const bundle = await rolldown({ input: new URL(`${name}.ts`, FOLDER).pathname, treeshake: false });
  const { output } = await bundle.generate({ format: "esm" });
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString("base64")}`);
}

const { KEYS, bindingOf, isSingleCharacter, nameOf } = await load("keys");
if (process.argv.includes("--keys")) {
  console.log(JSON.stringify(KEYS));
  process.exit(0);
}
const { Ledger } = await load("ledger");
const { Outbox } = await load("outbox");
const { Selection } = await load("selection");
const { filtered, rowAt, sorted, toLookAt } = await load("arrange");
const { LIKELIHOODS, likelihood } = await load("likelihood");

const press = (key, held = {}) => ({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...held });
let counter = 0;
const action = (kind, ranks, more = {}) => ({
  batch: `b${(counter += 1)}`, slide_id: "s", analysis_id: "a", kind, ranks, x_px: null, y_px: null, category: null,
  comment: null, ...more,
});

/** `count` findings, suspicion falling with the rank; category by thirds: HSIL, LSIL, NILM. */
function table(count, complete = true) {
  const column = (kind, make) => kind.from({ length: count }, (_, row) => make(row));
  return {
    count, complete, parts: 1, categories: ["NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC"],
    x_px: column(Float32Array, (row) => row * 10), y_px: column(Float32Array, (row) => row),
    score: column(Float32Array, () => 1), suspicion: column(Float32Array, (row) => 1 - row / count),
    category: column(Uint8Array, (row) => [4, 2, 0][Math.floor((row * 3) / count)]), rank: column(Uint32Array, (row) => row),
  };
}

test("no key means two things, and every key is found by its press", () => {
  const all = KEYS.flatMap(({ keys }) => keys);
  assert.equal(new Set(all).size, all.length);
  for (const { id, keys } of KEYS) {
    keys.forEach((name, place) => {
      const key = name.split(/\+(?!$)/).at(-1);
      const held = { shiftKey: name.startsWith("Shift+"), ctrlKey: name.startsWith("Control+") };
      assert.deepEqual(bindingOf(press(key, held)), { id, place }, name);
    });
  }
});

test("letters are the same with Caps Lock, signs the same with Shift", () => {
  assert.equal(nameOf(press("N")), "n");
  assert.equal(nameOf(press("N", { shiftKey: true })), "Shift+n");
  assert.equal(nameOf(press("?", { shiftKey: true })), "?");
  assert.equal(bindingOf(press("n", { altKey: true })), null);
  assert.equal(bindingOf(press("n", { ctrlKey: true })), null);
});

test("single characters can be switched off, also with Shift; keys of many characters never", () => {
  assert.deepEqual(["n", "Shift+n", "?", "+", "1"].map(isSingleCharacter), [true, true, true, true, true]);
  assert.deepEqual(["Escape", "ArrowLeft", "Control+z", "Enter", " "].map(isSingleCharacter), [false, false, false, false, false]);
});

test("the latest mark that stands counts; undo brings the one before back; redo says it again", () => {
  const ledger = new Ledger();
  ledger.add(action("agree", [1, 2]));
  ledger.add(action("regrade", [2], { category: "LSIL" }));
  assert.deepEqual(ledger.standing("s", 2), { kind: "regrade", category: "LSIL" });
  assert.equal(ledger.undo().kind, "regrade");
  assert.equal(ledger.state("s", 2), "agreed");
  const again = ledger.redo("new");
  assert.deepEqual([again.batch, again.kind, again.category], ["new", "regrade", "LSIL"]);
  assert.equal(ledger.state("s", 2), "regraded");
  ledger.undo();
  ledger.undo();
  assert.deepEqual([ledger.state("s", 1), ledger.state("s", 2), ledger.undo()], ["unreviewed", "unreviewed", null]);
  ledger.add(action("dismiss", [1]));
  assert.equal(ledger.redo("none"), null, "something new was said: what was undone before is over");
  assert.deepEqual(ledger.marked("s"), [1]);
});

test("a ledger starts from the reader's own marks on the server", () => {
  const stored = (batch, rank, more = {}) => ({
    mark_id: `${batch}${rank}`, batch, slide_id: "s", analysis_id: "a", mine: true, kind: "dismiss", rank, x_px: 1,
    y_px: 2, category: null, comment: null, withdrawn_at: null, ...more,
  });
  const ledger = new Ledger([
    stored("b", 0), stored("b", 1), stored("c", 2, { mine: false }), stored("d", 3, { withdrawn_at: "2026" }),
    stored("e", null, { kind: "add", category: "HSIL" }),
  ]);
  assert.deepEqual([0, 1, 2, 3].map((rank) => ledger.state("s", rank)), ["dismissed", "dismissed", "unreviewed", "unreviewed"]);
  assert.deepEqual(ledger.added("s").map((cell) => [cell.x_px, cell.category]), [[1, "HSIL"]]);
  assert.equal(ledger.undo().kind, "add");
  assert.deepEqual(ledger.undo().ranks, [0, 1], "the whole action at once");
});

test("what the server refuses does not stand", () => {
  const ledger = new Ledger();
  const said = action("agree", [1]);
  ledger.add(said);
  ledger.refuse(said.batch);
  assert.equal(ledger.state("s", 1), "unreviewed");
  const kept = action("agree", [2]);
  ledger.add(kept);
  ledger.undo();
  ledger.restore(kept.batch);
  assert.equal(ledger.state("s", 2), "agreed");
});

/** An outbox whose server answers by `script`: null takes the letter, a number is the status of a failure. */
function outbox(script) {
  const seen = { sent: [], refused: [], states: [], pauses: [] };
  const box = new Outbox({
    send: (letter) => {
      seen.sent.push(letter);
      const status = script.shift() ?? null;
      return status === null ? Promise.resolve() : Promise.reject({ status, slug: "", detail: "" });
    },
    onRefused: (letter, failure) => seen.refused.push([letter, failure.status]),
    onChange: (state, unsaved) => seen.states.push(`${state} ${unsaved}`),
    later: (run, ms) => {
      seen.pauses.push({ run, ms });
      return () => undefined;
    },
  });
  return { box, seen, settled: () => new Promise((resolve) => setTimeout(resolve, 5)) };
}

test("letters arrive in order, each once, over a line that is lost", async () => {
  const { box, seen, settled } = outbox([0, 503, null, null]);
  box.add("one");
  box.add("two");
  await settled();
  assert.deepEqual([box.unsaved, seen.states.at(-1)], [2, "waiting 2"]);
  seen.pauses.at(-1).run();
  await settled();
  seen.pauses.at(-1).run();
  await settled();
  assert.deepEqual(seen.sent, ["one", "one", "one", "two"]);
  assert.deepEqual(seen.pauses.map(({ ms }) => ms), [1000, 2000]);
  assert.equal(seen.states.at(-1), "idle 0");
});

test("signed out: everything stays until somebody signs in again", async () => {
  const { box, seen, settled } = outbox([401]);
  box.add("one");
  await settled();
  box.add("two");
  await settled();
  assert.deepEqual([seen.sent, seen.states.at(-1)], [["one"], "signed-out 2"]);
  box.retry();
  await settled();
  assert.deepEqual(seen.sent, ["one", "one", "two"]);
});

test("what the server will never take is given back, and the next one follows", async () => {
  const { box, seen, settled } = outbox([409]);
  box.add("one");
  box.add("two");
  await settled();
  assert.deepEqual([seen.refused, seen.sent, box.unsaved], [[["one", 409]], ["one", "two"], 0]);
});

test("ranges follow the order that is shown", () => {
  const selection = new Selection();
  const shown = [9, 4, 7, 1, 0];
  selection.toggle(4);
  selection.extend(1, shown);
  assert.deepEqual(selection.ranks, [1, 4, 7]);
  selection.extend(9, shown);
  assert.deepEqual(selection.ranks, [1, 4, 7, 9]);
  assert.equal(selection.toggle(4), false);
  selection.all(shown);
  assert.equal(selection.size, 5);
  selection.clear();
  selection.extend(7, shown);
  assert.deepEqual(selection.ranks, [7]);
});

test("100,000 findings are ordered and filtered", () => {
  const many = table(100_000);
  assert.deepEqual([...sorted(many, "suspicion").slice(0, 3)], [0, 1, 2]);
  const byCategory = sorted(many, "category");
  assert.deepEqual([many.category[byCategory[0]], many.category[byCategory[99_999]]], [4, 0]);
  const kept = filtered(many, byCategory, { category: 2, state: null }, () => "unreviewed");
  assert.ok(kept.length > 33_000 && kept.every((row) => many.category[row] === 2));
  const agreed = filtered(many, byCategory, { category: null, state: "agreed" }, (rank) => (rank === 5 ? "agreed" : "unreviewed"));
  assert.deepEqual([...agreed], [5]);
});

test("while a screening runs, order comes from suspicion, not from ranks that are not final", () => {
  const partial = { ...table(4, false), rank: Uint32Array.from([3, 2, 1, 0]) };
  assert.deepEqual([...sorted(partial, "suspicion")], [0, 1, 2, 3]);
});

test("what is to be looked at: the most suspicious ones, or all above the operating point", () => {
  assert.deepEqual([...toLookAt(table(100), 3, 0.5)], [0, 1, 2]);
  assert.equal(toLookAt(table(10), 24, null).size, 10);
  assert.equal(toLookAt(table(100), 0, 0.755).size, 25);
  assert.equal(toLookAt(table(100), 0, null).size, 100);
});

test("a chosen cell is found again by its place", () => {
  assert.equal(rowAt(table(50), 300.4, 30, 2), 30);
  assert.equal(rowAt(table(50), 305, 30, 2), -1);
});

test("words for probabilities cover everything from 0 to 1", () => {
  assert.equal(likelihood(0), "very-unlikely");
  assert.equal(likelihood(1), "very-likely");
  for (const [limit, word] of LIKELIHOODS) assert.equal(likelihood(limit - 1e-9), word);
});
