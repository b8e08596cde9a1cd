/** What the viewer shares with the page around it. Lengths `_px` are level-0 pixels of the slide, `_um` micrometres. */

/** The six categories that the network predicts, in increasing gravity; a finding's `category` is an index into them. */
export const AI_CATEGORIES = ["NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC"] as const;

/** What the network found on one slide, as columns of equal length `count`. Read-only: people's views are marks. */
export interface FindingTable {
  readonly count: number;
  readonly x_px: Float32Array;
  readonly y_px: Float32Array;
  /** Of the nucleus: 0 to 1. */
  readonly score: Float32Array;
  /** 1 - P(NILM): 0 to 1. */
  readonly suspicion: Float32Array;
  /** Index into `categories`. */
  readonly category: Uint8Array;
  /** Names a finding within its analysis; 0 is the most suspicious once the table is complete. */
  readonly rank: Uint32Array;
  readonly categories: readonly string[];
  /** False while the screening runs. */
  readonly complete: boolean;
  /** How many parts of the screening's results are in it. */
  readonly parts: number;
}

/** One statement of one person about one cell. */
export interface Mark {
  readonly id: string;
  readonly kind: "agree" | "regrade" | "dismiss" | "add";
  /** Of the finding it is about; null for an added cell. */
  readonly rank: number | null;
  readonly x_px: number;
  readonly y_px: number;
  readonly category: string | null;
  /** Shown beside the mark: who made it. */
  readonly author_name: string;
}

/** What `GET /api/v1/slides/{id}/view` answers. */
export interface SlideView {
  readonly slide_id: string;
  readonly case_id: string | null;
  readonly width_px: number;
  readonly height_px: number;
  /** Null: the scale was not stated; nothing in micrometres is shown then. */
  readonly mpp: number | null;
  readonly tile_px: number;
  /** The highest Deep Zoom level, that of full resolution. */
  readonly levels: number;
  readonly objective: number | null;
  readonly planes: number;
  readonly best_plane: number;
  readonly format: string | null;
  readonly condition: "ready" | "needs-scale" | "building" | "unreadable";
  /** Address of the thumbnail. */
  readonly thumbnail: string;
}

/**
 * `findings`: the outlines of the AI (also called `outlines`); `filled`: their tint and letters, off: outline only;
 * `marks`: people's marks; `heatmap`: highest suspicion by tile; `coverage`: what was looked at; `field`: a circle as
 * large as the field of a microscope's eyepiece (field number 22) at 40×.
 */
export type Overlay = "outlines" | "filled" | "marks" | "heatmap" | "coverage" | "field";

export interface Coverage {
  /** 0 to 1 of the cell-bearing area where that is known, else of the slide. */
  readonly share: number;
  /** Whether `share` is of the cell-bearing area. */
  readonly of_cells: boolean;
  readonly cells_seen: number;
}

export interface ViewportState {
  readonly x_px: number;
  readonly y_px: number;
  /** Magnification as an objective would show it (10 / micrometres per screen pixel); null without a scale. */
  readonly magnification: number | null;
  readonly rotation_deg: number;
}

export interface ViewerEvents {
  /** A finding was chosen in the picture; null: the choice was taken back. */
  select: { rank: number | null };
  /** Somebody pointed at a cell in the mode for adding. */
  add: { x_px: number; y_px: number };
  coverage: Coverage;
  viewport: ViewportState;
  /** The table that is shown: at opening, and whenever the running screening has more. */
  findings: { table: FindingTable };
  /** The slide that is shown. */
  open: { view: SlideView };
  overlay: { name: Overlay; on: boolean };
}

export interface ViewerOptions {
  /** Shown at once, together with the slide that it is of; otherwise call `open`. */
  slideId?: string;
  analysisId?: string;
  /** Coverage is shown and not stored (a consultant, a signed case). */
  readOnly?: boolean;
}

export interface Viewer {
  /** Show a slide, with what the AI found where `analysisId` is given. Rejects with a Problem. */
  open(slideId: string, analysisId: string | null): Promise<void>;
  /** Show other findings than the analysis's own (a filter), or none (blind reading): null. */
  setFindings(table: FindingTable | null): void;
  setMarks(marks: readonly Mark[]): void;
  /** Move a place to the middle; `side_um`: how much of the specimen the shorter side shows. */
  focus(x_px: number, y_px: number, side_um?: number): void;
  /** Emphasise the finding of this rank. The place is not moved: call `focus`. */
  select(rank: number | null): void;
  /** Returns what takes the handler back. */
  on<E extends keyof ViewerEvents>(event: E, handler: (detail: ViewerEvents[E]) => void): () => void;
  /** In the mode for adding, a click, or `addAtCentre`, says where a missed cell is. */
  addMode(on: boolean): void;
  addAtCentre(): void;
  setOverlay(name: Overlay, on: boolean): void;
  overlay(name: Overlay): boolean;
  /** As an objective: 4, 10, 20, 40. */
  zoomTo(magnification: number): void;
  /** `factor` 2 is twice as near. */
  zoom(factor: number): void;
  /** As shares of the view: `pan(0.25, 0)` moves a quarter of the width to the right. */
  pan(right: number, down: number): void;
  rotate(by_deg: number): void;
  /** Show the whole slide, upright. */
  home(): void;
  /** Up or down in focus, where the slide has several planes. */
  changePlane(by: number): void;
  destroy(): void;
}
