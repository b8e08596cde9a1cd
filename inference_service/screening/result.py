"""Screens one decoded image: the one place where the command line and the HTTP service get their answer from."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tamsoat.inference_service.engine.engine import Engine, Findings, Progress
from tamsoat.inference_service.screening.schemas import Cell, FieldAssessment, ModelIdentity, Quality, ScreeningResult
from tamsoat.inference_service.slides.decode import DecodedImage
from tamsoat.inference_service.slides.quality import QualityCheck, check_quality
from tamsoat.models.bundle import Bundle
from tamsoat.models.decision import field_category, field_high_grade, field_probability, triage

MAX_SCALE_FACTOR = 2.2
"""An image this much coarser than the network's scale lacks the detail that the grades are made of."""

RESOLUTION_TOO_LOW = "resolution_too_low"
CROWDED = "crowded"

COORDINATE_DIGITS = 1
PROBABILITY_DIGITS = 6
_SECONDS_DIGITS = 4


def screen_image(
    engine: Engine, image: DecodedImage, mpp: float, name: str | None = None, progress: Progress | None = None
) -> ScreeningResult:
    """Judge the quality, find and grade every nucleus, assess the field.

    An image that is not usable is screened all the same; its triage is then never ``routine``, because nothing
    found in a bad image does not mean nothing there.

    Args:
        mpp: microns per pixel, checked by :func:`~tamsoat.inference_service.screening.scale.resolve_scale`.
        name: what the result calls the image; None for the name it was opened by.
        progress: see ``Engine.detect``.

    Raises:
        EngineInputError: the image is too large at the network's scale.
        EngineError: inference failed, or the engine is busy or closed.
    """
    start_s = time.perf_counter()
    bundle = engine.bundle
    # Judging the quality (10 ms) fits into the pauses that the network leaves the cores.
    with ThreadPoolExecutor(1, thread_name_prefix="tamsoat-quality") as pool:
        check = pool.submit(check_quality, image.pixels, mpp)
        findings = engine.detect(image.pixels, mpp, progress)
        quality = _quality(check.result(), mpp, findings, bundle)
    cells = _cells(findings, bundle)
    field = _assess(findings, bundle, quality.usable)
    return ScreeningResult(
        image=image.name if name is None else name,
        width_px=image.width_px,
        height_px=image.height_px,
        mpp=mpp,
        model=ModelIdentity(name=bundle.name, version=bundle.version, digest=bundle.digest),
        quality=quality,
        field=field,
        cells=cells,
        seconds=round(image.decode_s + time.perf_counter() - start_s, _SECONDS_DIGITS),
    )


def _quality(check: QualityCheck, mpp: float, findings: Findings, bundle: Bundle) -> Quality:
    reasons = list(check.reasons)
    if mpp > MAX_SCALE_FACTOR * bundle.mpp:
        reasons.append(RESOLUTION_TOO_LOW)
    if findings.crowded:
        reasons.append(CROWDED)
    return Quality(usable=not reasons, reasons=reasons)


def _assess(findings: Findings, bundle: Bundle, usable: bool) -> FieldAssessment:
    points = bundle.operating_points
    scores, probabilities = findings.score, findings.probabilities
    abnormal = field_probability(scores, probabilities, points)
    urgency = triage(abnormal, field_high_grade(scores, probabilities), points)
    if urgency == "routine" and not usable:
        urgency = "review"
    return FieldAssessment(
        category=bundle.categories[field_category(scores, probabilities, abnormal, points)],
        abnormal_probability=round(abnormal, PROBABILITY_DIGITS),
        triage=urgency,
    )


def _cells(findings: Findings, bundle: Bundle) -> list[Cell]:
    """Most suspicious first: by score times 1 - P(NILM), then as the engine ordered them."""
    suspicion = findings.score * (1.0 - findings.probabilities[:, 0])
    order = np.argsort(-suspicion, kind="stable")
    xy_px = findings.xy_px[order].astype(np.float64).round(COORDINATE_DIGITS).tolist()
    score = findings.score[order].astype(np.float64).round(PROBABILITY_DIGITS).tolist()
    probabilities = findings.probabilities[order].astype(np.float64).round(PROBABILITY_DIGITS).tolist()
    category = findings.category[order].tolist()
    return [
        Cell(
            x_px=x,
            y_px=y,
            category=bundle.categories[channel],
            score=certainty,
            probabilities=dict(zip(bundle.categories, row, strict=True)),
        )
        for (x, y), certainty, row, channel in zip(xy_px, score, probabilities, category, strict=True)
    ]
