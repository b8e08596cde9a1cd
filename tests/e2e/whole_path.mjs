// The whole path of a smear by several people in two facilities: node whole_path.mjs, with the facts of the service as
// JSON on stdin. Prints what was seen as JSON; the time of each step goes to stderr.
import { readFileSync } from "node:fs";
import * as afterwards from "./whole_path/afterwards.mjs";
import { answer } from "./whole_path/colleague.mjs";
import { screen } from "./whole_path/cytotechnologist.mjs";
import { Hall } from "./whole_path/hall.mjs";
import { blindFirst, ofReaders } from "./whole_path/other_pictures.mjs";
import * as pathologist from "./whole_path/pathologist.mjs";
import * as secondReader from "./whole_path/second_reader.mjs";

const seen = {};
const hall = new Hall(JSON.parse(readFileSync(0, "utf8")), seen);
await hall.open();

async function step(name, work) {
  const began_ms = Date.now();
  try {
    return await work();
  } catch (error) {
    await hall.showWhereItStopped(name);
    throw error;
  } finally {
    console.error(`${name}: ${((Date.now() - began_ms) / 1000).toFixed(1)} s`);
  }
}

await step("screening", () => screen(hall));
const minh = await step("looking", () => pathologist.look(hall));
await step("asking", () => pathologist.ask(minh));
await step("answering", () => answer(hall));
await step("signing", () => pathologist.signHsil(minh));
const hoa = await step("second reading", () => secondReader.disagree(hall));
await step("first words", () => pathologist.write(minh));
await step("consensus", () => secondReader.agree(hoa));
await step("confirmation", () => pathologist.confirm(minh));
await step("report", () => afterwards.report(minh));
await step("quality", () => afterwards.quality(minh));
await step("amendment", () => afterwards.amend(minh));
await step("pictures", () => ofReaders(minh));
await step("blind first", () => blindFirst(hall, minh));
await hall.browser.close();
console.log(JSON.stringify(seen));
