"""Birth dates of which only a part may be known: ``YYYY-MM-DD``, ``YYYY-MM`` or ``YYYY`` (FHIR ``date``)."""

from __future__ import annotations

import re
from datetime import date

EARLIEST_YEAR = 1880
_FORM = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


def check_birth_date(text: str, today: date | None = None) -> str:
    """``text`` where it is a birth date that can be.

    Raises:
        ValueError: another form, no such day, in the future, or before 1880.
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise ValueError("must be YYYY-MM-DD, YYYY-MM or YYYY")
    year, month, day = (int(part) if part else None for part in match.groups())
    assert year is not None
    now = today or date.today()
    try:
        earliest = date(year, 1 if month is None else month, 1 if day is None else day)
    except ValueError as error:
        raise ValueError("there is no such day") from error
    if earliest > now or year < EARLIEST_YEAR:
        raise ValueError(f"must lie between {EARLIEST_YEAR} and today")
    return text


def birth_year(text: str | None) -> int | None:
    """The year of a stored birth date."""
    return int(text[:4]) if text else None


def parts(text: str) -> list[str]:
    """The date and everything less exact: ``1980-05-03`` → it, ``1980-05``, ``1980``."""
    pieces = text.split("-")
    return ["-".join(pieces[:count]) for count in range(len(pieces), 0, -1)]


def agree(one: str | None, other: str | None) -> bool:
    """Whether two dates can be the same day: equal as far as both are known."""
    if one is None or other is None:
        return True
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def age_years(birth: str | None, on: date) -> int | None:
    """Completed years of age on a day; without the day or the month, the first of them counts.

    None where the birth date is unknown or after ``on``.
    """
    if birth is None:
        return None
    year, month, day = (int(piece) for piece in [*birth.split("-"), "1", "1"][:3])
    years = on.year - year - ((on.month, on.day) < (month, day))
    return years if years >= 0 else None
