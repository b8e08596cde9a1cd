"""What a signature leads to: a second reader, a discussion, a confirmation, or the result and its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import DISCUSSION, IN_REVIEW, READY, SECOND_REVIEW, SIGNED, Case
from tamsoat.inference_service.reports import sealing, second_reading, turns
from tamsoat.inference_service.reports import service as reports
from tamsoat.inference_service.reports.report_tables import Report
from tamsoat.inference_service.reports.tables import AMENDMENT, CONSENSUS, PRIMARY, SCREENING, SECOND, Reading
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.webhooks import service as webhooks

Kind = Literal["screened", "second-reader", "discussion", "confirmation", "result"]


@dataclass(frozen=True)
class Outcome:
    """``reason``: why somebody else has to look, where that is so. ``report``: where there is a result."""

    kind: Kind
    reading: Reading
    reason: str | None = None
    report: Report | None = None


def follow(session: Session, principal: Principal, case: Case, before: list[Reading], reading: Reading) -> Outcome:
    """Bring a locked case on after ``reading`` was signed; ``before``: what was signed earlier."""
    if reading.role == SCREENING:
        _hand_over(session, case, reading)
        return Outcome("screened", reading)
    if reading.role in (PRIMARY, AMENDMENT) and case.assigned_to != reading.reader:
        # Who signed has the case, whoever was to have it: the worklist keeps the second reading from this person.
        cases.set_state(session, case, case.state, assigned_to=reading.reader, assigned_at=datetime.now(UTC))
    if reading.role == PRIMARY and reading.second_reason is not None:
        # The worklist must not tell the second reader what the first one found: the rule stays with the reading.
        cases.set_state(session, case, SECOND_REVIEW, second_reader=None, second_reason=None)
        return Outcome("second-reader", reading, reading.second_reason)
    if reading.role == SECOND:
        return _second(session, principal, case, before, reading)
    if reading.role == CONSENSUS and reading.needs_confirmation:
        cases.touch(session, case)
        return Outcome("confirmation", reading)
    if reading.role == AMENDMENT and reading.needs_confirmation:
        cases.set_state(session, case, SECOND_REVIEW, second_reader=None, second_reason=reading.second_reason)
        return Outcome("confirmation", reading, reading.second_reason)
    return becomes_result(session, case, before, reading)


def becomes_result(session: Session, case: Case, signed: list[Reading], reading: Reading) -> Outcome:
    """``reading`` is the result of its locked case from now on: order, webhooks and report follow."""
    first = turns.result(signed) is None
    primary = turns.reading_of([*signed, reading], PRIMARY)
    reading.final_at = datetime.now(UTC)
    session.flush()
    why = primary.second_reason if primary else None
    cases.set_state(session, case, SIGNED, signed_category=reading.category, second_reason=why)
    report = reports.issue(session, case, reading)
    data = {
        "case_id": case.id,
        "order_id": case.order_id,
        "reading_id": reading.id,
        "report_id": report.id,
        "report_number": report.number,
        "category": reading.category,
    }
    webhooks.publish(session, case.facility_id, "report.signed" if first else "report.amended", data)
    session.flush()
    return Outcome("result", reading, report=report)


def _hand_over(session: Session, case: Case, reading: Reading) -> None:
    """A cytotechnologist is done: the case waits for a pathologist, in whose worklist nobody has it."""
    if case.assigned_to != reading.reader:
        cases.touch(session, case)
        return
    cases.set_state(session, case, case.state, assigned_to=None, assigned_at=None)
    if case.state == IN_REVIEW:
        cases.set_state(session, case, READY)


def _second(session: Session, principal: Principal, case: Case, before: list[Reading], reading: Reading) -> Outcome:
    primary = turns.reading_of(before, PRIMARY)
    me = reader_of(principal)
    if primary is None or not second_reading.agree(sealing.parse(primary), sealing.parse(reading)):
        why = primary.second_reason if primary else None
        cases.set_state(session, case, DISCUSSION, second_reader=me, second_reason=why)
        return Outcome("discussion", reading)
    cases.set_state(session, case, case.state, second_reader=me)
    return becomes_result(session, case, before, primary)
