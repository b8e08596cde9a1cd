"""From the cells of a whole slide to its score: the field score, taken over the slide's field-sized windows.

A field's probability must not simply be taken over all cells of a slide: with 500 times more cells some are always
suspicious. So the slide is cut into windows of a field's size and each gets the field's calibrated probability ``p``.
These probabilities hold for the share of abnormal fields in the calibration data (the prior). The slide's own share of
abnormal windows is estimated from them by expectation maximisation and the probabilities are re-based to it (Saerens,
Latinne, Decaestecker, Neural Computation 14, 2002): ``q = s r / (s r + 1 - s)``, ``r`` being the odds of ``p`` over
those of the prior. The score of the slide is the mean ``q`` of its most suspicious tenth.

None of it was validated on slides: there is none with a known diagnosis behind it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamsoat.models.bundle import Bundle, OperatingPoints
from tamsoat.models.decision import TOP_CELLS, FloatArray, Triage, field_high_grade, field_probability

WINDOW_UM = (344.0, 255.0)
"""Width and height of the fields that the score was calibrated on (1376 x 1020 px of 0.25 micron)."""
SUSPICIOUS_SHARE = 0.1
URGENT_SHARE = 0.1
"""A slide is urgent when this share of its windows is; of fields that are not, at most 5 % are called so."""
_STEPS = 200
_MOST_ODDS = 1e6


@dataclass(frozen=True)
class SlideScore:
    """``category`` is a channel; ``abnormal_share`` the estimated share of windows that hold an abnormal cell."""

    category: int
    abnormal_probability: float
    abnormal_share: float
    triage: Triage
    windows: int


def score_slide(
    window: NDArray[np.int64], scores: FloatArray, probabilities: FloatArray, windows: int, bundle: Bundle
) -> SlideScore:
    """Score a slide.

    Args:
        window: ``[n]`` number of the window that each nucleus lies in.
        scores: ``[n]`` detection scores.
        probabilities: ``[n, 6]``, calibrated.
        windows: how many windows hold cells; at least as many as are named.
    """
    points = bundle.operating_points
    order = np.lexsort((-scores * (1.0 - probabilities[:, 0]), window))
    named, begins = np.unique(window[order], return_index=True)
    groups = np.split(order, begins[1:]) if len(named) else []
    p = np.zeros(max(windows, len(named), 1))
    high_grade = np.zeros(len(p))
    for number, group in enumerate(groups):
        p[number] = field_probability(scores[group], probabilities[group], points)
        high_grade[number] = field_high_grade(scores[group], probabilities[group])
    share, rebased = rebase(p, _prior(bundle))
    count = max(1, round(SUSPICIOUS_SHARE * len(p)))
    top = np.argsort(-rebased, kind="stable")[:count]
    abnormal = float(rebased[top].mean())
    urgent = float((high_grade >= points.field_urgent).mean()) > URGENT_SHARE
    triage: Triage = "urgent" if urgent else "review" if abnormal >= points.field_review else "routine"
    cells = np.concatenate([groups[number][:TOP_CELLS] for number in top if number < len(groups)] or [order[:0]])
    return SlideScore(_category(probabilities[cells], abnormal, points), abnormal, share, triage, len(p))


def rebase(probabilities: FloatArray, prior: float) -> tuple[float, NDArray[np.float64]]:
    """The share of abnormal windows, and each window's probability under it; one window as the prior says is added,
    so that a single window is judged much as a field."""
    odds = probabilities / np.maximum(1.0 - probabilities, 1.0 / _MOST_ODDS)
    ratio = np.minimum(odds * (1.0 - prior) / prior, _MOST_ODDS)
    share = prior
    rebased = np.asarray(probabilities, dtype=np.float64)
    for _ in range(_STEPS):
        rebased = share * ratio / (share * ratio + 1.0 - share)
        share = (float(rebased.sum()) + prior) / (len(rebased) + 1)
    return share, rebased


def _category(probabilities: FloatArray, abnormal: float, points: OperatingPoints) -> int:
    if len(probabilities) == 0 or abnormal < points.field_review:
        return 0
    weighted = (probabilities * np.asarray(points.category_weights)).sum(axis=0)
    return 1 + int(np.argmax(weighted[1:]))


def _prior(bundle: Bundle) -> float:
    """Share of abnormal fields in the data that the field score was calibrated on; a half where it is not told."""
    path = bundle.folder / "evaluation.json"
    counts = json.loads(path.read_text(encoding="utf-8")).get("pooled", {}).get("n", {}) if path.is_file() else {}
    fields, abnormal = counts.get("fields", 0), counts.get("abnormal_fields", 0)
    return abnormal / fields if 0 < abnormal < fields else 0.5
