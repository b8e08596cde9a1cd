/** What the network found on a slide, as it comes over the wire, in parts while the screening still runs. */
import { Problem, send } from "../common/api";
import type { FindingTable } from "./types";

export type { FindingTable } from "./types";

type Columns = Pick<FindingTable, "x_px" | "y_px" | "score" | "suspicion" | "category" | "rank">;
type Numbers = Float32Array | Uint8Array | Uint32Array;

interface Header {
  count: number;
  categories: string[];
  complete: boolean;
  parts: number;
  columns: { name: string; type: string }[];
}

const TYPES: Record<string, new (buffer: ArrayBuffer) => Numbers> = {
  f32: Float32Array, float32: Float32Array, u8: Uint8Array, uint8: Uint8Array, u32: Uint32Array, uint32: Uint32Array,
};
/** Between two questions while the screening runs. */
const PAUSE_MS = 1000;
const NAMES = ["x_px", "y_px", "score", "suspicion", "category", "rank"] as const;

/** A table without findings. */
export const emptyFindings = (): FindingTable => ({
  count: 0, x_px: new Float32Array(), y_px: new Float32Array(), score: new Float32Array(),
  suspicion: new Float32Array(), category: new Uint8Array(), rank: new Uint32Array(),
  categories: [], complete: true, parts: 0,
});

/**
 * Read `application/octet-stream` of `GET /api/v1/analyses/{id}/findings`: length of the header (uint32, little
 * endian), the header as JSON padded so that the columns begin at a multiple of 8 bytes, then the columns one after the other.
 * Throws where a column is missing or the content is cut short.
 */
export function parseFindings(content: ArrayBuffer): FindingTable {
  const headerBytes = new DataView(content).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, headerBytes))) as Header;
  const found: Record<string, Numbers> = {};
  let at = Math.ceil((4 + headerBytes) / 8) * 8;
  for (const { name, type } of header.columns) {
    const kind = TYPES[type];
    if (!kind) throw new Error(`findings: unknown type ${type}`);
    const bytes = header.count * (kind as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
    if (at + bytes > content.byteLength) throw new Error("findings: cut short");
    found[name] = new kind(content.slice(at, at + bytes));
    at += bytes;
  }
  const missing = NAMES.filter((name) => !found[name]);
  if (missing.length) throw new Error(`findings: without ${missing.join(", ")}`);
  const { count, categories, complete, parts } = header;
  return { ...(found as unknown as Columns), count, categories, complete, parts };
}

/** `more` behind `table`, numbered on; what `more` says of the whole holds. */
export function appended(table: FindingTable, more: FindingTable): FindingTable {
  if (table.count === 0) return more;
  const joined = Object.fromEntries(NAMES.map((name) => {
    const kind = table[name].constructor as new (length: number) => Numbers;
    const both = new kind(table.count + more.count);
    both.set(table[name]);
    both.set(more[name], table.count);
    return [name, both];
  })) as unknown as Columns;
  const { categories, complete, parts } = more;
  joined.rank.forEach((_, index) => (joined.rank[index] = index));
  return { ...joined, count: table.count + more.count, categories, complete, parts };
}

/** The findings of an analysis so far; `afterPart`: only those of later parts. Rejects with a Problem. */
export async function loadFindings(analysisId: string, afterPart?: number): Promise<FindingTable> {
  const query = afterPart === undefined ? "" : `?after_part=${afterPart}`;
  const path = `/api/v1/analyses/${encodeURIComponent(analysisId)}/findings${query}`;
  const response = await send("GET", path, { headers: { accept: "application/octet-stream" } });
  return parseFindings(await response.arrayBuffer());
}

/**
 * The findings of an analysis, now and whenever there are more, until it is complete or ends without a result.
 *
 * `show` gets the whole table each time; `fail` what stops the following. Returns what ends it.
 */
export function followFindings(
  analysisId: string,
  show: (table: FindingTable) => void,
  fail: (problem: Problem) => void,
): () => void {
  let table: FindingTable | null = null;
  let events: EventSource | null = null;
  let asking: Promise<void> | null = null;
  let again = false, ended = false;

  const end = (): void => {
    ended = true;
    events?.close();
  };
  // At the news of a change: one question at a time, and one more where something changed meanwhile.
  const ask = async (): Promise<void> => {
    const more: FindingTable = await loadFindings(analysisId, table?.parts);
    // Ranks are final only in the whole table.
    const whole: FindingTable = table && more.complete ? await loadFindings(analysisId) : more;
    if (ended) return;
    const news = !table || more.complete || more.count > 0;
    table = table && !more.complete ? appended(table, whole) : whole;
    if (news) show(table);
    if (table.complete) end();
  };
  const askUntilKnown = async (): Promise<void> => {
    try {
      do {
        again = false;
        await ask();
        if (!ended) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      } while (again && !ended);
    } catch (error) {
      end();
      fail(error instanceof Problem ? error : new Problem(0, "findings", String(error)));
    } finally {
      asking = null;
    }
  };
  /** Resolves once everything is known that there was when it was called. */
  const turn = (): Promise<void> => {
    if (asking) again = true;
    else asking = askUntilKnown();
    return asking;
  };
  const listen = (): void => {
    if (ended) return;
    events = new EventSource(`/api/v1/analyses/${encodeURIComponent(analysisId)}/events`);
    events.addEventListener("state", (event) => {
      const { state } = JSON.parse((event as MessageEvent<string>).data) as { state: string };
      void turn().then(() => {
        if (["completed", "failed", "cancelled"].includes(state)) end();
      });
    });
  };
  void turn().then(listen);
  return end;
}
