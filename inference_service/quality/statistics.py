"""Figures of quality from plain arrays. Pure: no database, no settings; the same input gives the same figures.

Intervals cover 95 %. Proportions: Wilson (1927). Ratios, kappa, quantiles, drift: percentile bootstrap over cases (of
drift: over the fields of both sides), because the slides of one case are not independent; 1,000 resamples by a
generator with a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Below this number of cases a rate is marked as too uncertain to act on."""
Z_95 = 1.959963984540054
RESAMPLES = 1_000
SEED = 20_260_101
PSI_BINS = 10
PSI_FLOOR = 1e-4
"""Least share of a bin, so that the index stays finite (Siddiqi, Credit Risk Scorecards, 2006)."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; ``value`` None: it cannot be computed. ``n``: cases behind it."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str

    @property
    def few(self) -> bool:
        """Whether there are too few cases to act on it."""
        return self.n < FEWEST


def wilson(count: int, n: int) -> Estimate:
    """``count`` of ``n`` as a share with Wilson's score interval."""
    if n == 0:
        return Estimate(None, None, None, 0, "wilson")
    share, spread = count / n, Z_95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n, "wilson")


def ratio(numerator: NDArray[np.bool_], denominator: NDArray[np.bool_]) -> Estimate:
    """Cases of one kind for each case of another (ASC-US : SIL); arrays ``[cases]``."""
    pairs = np.stack([numerator, denominator]).astype(np.float64)

    def figure(rows: IntArray) -> float:
        above, below = pairs[:, rows].sum(axis=1)
        return float(above / below) if below else math.nan

    return bootstrap(figure, len(numerator))


def kappa(first: IntArray, second: IntArray, levels: int) -> Estimate:
    """Cohen's kappa with quadratic weights (Cohen 1968) of two gradings ``[cases]`` on ``levels`` ordered levels."""
    steps = np.arange(levels)
    weights = (steps[:, None] - steps[None, :]) ** 2 / max(1, (levels - 1) ** 2)

    def figure(rows: IntArray) -> float:
        table = confusion(first[rows], second[rows], levels) / max(1, len(rows))
        chance = np.outer(table.sum(axis=1), table.sum(axis=0))
        expected = float((weights * chance).sum())
        return 1 - float((weights * table).sum()) / expected if expected > 0 else math.nan

    return bootstrap(figure, len(first))


def confusion(first: IntArray, second: IntArray, levels: int) -> IntArray:
    """Counts ``[levels, levels]``: rows by ``first``, columns by ``second``."""
    table = np.zeros((levels, levels), dtype=np.int64)
    np.add.at(table, (first, second), 1)
    return table


def quantile(values: FloatArray, share: float) -> Estimate:
    """A quantile (linear interpolation) of ``values`` ``[cases]``."""
    return bootstrap(lambda rows: float(np.quantile(values[rows], share)), len(values))


def population_stability(now: FloatArray, reference: FloatArray) -> Estimate:
    """Population stability index of scores (0..1) against the deciles of ``reference``: 0 is equal.

    Bins of a small sample differ by chance alone: about ``(bins - 1) (1 / n + 1 / m)`` (Yurdakul 2018), which is
    subtracted from every resample of the interval, as resampling adds the same once more.
    """
    inner = np.unique(np.quantile(reference, np.linspace(0, 1, PSI_BINS + 1)[1:-1]))

    def figure(left: FloatArray, right: FloatArray) -> float:
        actual, expected = (_shares(side, inner) for side in (left, right))
        return float(((actual - expected) * np.log(actual / expected)).sum())

    chance = len(inner) * (1 / max(1, len(now)) + 1 / len(reference))
    return _two_samples(figure, now, reference, chance)


def kolmogorov_smirnov(now: FloatArray, reference: FloatArray) -> Estimate:
    """Largest distance between the two empirical distribution functions, 0..1."""

    def figure(left: FloatArray, right: FloatArray) -> float:
        every = np.concatenate([left, right])
        below = [np.searchsorted(np.sort(side), every, side="right") / len(side) for side in (left, right)]
        return float(np.abs(below[0] - below[1]).max())

    return _two_samples(figure, now, reference, 0.0)


def ks_critical(n: int, m: int) -> float:
    """Distance that equal distributions exceed in 5 % of samples (Smirnov 1948, asymptotic)."""
    return 1.358 * math.sqrt((n + m) / (n * m)) if n and m else math.nan


def bootstrap(figure: Callable[[IntArray], float], n: int) -> Estimate:
    """``figure`` of all cases with the percentile interval over resamples of cases; undefined ones are left out."""
    if n == 0:
        return Estimate(None, None, None, 0, "bootstrap")
    value = figure(np.arange(n))
    if math.isnan(value):
        return Estimate(None, None, None, n, "bootstrap")
    draw = np.random.default_rng(SEED)
    found = np.array([figure(draw.integers(0, n, n)) for _ in range(RESAMPLES)])
    return _interval(value, found, n)


def _two_samples(
    figure: Callable[[FloatArray, FloatArray], float], now: FloatArray, reference: FloatArray, chance: float
) -> Estimate:
    if not len(now) or not len(reference):
        return Estimate(None, None, None, len(now), "bootstrap")
    draw = np.random.default_rng(SEED)
    found = np.array(
        [figure(draw.choice(now, len(now)), draw.choice(reference, len(reference))) - chance for _ in range(RESAMPLES)]
    )
    return _interval(figure(now, reference), np.maximum(found, 0.0), len(now))


def _interval(value: float, found: FloatArray, n: int) -> Estimate:
    found = found[np.isfinite(found)]
    if not len(found):
        return Estimate(value, None, None, n, "bootstrap")
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value), n, "bootstrap")


def _shares(values: FloatArray, inner: FloatArray) -> FloatArray:
    counts = np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1)
    return np.maximum(counts / len(values), PSI_FLOOR)
