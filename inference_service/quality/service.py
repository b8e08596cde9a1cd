"""The quality of a facility's work in a period, beside the period of the same length before."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone

from sqlalchemy.orm import Session

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.quality import measuring
from tamsoat.inference_service.quality.measuring import Rows
from tamsoat.inference_service.quality.schemas import Compared, Figure, Period, QualityAnswer, Reason, Week

VIETNAM = timezone(timedelta(hours=7))
DEFAULT_DAYS = 91
"""13 weeks."""
LONGEST_DAYS = 3 * 366
CSV_COLUMNS = ("section", "name", "unit", "value", "low", "high", "n", "few", "method", "first_day", "last_day")


class PeriodInvalidError(TamsoatError):
    """The days do not make a period."""

    status = 422
    title = "Period is not valid"
    slug = "quality-period"


def period_of(first: date | None, last: date | None, today: date | None = None) -> Period:
    """The period that was asked for; default: the 13 weeks that end today.

    Raises:
        PeriodInvalidError: it ends before it begins, or is longer than three years.
    """
    end = last or today or datetime.now(VIETNAM).date()
    begin = first or end - timedelta(days=DEFAULT_DAYS - 1)
    if not timedelta(0) <= end - begin < timedelta(days=LONGEST_DAYS):
        raise PeriodInvalidError("a period begins before it ends and takes at most three years")
    if begin.year < 2000:
        raise PeriodInvalidError("a period begins after the year 2000")
    return Period(first=begin, last=end)


def measure(session: Session, facility_id: str, period: Period, model_digest: str) -> QualityAnswer:
    """Every figure of the page; ``model_digest``: the model whose scores are watched."""
    before = _before(period)
    rows, earlier = (measuring.load(session, facility_id, *_moments(one)) for one in (period, before))
    return QualityAnswer(
        period=period,
        before=before,
        volumes=_compared(measuring.volumes(rows), measuring.volumes(earlier)),
        rates=_compared(measuring.rates(rows), measuring.rates(earlier)),
        categories=_compared(measuring.categories(rows), measuring.categories(earlier)),
        agreement=_compared(measuring.agreement(rows), measuring.agreement(earlier)),
        second_reading=_compared(measuring.second_reading(rows), measuring.second_reading(earlier)),
        turnaround=_compared(measuring.turnaround(rows), measuring.turnaround(earlier)),
        weeks=_weeks(rows, period),
        reasons=[Reason(code=code, count=count) for code, count in measuring.reasons(rows)],
        confusion=measuring.agreement_table(rows),
        drift=measuring.drift(rows, model_digest),
    )


def to_csv(answer: QualityAnswer) -> str:
    """The figures as a table, one a row (RFC 4180)."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(CSV_COLUMNS)
    sections = (
        ("volumes", answer.volumes), ("rates", answer.rates), ("categories", answer.categories),
        ("agreement", answer.agreement), ("second-reading", answer.second_reading), ("turnaround", answer.turnaround),
    )  # fmt: skip
    for section, figures in sections:
        for one in figures:
            writer.writerow(_line(section, one.now, answer.period))
            writer.writerow(_line(section, one.before, answer.before))
    for week in answer.weeks:
        for name, count in (("received", week.received), ("signed", week.signed)):
            ends = week.monday + timedelta(days=6)
            writer.writerow(["weeks", name, "count", count, "", "", count, "no", "count", week.monday, ends])
    for reason in answer.reasons:
        writer.writerow(["reasons", reason.code, "count", reason.count, "", "", reason.count, "no", "count",
                         answer.period.first, answer.period.last])  # fmt: skip
    for level, row in zip(answer.confusion.levels, answer.confusion.counts, strict=True):
        for other, count in zip(answer.confusion.levels, row, strict=True):
            writer.writerow(["confusion", f"model {level} / reader {other}", "count", count, "", "", count, "no",
                             "count", answer.period.first, answer.period.last])  # fmt: skip
    if answer.drift is not None:
        for figure in (answer.drift.stability, answer.drift.distance):
            writer.writerow(_line("drift", figure, answer.period))
    return stream.getvalue()


def _line(section: str, figure: Figure, period: Period) -> list[object]:
    few = "yes" if figure.few else "no"
    numbers = ["" if value is None else round(value, 6) for value in (figure.value, figure.low, figure.high)]
    return [section, figure.name, figure.unit, *numbers, figure.n, few, figure.method, period.first, period.last]


def _before(period: Period) -> Period:
    """As many days, just before."""
    days = period.last - period.first + timedelta(days=1)
    return Period(first=period.first - days, last=period.first - timedelta(days=1))


def _moments(period: Period) -> tuple[datetime, datetime]:
    """The first moment of the period, and the first one after it."""
    begin = datetime.combine(period.first, time(), VIETNAM)
    return begin, datetime.combine(period.last + timedelta(days=1), time(), VIETNAM)


def _compared(now: list[Figure], before: list[Figure]) -> list[Compared]:
    return [Compared(now=one, before=other) for one, other in zip(now, before, strict=True)]


def _weeks(rows: Rows, period: Period) -> list[Week]:
    """Every week of the period, also those in which nothing happened."""
    received = _by_monday(rows.received)
    signed = _by_monday(case.signed_at for case in rows.cases)
    monday, weeks = _monday(period.first), []
    while monday <= period.last:
        weeks.append(Week(monday=monday, received=received[monday], signed=signed[monday]))
        monday += timedelta(days=7)
    return weeks


def _by_monday(moments: Iterable[datetime]) -> Counter[date]:
    return Counter(_monday(moment.astimezone(VIETNAM).date()) for moment in moments)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
