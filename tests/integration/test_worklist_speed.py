"""The worklist with 100,000 cases: every page, filter, count and search within its time."""

from __future__ import annotations

import random
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from desk import Desk
from sqlalchemy import insert, text

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases import list_repository as lists
from tamsoat.inference_service.cases import worklist
from tamsoat.inference_service.cases.schemas import CaseSearch
from tamsoat.inference_service.cases.service import urgency_of
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.cases.worklist import Wanted

CASES, OPEN_SHARE = 100_000, 0.2
P95_MOST_S = 0.08
ROUNDS = 40


def fill(desk: Desk, reader: str) -> None:
    """A fifth of the cases open, more than any laboratory has."""
    dice, start = random.Random(1), datetime(2025, 1, 1, tzinfo=UTC)
    rows = []
    for number in range(CASES):
        priority, triage = dice.choice((1, 2, 3, 3, 3, 3)), dice.choice(("routine", "review", "urgent", None))
        is_open = dice.random() < OPEN_SHARE
        state = dice.choice(("ready", "in-review", "second-review", "analysing")) if is_open else "signed"
        moment = start + timedelta(minutes=5 * number)
        rows.append(
            {
                "id": str(uuid.uuid4()), "facility_id": desk.facility_id, "label": f"L{number:06d}", "order_id": None,
                "priority": priority, "urgency": urgency_of(priority, triage), "state": state, "open": is_open,
                "triage": triage, "created_at": moment, "updated_at": moment, "version": 1, "example": False,
                "signed_at": None if is_open else moment, "assigned_to": reader if dice.random() < 0.01 else None,
            }
        )  # fmt: skip
    with desk.database.write() as session:
        for begin in range(0, CASES, 5000):
            session.execute(insert(Case), rows[begin : begin + 5000])
    with desk.database.write() as session:
        session.execute(text("ANALYZE"))


@pytest.mark.long
def test_a_hundred_thousand_cases(desk: Desk) -> None:
    reader = str(uuid.uuid4())
    fill(desk, reader)
    principal = Principal(f"account:{reader}", "account", desk.facility_id, frozenset())
    with desk.database.read() as session:
        deep = worklist.page(session, principal, Wanted(limit=200)).next_before
    asked: dict[str, Callable[[], object]] = {
        **{f"view {view}": lambda view=view: Wanted(view) for view in worklist.VIEWS},  # type: ignore[misc]
        "further": lambda: Wanted(before=deep),
        "one priority": lambda: Wanted(priority=3),
        "nobody's": lambda: Wanted(assigned="none"),
        "one state": lambda: Wanted(state="second-review"),
    }
    slow = {}
    with desk.database.read() as session:
        for name, wanted in asked.items():
            slow[name] = p95(lambda wanted=wanted: worklist.page(session, principal, wanted()))  # type: ignore[misc, arg-type]
        slow["search"] = p95(lambda: worklist.find(session, principal, CaseSearch(q="L0500"), 50))
        slow["next"] = p95(lambda: worklist.following(session, principal, "facility", None))
        slow["changed"] = p95(lambda: lists.changed(session, desk.facility_id))
    print("\n" + "\n".join(f"{name:16} p95 {seconds * 1000:6.1f} ms" for name, seconds in slow.items()))
    assert {name: seconds for name, seconds in slow.items() if seconds > P95_MOST_S} == {}


def p95(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began_s)
    return statistics.quantiles(took, n=20)[-1]
