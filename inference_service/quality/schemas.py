"""What the quality page shows: aggregates only, nothing of a single patient or reader."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field


class Period(BaseModel):
    """Days in Vietnamese time, both included."""

    first: date
    last: date


class Figure(BaseModel):
    """A figure with its 95 % interval; `value` null: it cannot be computed."""

    name: str
    unit: str = Field(description="`share`, `ratio`, `kappa`, `hours`, `index`, `distance`, `count`")
    value: float | None
    low: float | None
    high: float | None
    n: int = Field(description="Cases (of drift: fields) behind it")
    few: bool = Field(description="Fewer than 20: too uncertain to act on")
    method: str = Field(description="Of the interval: `wilson`, `bootstrap`, `count`")


class Compared(BaseModel):
    """A figure now and in the period before."""

    now: Figure
    before: Figure


class Week(BaseModel):
    """One week, by its Monday."""

    monday: date
    received: int
    signed: int


class Reason(BaseModel):
    """Why specimens could not be judged; one may have several reasons."""

    code: str
    count: int


class Table(BaseModel):
    """Counts: rows by the model, columns by the first reader."""

    levels: list[str]
    counts: list[list[int]]


class Histogram(BaseModel):
    """Shares of scores per bin."""

    edges: list[float]
    now: list[float]
    reference: list[float]


class Drift(BaseModel):
    """Scores of single fields against those of the validation of the same model."""

    model_digest: str
    stability: Figure = Field(description="Population stability index")
    distance: Figure = Field(description="Kolmogorov–Smirnov distance")
    critical: float | None = Field(description="Distance that equal distributions exceed in 5 % of samples")
    reference_n: int
    histogram: Histogram


class QualityAnswer(BaseModel):
    """Everything on the page."""

    period: Period
    before: Period
    volumes: list[Compared]
    rates: list[Compared]
    categories: list[Compared]
    agreement: list[Compared]
    second_reading: list[Compared]
    turnaround: list[Compared]
    weeks: list[Week]
    reasons: list[Reason]
    confusion: Table
    drift: Drift | None = Field(description="null: no reference for the model, or no field was analysed by it")
