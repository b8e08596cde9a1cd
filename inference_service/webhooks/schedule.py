"""When to try again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FACTOR = 3.0
LONGEST_PAUSE_S = 6 * 3600.0
JITTER = 0.2
"""A pause is up to this share longer or shorter, so that a receiver that comes back is not hit by all at once."""


def pause_s(attempts: int, first_s: float) -> float:
    """Seconds to wait after ``attempts`` (1 or more) failed ones: exponential, bounded, with jitter."""
    plain_s = min(first_s * FACTOR ** min(attempts - 1, 30), max(first_s, LONGEST_PAUSE_S))
    return plain_s * random.uniform(1 - JITTER, 1 + JITTER)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number or a date (RFC 9110, 10.2.3); None without one."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, (moment - now).total_seconds())
