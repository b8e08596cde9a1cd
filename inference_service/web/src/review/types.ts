/** What the case page is told by the server (inference_service/reviews/facts.py), and what readers do on it. */

export type MarkKind = "agree" | "regrade" | "dismiss" | "add";

export interface JobState {
  analysis_id: string;
  state: "queued" | "running" | "completed" | "failed" | "cancelled";
  progress: { step: string | null; done: number; total: number; seconds_left: number | null };
  problem: { title: string; detail: string } | null;
}

export interface SlideFacts {
  slide_id: string;
  analysis_id: string | null;
  condition: "ready" | "needs-scale" | "building" | "unreadable";
  width_px: number | null;
  height_px: number | null;
  mpp: number | null;
  planes: number;
  screening: JobState | null;
  /** Null: there is none yet, or the reader has to read blind first. */
  proposal: { category: string; abnormal_probability: number; cells: number } | null;
}

export interface Boot {
  case_id: string;
  label: string;
  state: string;
  mine: boolean;
  /** Why nothing may be changed; empty: it may. */
  read_only: "closed" | "consultation" | "";
  /** A first impression has to be given before the AI is shown. */
  blind: boolean;
  /** Who looks: account identifier or `local`. */
  reader: string;
  slides: SlideFacts[];
  /** What the AI predicts, in increasing gravity. */
  categories: string[];
  /** What people may call a cell. */
  cell_categories: string[];
  /** How many findings of each slide are to be looked at; 0: all above the operating point. */
  look_most: number;
  /** Threshold on suspicion; null: the proposal is of another model than the one in use. */
  operating_point: number | null;
}

/** One action of a reader, about some findings of one slide or one added cell. Sent once, undone as a whole. */
export interface Action {
  batch: string;
  slide_id: string;
  analysis_id: string | null;
  kind: MarkKind;
  /** Of findings; empty for an added cell. */
  ranks: number[];
  x_px: number | null;
  y_px: number | null;
  category: string | null;
  comment: string | null;
}

/** One mark as the server answers it. */
export interface StoredMark {
  mark_id: string;
  batch: string;
  slide_id: string;
  analysis_id: string | null;
  author: string;
  author_name: string;
  mine: boolean;
  kind: MarkKind;
  rank: number | null;
  x_px: number;
  y_px: number;
  category: string | null;
  comment: string | null;
  created_at: string;
  withdrawn_at: string | null;
}

/** What stands for one finding: the reader's latest mark that was not withdrawn. */
export interface Standing {
  kind: MarkKind;
  category: string | null;
}

export type FindingState = "unreviewed" | "agreed" | "regraded" | "dismissed";
