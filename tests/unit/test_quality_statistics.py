"""Figures of quality: known answers, and that intervals hold what they promise."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tamsoat.evaluation.predictions import PredictionSet
from tamsoat.evaluation.validation_scores import validation_scores
from tamsoat.inference_service.quality import service
from tamsoat.inference_service.quality import statistics as st
from tamsoat.inference_service.quality.reference_scores import FOLDER, reference_scores
from tamsoat.models.bundle import default_bundle, read_bundle

REFERENCE = Path(__file__).parents[2] / "evaluation" / "reference" / "cric-5fold.npz"


def test_wilson_is_that_of_the_books() -> None:
    found = st.wilson(15, 148)  # Newcombe 1998, table I: 0.0624 to 0.1605
    assert found.value == pytest.approx(15 / 148)
    assert (found.low, found.high) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))
    assert st.wilson(0, 0).value is None
    nothing = st.wilson(0, 20)
    assert (nothing.low, nothing.few) == (0.0, False)
    assert st.wilson(3, 19).few


def test_kappa_is_that_of_the_books() -> None:
    table = np.array(
        [[22, 2, 2, 0], [5, 7, 14, 0], [0, 2, 36, 0], [0, 1, 14, 10]]
    )  # Agresti, Holmquist's carcinoma data
    pairs = [(row, column) for row in range(4) for column in range(4) for _ in range(int(table[row, column]))]
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = st.kappa(first, second, 4)
    weights = 1 - (np.arange(4)[:, None] - np.arange(4)) ** 2 / 9
    share = table / table.sum()
    chance = np.outer(share.sum(axis=1), share.sum(axis=0))
    expected = ((weights * share).sum() - (weights * chance).sum()) / (1 - (weights * chance).sum())
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high
    same = np.array([0, 1, 2, 3])
    assert st.kappa(same, same, 4).value == 1.0
    assert st.kappa(np.zeros(5, dtype=int), np.zeros(5, dtype=int), 4).value is None


def test_ratio_counts_cases_of_both_kinds() -> None:
    asc_us = np.array([True] * 30 + [False] * 70)
    sil = np.array([False] * 80 + [True] * 20)
    found = st.ratio(asc_us, sil)
    assert found.value == 1.5
    assert st.ratio(asc_us, np.zeros(100, dtype=bool)).value is None


def test_equal_distributions_do_not_drift_and_shifted_ones_do() -> None:
    draw = np.random.default_rng(5)
    reference, same, other = draw.beta(2, 3, 400), draw.beta(2, 3, 300), draw.beta(3, 2, 300)
    stable, moved = (st.population_stability(side, reference) for side in (same, other))
    assert stable.value is not None
    assert moved.value is not None
    assert moved.low is not None
    assert stable.value < 0.1 < moved.low
    near, far = (st.kolmogorov_smirnov(side, reference) for side in (same, other))
    assert near.value is not None
    assert far.value is not None
    critical = st.ks_critical(300, 400)
    assert near.value < critical < far.value
    exact = st.kolmogorov_smirnov(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.15, 0.35, 0.5, 0.6]))
    assert exact.value == 0.5
    assert st.population_stability(reference, reference).value == 0.0
    assert st.population_stability(np.zeros(0), reference).value is None


def test_the_same_input_gives_the_same_interval() -> None:
    hours = np.random.default_rng(1).exponential(20, 60)
    assert st.quantile(hours, 0.9) == st.quantile(hours, 0.9)
    assert st.quantile(np.zeros(0), 0.5).value is None


def test_the_packaged_scores_are_those_of_the_reference_predictions() -> None:
    digest = read_bundle(default_bundle()).digest
    scores = reference_scores(digest)
    assert scores is not None, "the bundled model has no validation scores: see evaluation/validation_scores.py"
    made = validation_scores(PredictionSet.load(REFERENCE), digest)
    assert json.loads((FOLDER / f"{digest}.json").read_text(encoding="utf-8")) == made
    assert reference_scores("0" * 64) is None


def test_periods() -> None:
    today = date(2026, 11, 22)
    assert (service.period_of(None, None, today).last, service.period_of(None, None, today).first) == (
        today,
        date(2026, 8, 24),
    )
    one_day = service.period_of(today, today)
    assert service._before(one_day).first == date(2026, 11, 21)
    begin, end = service._moments(one_day)
    assert (begin.isoformat(), (end - begin).days) == ("2026-11-22T00:00:00+07:00", 1)
    for first, last in ((date(2026, 11, 23), today), (date(2020, 1, 1), today), (date(1999, 1, 1), date(1999, 2, 1))):
        with pytest.raises(service.PeriodInvalidError):
            service.period_of(first, last)
