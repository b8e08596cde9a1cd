"""From everything that was found in the tiles of a slide to its result."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamsoat.datasets.categories import N_AI_CATEGORIES
from tamsoat.inference_service.audit.schemas import canonical_json, sha256_hex
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.engine.peaks import settle_peaks
from tamsoat.inference_service.screening.result import (
    COORDINATE_DIGITS,
    CROWDED,
    MAX_SCALE_FACTOR,
    PROBABILITY_DIGITS,
    RESOLUTION_TOO_LOW,
)
from tamsoat.inference_service.screening.schemas import (
    ModelIdentity,
    Quality,
    SlideAssessment,
    SlideFacts,
    SlideSummary,
)
from tamsoat.inference_service.screening.slide_run import TileFindings
from tamsoat.inference_service.screening.slide_work import SlideWork
from tamsoat.inference_service.slides.tile_quality import TileQuality
from tamsoat.models.bundle import Bundle
from tamsoat.models.decision import decide
from tamsoat.models.slide_score import WINDOW_UM, SlideScore, score_slide

BLANK = "blank"
MOST_BAD = 0.5
"""Part of the judged tiles with one defect from which the slide has it."""
REASONS = {
    TileQuality.OUT_OF_FOCUS: "out_of_focus",
    TileQuality.OVER_EXPOSED: "over_exposed",
    TileQuality.NOT_CYTOLOGY_STAIN: "not_cytology_stain",
}

CELL = np.dtype(
    [
        ("x_px", "<f8"),
        ("y_px", "<f8"),
        ("category", "u1"),
        ("score", "<f8"),
        ("probabilities", "<f8", (N_AI_CATEGORIES,)),
    ]
)
"""One nucleus of a slide as it is stored and digested: level-0 pixels, channel, rounded as in the JSON."""


@dataclass(frozen=True, eq=False)
class SlideMap:
    """A grid of squares of ``tile_um``, as far apart as the tiles are, from the slide's upper left corner: ``quality``
    and ``plane`` (uint8) of the tile that answers for a square's middle, and the highest ``suspicion`` (float32) in the
    square, each ``[rows, columns]``."""

    tile_um: float
    quality: NDArray[np.uint8]
    suspicion: NDArray[np.float32]
    plane: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SlideResult:
    """``cells``: records of :data:`CELL`, most suspicious first; ``categories``: names of the channels."""

    categories: tuple[str, ...]
    summary: SlideSummary
    cells: NDArray[np.void]
    map: SlideMap


def compose(engine: Engine, work: SlideWork, found: TileFindings, image: str, seconds: float) -> SlideResult:
    """The result of a slide whose tiles are all done."""
    bundle, plan = engine.bundle, work.plan
    peaks = found.peaks.take(np.argsort(found.peaks.tile, kind="stable"))
    peaks = peaks.take(settle_peaks(plan.tiles, peaks, engine.merge_radius_px))
    suspicion = peaks.score * (1.0 - peaks.probabilities[:, 0])
    order = np.argsort(-suspicion, kind="stable")
    peaks, suspicion = peaks.take(order), suspicion[order]
    xy_px = plan.scaling.to_slide(peaks.xy_px)
    score = _score(bundle, work, xy_px, peaks.score, peaks.probabilities)
    facts = _facts(work, found, score)
    reasons = _reasons(work, found, bundle)
    urgency = "review" if reasons and score.triage == "routine" else score.triage
    summary = SlideSummary(
        image=image,
        width_px=plan.scaling.slide_width_px,
        height_px=plan.scaling.slide_height_px,
        mpp=work.mpp,
        model=ModelIdentity(name=bundle.name, version=bundle.version, digest=bundle.digest),
        quality=Quality(usable=not reasons, reasons=reasons),
        field=SlideAssessment(
            category=bundle.categories[score.category],
            abnormal_probability=round(score.abnormal_probability, PROBABILITY_DIGITS),
            triage=urgency,
        ),
        slide=facts,
        cells_total=len(peaks),
        seconds=round(seconds, 4),
    )
    cells = np.empty(len(peaks), CELL)
    cells["x_px"], cells["y_px"] = xy_px.astype(np.float64).round(COORDINATE_DIGITS).T
    cells["category"] = decide(peaks.probabilities, bundle.operating_points.category_weights)
    cells["score"] = peaks.score.astype(np.float64).round(PROBABILITY_DIGITS)
    cells["probabilities"] = peaks.probabilities.astype(np.float64).round(PROBABILITY_DIGITS)
    return SlideResult(bundle.categories, summary, cells, _map(work, found, peaks.xy_px, suspicion))


def tile_map(work: SlideWork, found: TileFindings) -> SlideMap:
    """The map so far, while the slide is being screened."""
    peaks = found.peaks
    own = work.plan.tiles.outside_own_region_px(peaks.xy_px, peaks.tile) <= 0
    return _map(work, found, peaks.xy_px[own], (peaks.score * (1.0 - peaks.probabilities[:, 0]))[own])


def findings_digest(parts: list[NDArray[np.void]]) -> str:
    """SHA-256 (hex) over the records of :data:`CELL` in their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes())
    return digest.hexdigest()


