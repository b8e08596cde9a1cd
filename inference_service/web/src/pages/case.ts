/** The case page: slide, findings, sign-out and discussion of one case, all of it by keys as well. */
import { Problem } from "../common/api";
import { percent, t, wordsFor } from "../common/texts";
import { mountConsultations } from "../consultations/index";
import { complain, redo, refused, regrade, say, undo } from "../review/actions";
import { Adding } from "../review/adding";
import { mountBlind } from "../review/blind";
import { announce, byId, element } from "../review/dom";
import { listen } from "../review/keyboard";
import { showKeys } from "../review/key_overlay";
import type { KeyId } from "../review/keys";
import { Looked } from "../review/looked";
import { nextCase } from "../review/next_case";
import { followScreenings } from "../review/progress";
import { SlideChooser } from "../review/slides";
import type { OutboxState } from "../review/outbox";
import { MarkStore } from "../review/store";
import { Tabs } from "../review/tabs";
import type { Boot, SlideFacts } from "../review/types";
import { Workbench } from "../review/workbench";
import { mountDiscussion, mountSignOut } from "../signout/index";
import { createViewer } from "../viewer/index";
import type { Mark, Viewer } from "../viewer/types";

const PAN = 0.2;
/** What changes something of findings works only while they are on the screen. */
const JUDGING: readonly KeyId[] = [
  "agree", "regrade", "dismiss", "undo", "redo", "select", "extend-next", "extend-previous", "select-all",
];
const boot = JSON.parse(byId("boot").textContent ?? "{}") as Boot;

interface Page {
  viewer: Viewer;
  store: MarkStore;
  /** Null while reading blind: there are no findings to work on. */
  bench: Workbench | null;
  adding: Adding;
  chooser: SlideChooser;
  tabs: Tabs;
}

/** The first mark that is stored begins the review. */
function showBegun(): void {
  const chip = byId("case-state");
  if (chip.textContent === t("case.state.ready")) chip.textContent = t("case.state.in-review");
}

function showSaved(state: OutboxState, unsaved: number): void {
  const line = byId("case-saved");
  line.className = unsaved ? "unsaved" : "";
  line.textContent = unsaved ? t(`case.saving.${state}`, { n: unsaved }) : t("case.saving.idle");
  if (state !== "signed-out") return;
  const again = element("a", { href: "/sign-in", target: "_blank" }, t("case.sign_in_again"));
  line.append(" ", again);
}

/** The reader's own marks and those of others, as the viewer draws them. */
function drawMarks({ viewer, store, bench }: Page, slide: SlideFacts): void {
  const mine = store.ledger.added(slide.slide_id).map((action): Mark => ({
    id: action.batch, kind: "add", rank: null, x_px: action.x_px!, y_px: action.y_px!, category: action.category,
    author_name: t("case.you"),
  }));
  const others = store.others(slide.slide_id).map((mark): Mark => ({ ...mark, id: mark.mark_id }));
  viewer.setMarks([...others, ...(bench?.marks() ?? []), ...mine]);
}

async function open(page: Page, slide: SlideFacts): Promise<void> {
  page.bench?.begin(slide);
  try {
    if (slide.condition === "needs-scale" || slide.condition === "unreadable") complain(t(`case.condition.${slide.condition}`));
    await page.viewer.open(slide.slide_id, boot.blind ? null : slide.analysis_id);
    await page.bench?.begun(slide);
    drawMarks(page, slide);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    complain(wordsFor(error));
  }
}

