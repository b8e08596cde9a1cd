"""Pauses between attempts, and what a receiver may ask for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tamsoat.inference_service.webhooks.schedule import JITTER, LONGEST_PAUSE_S, pause_s, retry_after_s

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(("attempts", "plain_s"), [(1, 10), (2, 30), (3, 90), (8, 21600), (1000, LONGEST_PAUSE_S)])
def test_pauses_grow_and_are_bounded(attempts: int, plain_s: float) -> None:
    pauses = {pause_s(attempts, 10.0) for _ in range(50)}
    assert len(pauses) > 10
    assert min(pauses) >= plain_s * (1 - JITTER)
    assert max(pauses) <= plain_s * (1 + JITTER)


def test_five_days_are_a_few_dozen_attempts() -> None:
    total_s, attempts = 0.0, 1
    while total_s < 5 * 86400:
        total_s += pause_s(attempts, 10.0)
        attempts += 1
    assert 22 <= attempts <= 40


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0", 0.0),
        ("-5", None),
        ("soon", None),
        ("Mon, 02 Mar 2026 08:01:00 GMT", 60.0),
        ("Mon, 02 Mar 2026 07:00:00 GMT", 0.0),
        ("9" * 400, 999999999.0),
        ("١٢", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
