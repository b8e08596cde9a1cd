"""The worklist: which cases each view holds, in which order, and how they are searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases import answers
from tamsoat.inference_service.cases import list_repository as lists
from tamsoat.inference_service.cases.list_repository import Cursor, Narrowed
from tamsoat.inference_service.cases.schemas import CaseCounts, CasePage, CaseSearch, NextCase
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.consultations.access import reader_id
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.patients import search
from tamsoat.inference_service.patients.errors import IdentifierInvalidError
from tamsoat.inference_service.patients.schemas import PatientSearch

MINE, FACILITY, SECOND, CONSULTATIONS, SIGNED = "mine", "facility", "second", "consultations", "signed"
VIEWS = (MINE, FACILITY, SECOND, CONSULTATIONS, SIGNED)
PATIENTS_MOST = 100


class CursorInvalidError(TamsoatError):
    """`before` is not what an earlier page gave."""

    status = 422
    title = "Request is not valid"
    slug = "request-invalid"


@dataclass(frozen=True)
class Wanted:
    """A page of the worklist; ``assigned`` may be ``me``, ``none`` or an account."""

    view: str = FACILITY
    state: str | None = None
    priority: int | None = None
    assigned: str | None = None
    before: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class Found:
    """A page, and the patients whom a search compared it with."""

    page: CasePage
    patients: Sequence[str]


def condition(view: str, principal: Principal, now: datetime) -> ColumnElement[bool]:
    """Which cases a view holds for this person."""
    reader, facility_id = reader_id(principal), principal.facility_id
    if view == MINE:
        return lists.mine(facility_id, reader)
    if view == SECOND:
        return lists.for_second_reader(facility_id)
    if view == CONSULTATIONS:
        return lists.asked_of(reader, now)
    return lists.signed(facility_id) if view == SIGNED else lists.of_facility(facility_id)


def page(session: Session, principal: Principal, wanted: Wanted) -> CasePage:
    """One page, the most urgent first; signed ones with the newest first.

    Raises:
        CursorInvalidError: ``before`` is not what an earlier page gave.
    """
    now = datetime.now(UTC)
    assigned = reader_id(principal) if wanted.assigned == "me" else wanted.assigned
    newest = wanted.view == SIGNED
    rows = lists.page(
        session,
        condition(wanted.view, principal, now),
        Narrowed(wanted.state, wanted.priority, assigned),
        newest=newest,
        limit=wanted.limit + 1,
        before=_cursor(wanted.before),
    )
    shown = rows[: wanted.limit]
    return CasePage(
        items=answers.summaries(session, principal, shown),
        next_before=_place(shown[-1], newest=newest) if len(rows) > wanted.limit else None,
        counts=counts(session, principal),
    )


def counts(session: Session, principal: Principal) -> CaseCounts:
    """How many cases each view holds."""
    now = datetime.now(UTC)
    return CaseCounts(**{view: lists.count(session, condition(view, principal, now)) for view in VIEWS})


def find(session: Session, principal: Principal, wanted: CaseSearch, limit: int) -> Found:
    """The cases of the facility that what was typed names, the most urgent first, at most ``limit``."""
    words = " ".join(wanted.q.split())
    patients = _patients(session, principal.facility_id, words)
    only = set(lists.numbered(session, principal.facility_id, words))
    only.update(lists.of_patients(session, principal.facility_id, patients))
    views = (FACILITY, SIGNED) if wanted.view == "all" else (wanted.view,)
    now = datetime.now(UTC)
    held = or_(*(condition(view, principal, now) for view in views))
    narrowed = Narrowed(only=sorted(only))
    rows = lists.page(session, held, narrowed, newest=False, limit=limit, before=None) if only else []
    items = answers.summaries(session, principal, rows)
    return Found(CasePage(items=items, next_before=None, counts=counts(session, principal)), patients)


def following(session: Session, principal: Principal, view: str, after: Case | None) -> NextCase:
    """What this person should read next: behind ``after`` in the order of the worklist, else from its beginning.

    Cases of one's own go before those that nobody has.
    """
    reader, facility_id = reader_id(principal), principal.facility_id
    own, free = lists.mine(facility_id, reader), lists.free_for(facility_id, reader)
    views = {MINE: (own,), SECOND: (lists.second_for(facility_id, reader),)}.get(view, (own, free))
    place = Cursor(after.urgency, after.number) if after is not None else None
    tried = [(held, start) for start in ((place, None) if place else (None,)) for held in views]
    found = next(filter(None, (_first(session, held, start, after) for held, start in tried)), None)
    remaining = lists.count(session, condition(view, principal, datetime.now(UTC)))
    return NextCase(case_id=found.id if found else None, label=found.label if found else None, remaining=remaining)


def _first(session: Session, held: ColumnElement[bool], start: Cursor | None, other: Case | None) -> Case | None:
    rows = lists.page(session, held, Narrowed(), newest=False, limit=2, before=start)
    return next((row for row in rows if other is None or row.id != other.id), None)


def _patients(session: Session, facility_id: str, words: str) -> list[str]:
    found: list[str] = []
    for wanted in (
        PatientSearch.model_construct(identifier=words, name=None, limit=PATIENTS_MOST),
        PatientSearch.model_construct(identifier=None, name=words, limit=PATIENTS_MOST),
    ):
        try:
            rows, _ = search.find(session, facility_id, wanted)
        except (IdentifierInvalidError, search.EmptySearchError):
            continue  # what was typed is no number of any system, or has no word
        found.extend(row.id for row in rows if row.id not in found)
    return found


def _place(case: Case, *, newest: bool) -> str:
    if not newest:
        return f"{case.urgency}.{case.number}"
    assert case.signed_at is not None
    age = case.signed_at - lists.EPOCH
    return f"{(age.days * 86_400 + age.seconds) * 1_000_000 + age.microseconds}.{case.number}"


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    rank, _, number = text.partition(".")
    if not (rank.isascii() and rank.isdigit() and number.isascii() and number.isdigit() and len(text) <= 40):
        raise CursorInvalidError("`before` is not what an earlier page gave as `next_before`")
    if int(rank) > 2**53 or int(number) > 2**62:
        raise CursorInvalidError("`before` is not what an earlier page gave as `next_before`")
    return Cursor(int(rank), int(number))