/** Each key's action; false: the browser does its own. */
function act(page: Page, id: KeyId, place: number): boolean {
  const { viewer, bench, store, adding, chooser, tabs } = page;
  const pans = [[-PAN, 0], [PAN, 0], [0, -PAN], [0, PAN]] as const;
  const ofViewer: Partial<Record<KeyId, () => void>> = {
    "zoom-in": () => viewer.zoom(1.5),
    "zoom-out": () => viewer.zoom(1 / 1.5),
    pan: () => viewer.pan(pans[place]![0], pans[place]![1]),
    home: () => viewer.home(),
    rotate: () => viewer.rotate(90),
    "rotate-back": () => viewer.rotate(-90),
    "plane-up": () => viewer.changePlane(1),
    "plane-down": () => viewer.changePlane(-1),
    outlines: () => viewer.setOverlay("outlines", !viewer.overlay("outlines")),
    heatmap: () => viewer.setOverlay("heatmap", !viewer.overlay("heatmap")),
    coverage: () => viewer.setOverlay("coverage", !viewer.overlay("coverage")),
  };
  const ofPage: Partial<Record<KeyId, () => void>> = {
    add: () => adding.start(),
    undo: () => undo(store),
    redo: () => redo(store),
    viewer: () => byId("viewer").querySelector<HTMLElement>("[tabindex], button")?.focus(),
    findings: () => tabs.show("findings"),
    "sign-out": () => tabs.show("signout"),
    discussion: () => tabs.show("discussion"),
    "next-slide": () => chooser.choose(chooser.place + 1),
    "previous-slide": () => chooser.choose(chooser.place - 1),
    "next-case": () => void nextCase(boot.case_id),
    worklist: () => location.assign("/worklist"),
    help: () => showKeys(),
  };
  const ofFindings: Partial<Record<KeyId, (bench: Workbench) => void>> = {
    next: (it) => it.step(1),
    previous: (it) => it.step(-1),
    agree: (it) => void say(it, store, "agree"),
    regrade: (it) => void regrade(it, store, place),
    dismiss: (it) => void say(it, store, "dismiss"),
    select: (it) => it.toggle(),
    "extend-next": (it) => it.extendBy(1),
    "extend-previous": (it) => it.extendBy(-1),
    "select-all": (it) => it.selectAll(),
    gallery: (it) => {
      tabs.show("findings");
      it.focusGallery();
    },
  };
  if (id === "add-here") {
    if (!adding.active) return false;
    adding.here();
    return true;
  }
  if (id === "escape") {
    if (adding.active) adding.stop();
    else bench?.clearSelection();
    return true;
  }
  if (JUDGING.includes(id) && byId("panel-findings").hidden) return false;
  if (id === "next" || id === "previous") tabs.show("findings");
  const simple = ofViewer[id] ?? ofPage[id];
  if (simple) simple();
  else if (bench) ofFindings[id]?.(bench);
  else announce(t("case.ai_hidden"));
  return true;
}

function mountSides(): void {
  const readOnly = boot.read_only !== "";
  if (boot.read_only === "consultation") {
    // Readings and messages are of the case's own facility; whoever is asked has the question and the answer.
    byId("panel-signout").textContent = t("consultations.not_signed_here");
    mountConsultations(byId("consultations"), { caseId: boot.case_id, readOnly });
    return;
  }
  mountSignOut(byId("panel-signout"), {
    caseId: boot.case_id, readOnly, onChange: () => undefined, onSigned: () => location.reload(),
  });
  mountDiscussion(byId("discussion"), { caseId: boot.case_id });
  mountConsultations(byId("consultations"), { caseId: boot.case_id, readOnly });
}

async function start(): Promise<void> {
  const viewer = await createViewer(byId("viewer"), { readOnly: boot.read_only !== "" });
  const page = { viewer, bench: null } as unknown as Page;
  page.store = new MarkStore(boot, {
    changed: () => {
      page.bench?.refresh();
      drawMarks(page, boot.slides[page.chooser?.place ?? 0]!);
    },
    saving: (state, unsaved) => {
      showSaved(state, unsaved);
      if (state === "idle") showBegun();
    },
    refused,
  });
  page.tabs = new Tabs((tab) => {
    if (tab !== "findings") byId(`panel-${tab}`).focus();
  });
  const panel = byId("panel-findings");
  if (boot.blind) mountBlind(panel, boot);
  else {
    const looked = new Looked(boot.case_id, boot.read_only !== "consultation");
    page.bench = new Workbench(panel, boot, page.store, looked, viewer, (id, place) => act(page, id, place), (done, of) => {
      byId("case-looked").textContent = t("case.looked_at", { n: done, of });
    });
  }
  viewer.on("findings", () => drawMarks(page, boot.slides[page.chooser.place]!));
  page.adding = new Adding(viewer, boot, ({ x_px, y_px }, category) => {
    const slide_id = boot.slides[page.chooser.place]!.slide_id;
    page.store.add({ slide_id, analysis_id: null, kind: "add", ranks: [], x_px, y_px, category, comment: null });
  });
  page.chooser = new SlideChooser(byId("case-slides"), boot.slides, (slide) => void open(page, slide));
  viewer.on("coverage", ({ share, of_cells }) => {
    byId("case-coverage").textContent = t(of_cells ? "case.coverage_cells" : "case.coverage_slide", { share: percent(share) });
  });
  followScreenings(boot.slides, (slide) => page.chooser.name(slide));
  byId("case-keys").addEventListener("click", showKeys);
  listen((id, place) => act(page, id, place));
  mountSides();
  await page.store.load();
  showSaved("idle", 0);
  if (boot.slides[0]) await open(page, boot.slides[0]);
  else complain(t("case.no_slides"));
}

void start();
