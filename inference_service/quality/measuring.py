"""Make the figures of one period from its rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy.orm import Session

from tamsoat.datasets.categories import AI_CATEGORIES, STEP, Category
from tamsoat.inference_service.quality import repository
from tamsoat.inference_service.quality.reference_scores import reference_scores
from tamsoat.inference_service.quality.repository import SignedCase, SignedReading
from tamsoat.inference_service.quality.schemas import Drift, Figure, Histogram, Table
from tamsoat.inference_service.quality.statistics import (
    FEWEST,
    Estimate,
    confusion,
    kappa,
    kolmogorov_smirnov,
    ks_critical,
    population_stability,
    quantile,
    ratio,
    wilson,
)
from tamsoat.inference_service.reports.tables import PRIMARY, SECOND

LEVELS = len(AI_CATEGORIES)
SIL = (Category.LSIL, Category.HSIL)
HSIL_PLUS = (Category.HSIL, Category.SCC, Category.AIS, Category.ADENOCARCINOMA)
HISTOGRAM_BINS = 20
SECONDS_OF_HOUR = 3600.0


@dataclass(frozen=True)
class Rows:
    """Everything that happened in a period."""

    received: list[datetime]
    cases: list[SignedCase]
    readings: list[SignedReading]
    forms: list[str]
    scores: list[tuple[str, float]]


def load(session: Session, facility_id: str, since: datetime, until: datetime) -> Rows:
    """Read the rows of a period."""
    place = (session, facility_id, since, until)
    return Rows(
        repository.received(*place),
        repository.signed_cases(*place),
        repository.readings(*place),
        repository.unsatisfactory_forms(*place),
        repository.field_scores(*place),
    )


def volumes(rows: Rows) -> list[Figure]:
    """Cases that came, cases that were signed."""
    counts = (("received", len(rows.received)), ("signed", len(rows.cases)))
    return [_count(name, count) for name, count in counts]


def rates(rows: Rows) -> list[Figure]:
    """Shares among the signed cases; those of categories among the ones that could be judged."""
    found = [case.category for case in rows.cases]
    judged = [one for one in found if one not in (None, Category.UNSATISFACTORY)]
    unsatisfactory = wilson(sum(one == Category.UNSATISFACTORY for one in found), len(found))
    abnormal = wilson(sum(one not in (Category.NILM, Category.OTHER) for one in judged), len(judged))
    grave = wilson(sum(one in HSIL_PLUS for one in judged), len(judged))
    borderline = np.array([one == Category.ASC_US for one in judged], dtype=bool)
    lesions = np.array([one in SIL for one in judged], dtype=bool)
    return [
        _figure("unsatisfactory", "share", unsatisfactory),
        _figure("abnormal", "share", abnormal),
        _figure("hsil-plus", "share", grave),
        _figure("asc-us-sil", "ratio", ratio(borderline, lesions)),
    ]


def categories(rows: Rows) -> list[Figure]:
    """The share of each category among all signed cases."""
    counts = Counter(case.category for case in rows.cases)
    return [_figure(one.value, "share", wilson(counts[one.value], len(rows.cases))) for one in Category]


def agreement(rows: Rows) -> list[Figure]:
    """How far the first reader and the model agree, on the model's six levels."""
    model, reader = _paired(rows)
    n = len(model)
    same = wilson(int((model == reader).sum()), n)
    near = wilson(int((np.abs(model - reader) <= 1).sum()), n)
    return [
        _figure("kappa", "kappa", kappa(model, reader, LEVELS)),
        _figure("same-category", "share", same),
        _figure("within-one-step", "share", near),
    ]


def agreement_table(rows: Rows) -> Table:
    """Counts of the same pairs."""
    counts = confusion(*_paired(rows), LEVELS)
    return Table(levels=[one.value for one in AI_CATEGORIES], counts=counts.tolist())


def second_reading(rows: Rows) -> list[Figure]:
    """How many cases had a second reader, and in how many of these the result is another than the first reader's."""
    first = {row.case_id: row.category for row in reversed(rows.readings) if row.role == PRIMARY}
    seconds = {row.case_id for row in rows.readings if row.role == SECOND}
    pairs = [(first[case.id], case.category) for case in rows.cases if case.id in seconds and case.id in first]
    steps = [(_step(before), _step(after)) for before, after in pairs]
    graded = [(before, after) for before, after in steps if before is not None and after is not None]
    return [
        _figure("second-read", "share", wilson(len(pairs), len(rows.cases))),
        _figure("changed", "share", wilson(sum(before != after for before, after in pairs), len(pairs))),
        _figure("changed-up", "share", wilson(sum(after > before for before, after in graded), len(pairs))),
        _figure("changed-down", "share", wilson(sum(after < before for before, after in graded), len(pairs))),
    ]


def turnaround(rows: Rows) -> list[Figure]:
    """Hours from the arrival of a case to its result."""
    hours = np.array([(case.signed_at - case.created_at).total_seconds() / SECONDS_OF_HOUR for case in rows.cases])
    return [
        _figure("turnaround-median", "hours", quantile(hours, 0.5)),
        _figure("turnaround-p90", "hours", quantile(hours, 0.9)),
    ]


def reasons(rows: Rows) -> list[tuple[str, int]]:
    """Why specimens could not be judged, the most frequent first."""
    counts = Counter(code for form in rows.forms for code in json.loads(form).get("reasons", ()))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def drift(rows: Rows, model_digest: str) -> Drift | None:
    """The scores of the model against those of its validation."""
    reference = reference_scores(model_digest)
    now = np.array([score for digest, score in rows.scores if digest == model_digest])
    if reference is None or not len(now):
        return None
    edges = np.linspace(0.0, 1.0, HISTOGRAM_BINS + 1)
    shares = [np.histogram(side, edges)[0] / len(side) for side in (now, reference)]
    return Drift(
        model_digest=model_digest,
        stability=_figure("psi", "index", population_stability(now, reference)),
        distance=_figure("ks", "distance", kolmogorov_smirnov(now, reference)),
        critical=ks_critical(len(now), len(reference)),
        reference_n=len(reference),
        histogram=Histogram(edges=edges.tolist(), now=shares[0].tolist(), reference=shares[1].tolist()),
    )


def _paired(
    rows: Rows,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Levels of the model and of the first reader, of the cases where both have one."""
    firsts: dict[str, SignedReading] = {}
    for row in rows.readings:
        if row.role == PRIMARY:
            firsts.setdefault(row.case_id, row)
    pairs = [(_step(row.ai_category), _step(row.category)) for row in firsts.values()]
    both = [(model, reader) for model, reader in pairs if model is not None and reader is not None]
    return _levels([model for model, _ in both]), _levels([reader for _, reader in both])


def _levels(values: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def _step(category: str | None) -> int | None:
    """Place of a category on the model's scale; None: it has none there."""
    return STEP.get(Category(category)) if category is not None else None


def _count(name: str, count: int) -> Figure:
    return Figure(name=name, unit="count", value=count, low=None, high=None, n=count, few=False, method="count")


def _figure(name: str, unit: str, found: Estimate) -> Figure:
    return Figure(
        name=name, unit=unit, value=found.value, low=found.low, high=found.high, n=found.n, few=found.n < FEWEST,
        method=found.method,
    )  # fmt: skip