def result_digest(summary: SlideSummary, analysis_id: str, findings: str) -> str:
    """What the audit log vouches for: SHA-256 (hex) over the canonical JSON of the summary with the digest of the
    findings."""
    members = summary.model_dump(mode="json") | {"analysis_id": analysis_id, "findings": findings}
    return sha256_hex(canonical_json(members))


def _score(
    bundle: Bundle,
    work: SlideWork,
    xy_px: NDArray[np.float32],
    score: NDArray[np.float32],
    probabilities: NDArray[np.float32],
) -> SlideScore:
    window_px = np.asarray(WINDOW_UM) / work.mpp
    across = int(work.plan.scaling.slide_width_px // window_px[0]) + 1

    def numbers(points_px: NDArray[np.floating]) -> NDArray[np.int64]:
        column, row = np.floor(points_px / window_px).astype(np.int64).T
        number: NDArray[np.int64] = row * across + column
        return number

    boxes = work.plan.boxes_px()[work.plan.order]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    with_cells = np.union1d(numbers(centres), numbers(xy_px)) if len(xy_px) else numbers(centres)
    return score_slide(numbers(xy_px), score, probabilities, len(np.unique(with_cells)), bundle)


def _facts(work: SlideWork, found: TileFindings, score: SlideScore) -> SlideFacts:
    total = work.plan.tiles.n_tiles
    focus_known = np.isin(found.quality, (TileQuality.GOOD, TileQuality.OUT_OF_FOCUS))
    blurred = int((found.quality == TileQuality.OUT_OF_FOCUS).sum())
    return SlideFacts(
        tiles=total,
        analysed_tiles=len(found.tiles),
        cell_bearing_share=round(len(found.tiles) / total, 4),
        out_of_focus_share=round(blurred / max(int(focus_known.sum()), 1), 4),
        planes=work.planes,
        windows=score.windows,
        abnormal_share=round(score.abnormal_share, PROBABILITY_DIGITS),
    )


def _reasons(work: SlideWork, found: TileFindings, bundle: Bundle) -> list[str]:
    """A slide has a defect when most of the tiles that can be judged have it."""
    judged = found.quality[~np.isin(found.quality, (TileQuality.NOT_ANALYSED, TileQuality.SPARSE))]
    reasons = [word for code, word in REASONS.items() if len(judged) and (judged == code).mean() > MOST_BAD]
    if len(found.tiles) == 0:
        reasons.append(BLANK)
    if work.mpp > MAX_SCALE_FACTOR * bundle.mpp:
        reasons.append(RESOLUTION_TOO_LOW)
    if len(found.full) and found.full.mean() > MOST_BAD:
        reasons.append(CROWDED)
    return reasons


def _map(work: SlideWork, found: TileFindings, xy_px: NDArray[np.float32], suspicion: NDArray[np.float32]) -> SlideMap:
    """``xy_px`` ``[n, 2]`` at the network's scale."""
    plan = work.plan
    side_px = float(plan.tiles.x_starts_px[1] if len(plan.tiles.x_starts_px) > 1 else plan.tiles.tile_width_px)
    columns, rows = math.ceil(plan.tiles.width_px / side_px), math.ceil(plan.tiles.height_px / side_px)
    middles = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), axis=-1).reshape(-1, 2) * side_px
    owner = plan.tiles.owner(middles)
    quality, plane = np.zeros(plan.tiles.n_tiles, np.uint8), np.zeros(plan.tiles.n_tiles, np.uint8)
    quality[found.tiles], plane[found.tiles] = found.quality, found.plane
    highest = np.zeros((rows, columns), np.float32)
    column, row = (xy_px // side_px).astype(np.int64).T
    np.maximum.at(highest, (row, column), suspicion)
    tile_um = side_px * work.mpp * plan.scaling.slide_width_px / plan.scaling.width_px
    shape = rows, columns
    return SlideMap(tile_um, quality[owner].reshape(shape), highest, plane[owner].reshape(shape))
