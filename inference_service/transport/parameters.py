"""Kinds of parameters that several nouns take."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _is_written_out(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a moment with its time zone, for example 2026-03-02T08:15:00Z")
    return value


def _is_day(value: object) -> object:
    written = isinstance(value, str) and _DAY.fullmatch(value) is not None
    if not written and (not isinstance(value, date) or isinstance(value, datetime)):
        raise ValueError("must be a day, for example 2026-03-02")
    return value


Day = Annotated[date, BeforeValidator(_is_day)]
"""A day as RFC 3339 writes it; pydantic alone would also take a number of seconds."""

Moment = Annotated[AwareDatetime, BeforeValidator(_is_written_out)]
"""A moment as RFC 3339 writes it; pydantic alone would also take numbers of seconds and dates."""
