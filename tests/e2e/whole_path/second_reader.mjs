// The second reader: knows nothing of the first reading, reads otherwise, discusses, signs the consensus.

export async function disagree(hall) {
  const { seen } = hall;
  const hoa = await hall.person("secondReader");
  const { page } = hoa;
  await hoa.signIn("/worklist?view=second");
  await page.waitForSelector("tr[data-case]");
  await hoa.pictures("worklist-second", "/worklist?view=second");
  await hoa.press("Shift+N");
  await page.waitForURL(`**${seen.case}`);
  await hoa.settled();
  seen.secondMarks = (await (await page.request.get(`/api/v1${seen.case}/marks`)).json()).items.length;
  await form(hoa, "3");
  seen.secondSees = [await hoa.text(".signout-top"), await page.locator(".signout-history li").count()];
  await hoa.picture("case-second-reading");
  await hoa.press("Control+Enter");
  seen.second = await hoa.signature();
  return hoa;
}

/** The form from its first question; `key` is the interpretation. */
async function form(hoa, key) {
  await hoa.press("s");
  await hoa.focusedIn("adequacy");
  await hoa.press("1");
  await hoa.focusedIn("zone");
  await hoa.press("1");
  await hoa.focusedIn("general");
  await hoa.press("2");
  await hoa.focusedIn("squamous");
  await hoa.press(key);
  await hoa.page.waitForSelector(".signout-summary .right");
}

/** Words to the first reader, then the consensus: what the first reader had found. */
export async function agree(hoa) {
  const { page, hall: { seen } } = hoa;
  await page.goto(seen.case);
  await hoa.settled();
  await hoa.press("t");
  await page.waitForSelector(".signout-talk li");
  await page.locator("#discussion textarea").fill("Tôi xem lại cụm ở góc dưới: đồng ý, nhân quá không đều cho LSIL.");
  await page.locator("#discussion textarea").press("Control+Enter");
  await page.waitForFunction(() => document.querySelectorAll(".signout-talk li").length === 2);
  await hoa.picture("case-discussion");
  await hoa.press("Tab");
  await page.locator("#tab-signout").press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".signout-history > li").length >= 2);
  await hoa.picture("case-two-readings");
  await page.locator("#signout-squamous input[value=lsil]").uncheck();
  await page.locator("#signout-squamous input[value=hsil]").check();
  await page.waitForSelector(".signout-summary .right");
  await page.locator("#signout-comment").focus();
  await hoa.press("Control+Enter");
  seen.consensus = await hoa.signature();
}
