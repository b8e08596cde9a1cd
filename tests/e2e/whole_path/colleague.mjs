// The colleague in another facility: sees one case without its patient, answers, and sees nothing afterwards.

export async function answer(hall) {
  const { seen } = hall;
  const binh = await hall.person("colleague");
  const { page } = binh;
  await binh.signIn("/worklist");
  await page.waitForSelector('[data-count="consultations"]');
  seen.asked = await binh.text('[data-count="consultations"]');
  await binh.pictures("worklist-consultations", "/worklist?view=consultations");
  await binh.press("j", "Enter");
  await page.waitForURL(`**${seen.case}`);
  await binh.settled();
  seen.colleagueSees = await binh.text(".case-head");
  await binh.press("n", "a");
  await binh.until("#case-announcer", "Chỉ xem");
  await binh.pictures("case-consultant", seen.case, async () => {
    await binh.settled();
    await page.keyboard.press("t");
    await page.waitForSelector("#consultation-opinion");
  });
  seen.before = await status(page, `/api/v1${seen.case}/marks`);
  seen.elsewhere = await status(page, `/api/v1/cases/${hall.facts.otherCase}`);
  await page.fill("#consultation-opinion", "Nhân tăng sắc, màng nhân không đều, tỉ lệ nhân/bào tương cao: tôi nghĩ HSIL.");
  await page.selectOption("#consultation-category", "HSIL");
  await page.getByRole("button", { name: "Gửi ý kiến" }).press("Enter");
  await page.waitForSelector("#consultations .notice");
  await binh.picture("case-consultant-done");
  hall.expect(404);
  seen.afterwards = (await page.goto(seen.case)).status();
  await binh.pictures("refused", seen.case);
  hall.expectNothing();
}

/** The status of the answer, asked beside the page: a refusal is no complaint of the page. */
async function status(page, path) {
  return (await page.request.get(path)).status();
}
