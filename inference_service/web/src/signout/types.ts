/** What the server tells and takes about readings; see docs/sign-out.md and `/openapi.json`. */

export interface Form {
  adequacy: string | null;
  reasons: string[];
  quality: string[];
  zone: string | null;
  general: string | null;
  findings: string[];
  organisms: string[];
  reactive: string[];
  recommendations: string[];
  comment: string;
}

export type Field = keyof Form;
export const FIELDS: readonly Field[] = [
  "adequacy", "reasons", "quality", "zone", "general", "findings", "organisms", "reactive", "recommendations", "comment",
];

export type Words = Record<string, string>;
export type Role = "screening" | "primary" | "second" | "consensus" | "amendment";
export type SecondReason = "grave" | "ai-disagreement" | "drawn" | "amendment";

export interface Violation {
  rule: string;
  field: Field;
  messages: Words;
}

export interface ReadingState {
  case_id: string;
  case_state: string;
  role: Role | null;
  refusal: { code: string; messages: Words } | null;
  confirms: string | null;
  reauthentication: "password" | "password-and-code" | "none";
  form: Form;
  started_from: "draft" | "empty" | "own" | "result";
  saved_at: string | null;
  version: number;
  violations: Violation[];
  second_reader_because: SecondReason | null;
  proposal: { category: string | null; suspicion: number | null; triage: string | null; usable: boolean | null } | null;
  ai_hidden: boolean;
  marks: { category: string | null; counts: Record<string, number> };
  coverage: { slides: number; cells: number | null };
  advice: string[];
  others_writing: { reader: string; saved_at: string }[];
  readings_hidden: boolean;
  age_years: number | null;
}

export interface Reading {
  reading_id: string;
  role: Role;
  reader: string;
  mine: boolean;
  form: Form;
  category: string | null;
  ai_category: string | null;
  blind: boolean;
  reason: string | null;
  supersedes: string | null;
  second_reason: SecondReason | null;
  needs_confirmation: boolean;
  confirmed_by: string | null;
  confirmed_at: string | null;
  signed_at: string;
  is_result: boolean;
  was_result: boolean;
  digest: string;
}

export interface Signed {
  reading: Reading;
  outcome: "screened" | "second-reader" | "discussion" | "confirmation" | "result";
  reason: SecondReason | null;
  report_id: string | null;
}

export interface Term {
  code: string;
  group: string;
  category: string | null;
}

export interface Message {
  message_id: string;
  author: string;
  mine: boolean;
  text: string | null;
  at: string;
}
