// People at their browsers: one context each, everything the pages complain of, pictures in both languages.
import { chromium } from "playwright-core";

const LANGUAGES = ["vi", "en"];
/** Answers that the path provokes on purpose. */
const ON_PURPOSE = [];

export class Hall {
  constructor(facts, seen) {
    this.facts = facts;
    this.seen = seen;
    seen.errors = [];
    seen.pictures = [];
    seen.wide = [];
  }

  async open() {
    const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
    this.browser = await chromium.launch({ executablePath: this.facts.executablePath, args });
  }

  /** Somebody sits down in front of a browser of their own. */
  async person(who, language = "vi") {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: this.facts.url });
    await context.addCookies([{ name: "tamsoat-language", value: language, url: this.facts.url }]);
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const person = new Person(this, who, context, page, language);
    this.watch(person, page);
    return person;
  }

  /** What each browser shows when a step fails. */
  async showWhereItStopped(step) {
    const pages = this.browser.contexts().flatMap((context) => context.pages());
    for (const [place, page] of pages.entries()) {
      await page.screenshot({ path: `${this.facts.screenshots}/stopped-${step.replaceAll(" ", "-")}-${place}.png` });
    }
    console.error(this.seen.errors.join("\n"));
  }

  /** The next answers with this status are wanted. */
  expect(status) {
    ON_PURPOSE.push(status);
  }

  expectNothing() {
    ON_PURPOSE.length = 0;
  }

  watch(person, page) {
    const complain = (words) => this.seen.errors.push(`${person.who} ${new URL(page.url()).pathname}: ${words}`);
    page.on("pageerror", (error) => complain(String(error)));
    page.on("console", (line) => {
      const wanted = person.away || ON_PURPOSE.some((status) => line.text().includes(`status of ${status}`));
      if (["error", "warning"].includes(line.type()) && !wanted) complain(`${line.text()} ${line.location().url}`);
    });
    page.on("response", (answer) => {
      if (answer.status() >= 400 && !ON_PURPOSE.includes(answer.status())) complain(`${answer.status()} ${answer.url()}`);
    });
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      if (!person.away && why !== "net::ERR_ABORTED") complain(`${why} ${request.url()}`);
    });
  }
}

export class Person {
  constructor(hall, who, context, page, language) {
    Object.assign(this, { hall, who, context, page, language, presses: 0, away: false });
    this.account = hall.facts.people[who];
  }

  /** Sign in by the page, as from the address `target`. */
  async signIn(target = "/worklist") {
    await this.page.goto(target);
    await this.page.fill("#username", this.account.username);
    await this.page.fill("#password", this.account.password);
    await Promise.all([this.page.waitForURL(`**${target}`), this.page.keyboard.press("Enter")]);
  }

  async press(...keys) {
    for (const key of keys) {
      this.presses += 1;
      await this.page.keyboard.press(key);
    }
  }

  /** Until an element's words hold one of these. */
  until(selector, ...words) {
    return this.page.waitForFunction(
      ([where, any]) => any.some((one) => document.querySelector(where)?.textContent.includes(one)), [selector, words]);
  }

  text(selector) {
    return this.page.locator(selector).first().textContent();
  }

  focusedIn(group) {
    return this.page.waitForFunction((id) => document.activeElement?.closest(`#signout-${id}`), group);
  }

  /** The page as it is now. */
  async picture(name) {
    await this.page.evaluate(() => document.fonts.ready);
    const file = `${name}-${this.language}.png`;
    const wide = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) this.hall.seen.wide.push(`${file}: ${wide} px`);
    await this.page.screenshot({ path: `${this.hall.facts.screenshots}/${file}`, animations: "disabled" });
    this.hall.seen.pictures.push(file);
  }

  /**
   * The page at `path`, after `prepare`; where the pictures are wanted for people to look at, in both languages, the
   * person's own last.
   */
  async pictures(name, path = this.page.url(), prepare = async () => {}) {
    const own = this.language;
    const others = this.hall.facts.both ? LANGUAGES.filter((one) => one !== own) : [];
    for (const language of [...others, own]) {
      this.language = language;
      const address = new URL(path, this.hall.facts.url);
      address.searchParams.set("language", language);
      await this.page.goto(address.href);
      await prepare();
      await this.picture(name);
    }
  }

  /** A case page with its findings, crops and saved marks. */
  async settled() {
    const { page } = this;
    await page.waitForSelector(".gallery .finding[aria-current=true]");
    await page.waitForFunction(() => [...document.querySelectorAll(".gallery .finding img")].every((crop) => crop.complete && crop.naturalWidth));
    await this.until("#case-saved", "đã được lưu", "All marks saved");
  }

  /** Sign what the form says; what came of it. The page has loaded anew afterwards. */
  async signature(password = this.account.password) {
    const { page } = this;
    await page.waitForSelector("dialog[open] input[type=password]");
    await page.keyboard.type(password);
    await this.press("Enter");
    const outcome = page.locator("[data-outcome]");
    await outcome.waitFor();
    const came = [await outcome.getAttribute("data-outcome"), await outcome.textContent()];
    await Promise.all([page.waitForEvent("load"), this.press("Enter")]);
    return came;
  }
}
