// After the signature: the report, its public page, the quality page, an amendment that replaces the first version.

const reports = async (page, path) => (await (await page.request.get(`/api/v1${path}/reports`)).json()).items;

export async function report(minh) {
  const { page, hall: { seen } } = minh;
  await page.goto(seen.case);
  await minh.settled();
  await minh.press("s");
  await page.waitForSelector(".signout-reports a");
  await minh.picture("case-signed");
  const links = await page.locator(".signout-reports a[href*=pdf]").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  seen.pdfs = [];
  for (const link of links) {
    const answer = await page.request.get(link);
    const body = await answer.body();
    seen.pdfs.push([answer.headers()["content-type"], body.subarray(0, 5).toString(), body.length > 20_000]);
  }
}

/** Somebody who holds the report, without an account. */
export async function verify(hall, name) {
  const { seen } = hall;
  const anyone = await hall.person("anyone");
  await anyone.pictures(name, `/verify/${seen.code}`);
  seen[name] = await anyone.text("main [role=status] strong");
  seen.named = (await anyone.text("main")).includes("Hoa");
  await anyone.context.close();
}

export async function quality(minh) {
  const { page, hall: { seen } } = minh;
  const drawn = async () => {
    await page.waitForSelector("svg");
    await page.waitForLoadState("networkidle");
  };
  await minh.pictures("quality", "/quality", drawn);
  seen.quality = (await (await page.request.get("/api/v1/quality")).json());
}

/** An organism was overlooked: the next version of the report. */
export async function amend(minh) {
  const { page, hall: { seen } } = minh;
  [{ code: seen.code }] = await reports(page, seen.case);
  await verify(minh.hall, "verify-valid");
  await page.goto(seen.case);
  await minh.settled();
  await minh.press("s");
  await page.getByRole("button", { name: "Sửa đổi kết quả" }).press("Enter");
  await minh.focusedIn("adequacy");
  await page.locator("#signout-organism").evaluate((box) => { box.closest("details").open = true; });
  await page.locator("#signout-organism input[value=candida]").check();
  await page.waitForSelector(".signout-summary .right");
  await page.locator("#signout-comment").focus();
  await minh.press("Control+Enter");
  await page.locator("dialog textarea").fill("Bỏ sót nấm Candida trong lần đọc đầu.");
  await minh.picture("case-amending");
  await page.locator("dialog input[type=password]").focus();
  seen.amended = await minh.signature();
  const items = await reports(page, seen.case);
  seen.versions = items.map(({ number, state }) => [number, state]);
  seen.original = (await page.request.get(`/api/v1/reports/${items.at(-1).report_id}`)).status();
  await verify(minh.hall, "verify-superseded");
  const tab = async () => {
    await minh.settled();
    await page.keyboard.press("s");
    await page.waitForSelector(".signout-reports li + li");
  };
  await minh.pictures("case-amended", seen.case, tab);
}
