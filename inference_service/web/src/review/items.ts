/** What the gallery shows of a finding or of an added cell. */
import { t } from "../common/texts";
import type { FindingTable } from "../viewer/types";
import type { Item } from "./gallery";
import type { Action, Standing } from "./types";
import { categoryName, standingSign, standingWords, twoDigits } from "./words";

const CROP_PX = 192;
/** Side of a crop: a nucleus (about 10 um) with its neighbours. */
const CROP_UM = 60;

function crop(slideId: string, x_px: number, y_px: number): string {
  return `/api/v1/slides/${slideId}/crop.jpg?x=${x_px.toFixed(1)}&y=${y_px.toFixed(1)}&side_um=${CROP_UM}&px=${CROP_PX}`;
}

/** A cell that the reader added, at `place` among `of`. */
export function itemOfAdded(slideId: string, cell: Action, place: number, of: number): Item {
  const category = categoryName(cell.category ?? "");
  return {
    source: crop(slideId, cell.x_px!, cell.y_px!), category: cell.category ?? "", state: "added", selected: false,
    caption: `+ ${category}`, label: t("case.added_label", { n: place + 1, of, category }),
  };
}

/** A finding: row `row` of the table, at `place` among `of`, with what stands for the reader. */
export function itemOfFinding(
  slideId: string, table: FindingTable, row: number, standing: Standing | null, place: number, of: number,
): Omit<Item, "state" | "selected"> {
  const category = table.categories[table.category[row]!]!;
  const suspicion = twoDigits(table.suspicion[row]!);
  return {
    source: crop(slideId, table.x_px[row]!, table.y_px[row]!), category,
    caption: `${category} ${suspicion}${standingSign(standing)}`,
    label: t("case.finding_label", { n: place + 1, of, category, suspicion, said: standingWords(standing) }),
  };
}
