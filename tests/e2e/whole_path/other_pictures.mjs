// Pages and states that the path itself does not come by.

const STATIC = ["account", "help", "model", "field", "verify"];

export async function ofReaders(minh) {
  const { page, hall: { seen } } = minh;
  for (const name of STATIC) await minh.pictures(name, `/${name}`);
  const findings = () => minh.settled();
  await minh.pictures("case-findings", seen.case, findings);
  await minh.pictures("case-discussion-closed", seen.case, async () => {
    await findings();
    await page.keyboard.press("t");
    await page.waitForSelector(".signout-talk li");
  });
  await minh.pictures("case-keys", seen.case, async () => {
    await findings();
    await page.keyboard.press("?");
    await page.waitForSelector("dialog.keys[open]");
  });
  await page.emulateMedia({ colorScheme: "dark" });
  await minh.pictures("case-dark", seen.case, findings);
  await page.emulateMedia({ colorScheme: "light" });
  await away(minh);
}

/** The server is away: the worklist says so and keeps what it shows. */
async function away(minh) {
  const { page } = minh;
  for (const language of minh.hall.facts.both ? ["en", "vi"] : ["vi"]) {
    minh.language = language;
    minh.away = true;
    await page.route("**/api/v1/cases/events", (route) => route.abort());
    await page.goto(`/worklist?view=signed&language=${language}`);
    await page.waitForSelector(".live.offline");
    await minh.picture("worklist-away");
    await page.unroute("**/api/v1/cases/events");
    minh.away = false;
  }
}

/** What administrators see; then the facility reads blind first, and a reader opens a case that is new to them. */
export async function blindFirst(hall, minh) {
  const { facts } = hall;
  const admin = await hall.person("administrator");
  await admin.context.addCookies([{ name: facts.people.administrator.cookie, value: facts.people.administrator.session, url: facts.url }]);
  for (const name of ["administration", "webhooks"]) await admin.pictures(name, `/${name}`);
  await admin.page.goto("/review-settings");
  await admin.page.check("[name=blind_first]");
  await admin.page.locator("form button[type=submit]").press("Enter");
  await admin.page.waitForSelector("#notice:not([hidden])");
  await admin.pictures("review-settings", "/review-settings");
  await minh.pictures("case-blind", `/cases/${facts.blindCase}`, () => minh.page.waitForSelector("form.blind"));
  await minh.pictures("worklist-blind", "/worklist", () => minh.page.waitForSelector("tr[data-case]"));
}
