// The pathologist: the next case, 24 findings and two regrades by keys, a missed cell, a question to a colleague, the result.

const LOOK_AT = 24;

/** From the worklist to the last finding; returns the person, who stays at the case. */
export async function look(hall) {
  const { seen } = hall;
  const minh = await hall.person("pathologist");
  await minh.signIn("/worklist");
  await minh.page.waitForSelector("tr[data-case]");
  await minh.pictures("worklist", "/worklist");
  await minh.page.waitForSelector("tr[data-case]");
  minh.presses = 0;
  let began_ms = Date.now();
  await minh.press("Shift+N");
  await minh.page.waitForURL(`**${seen.case}`);
  await minh.settled();
  for (let finding = 2; finding <= LOOK_AT; finding += 1) {
    await minh.press("n");
    await minh.page.waitForFunction((n) => document.querySelector(".gallery .finding[aria-current=true]")?.getAttribute("aria-posinset") === String(n), finding);
    if (finding === 6 || finding === 11) await minh.press((await minh.text("#case-announcer")).includes("HSIL") ? "3" : "5");
  }
  await minh.until("#case-looked", "24/24");
  await minh.settled();
  seen.pathPresses = minh.presses;
  seen.path_s = (Date.now() - began_ms) / 1000;
  await minh.picture("case-looked-at");
  await addCell(minh);
  return minh;
}

async function addCell(minh) {
  await minh.press("m", "Enter");
  await minh.page.waitForSelector("dialog[open]");
  await minh.picture("case-adding");
  await minh.press("5");
  await minh.page.waitForSelector("dialog", { state: "detached" });
  await minh.settled();
}

/** A question to somebody in the other facility, by keys. */
export async function ask(minh) {
  const { page } = minh;
  await minh.press("t");
  await page.getByRole("button", { name: "Xin ý kiến…" }).press("Enter");
  await page.fill("#consultation-name", minh.hall.facts.people.colleague.username);
  await page.fill("#consultation-question", "Cụm tế bào nhân lớn này, anh nghĩ là HSIL hay chuyển sản non?");
  await minh.picture("case-asking");
  await page.keyboard.press("Enter");
  await page.locator("#consultation-days").press("Enter");
  await page.waitForSelector("article.consultation");
  await minh.picture("case-asked");
}

/** The answer is there; the form, and the signature. */
export async function signHsil(minh) {
  const { page, hall: { seen } } = minh;
  await page.reload();
  await minh.settled();
  await minh.press("t");
  await page.waitForSelector("article.consultation .said strong");
  seen.opinion = await minh.text("article.consultation > .said");
  await minh.picture("case-answered");
  const [before, began_ms] = [minh.presses, Date.now()];
  await minh.press("s");
  await minh.focusedIn("adequacy");
  await minh.press("1");
  await minh.focusedIn("zone");
  await minh.press("1", "m");
  await page.waitForSelector(".signout-summary .right");
  seen.toSign = await minh.text(".signout-summary");
  await minh.press("Control+Enter");
  await page.waitForSelector("dialog[open] input[type=password]");
  await minh.picture("case-signing");
  seen.first = await minh.signature();
  seen.pathPresses += minh.presses - before;
  seen.path_s += (Date.now() - began_ms) / 1000;
}

/** The two readings differ: words to the other reader. */
export async function write(minh) {
  const { page, hall: { seen } } = minh;
  await page.goto(seen.case);
  await minh.settled();
  await minh.press("t");
  const words = page.locator("#discussion textarea");
  await words.fill("Tôi đọc là HSIL vì cụm ở góc dưới. Anh xem lại giúp?");
  await words.press("Control+Enter");
  await page.waitForSelector(".signout-talk li");
}

/** The other reader signed a consensus: confirm it. */
export async function confirm(minh) {
  const { page, hall: { seen } } = minh;
  await page.goto(seen.case);
  await minh.settled();
  await minh.press("s");
  const button = page.locator(".signout-confirm button");
  await button.waitFor();
  await minh.picture("case-confirming");
  await button.press("Enter");
  seen.confirmed = await minh.signature();
}
