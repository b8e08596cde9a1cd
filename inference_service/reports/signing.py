"""Signing: what is checked, what is frozen, and what follows from it for the case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event, sha256_hex
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.reports import drafts, outcomes, sealing, second_reading, turns
from tamsoat.inference_service.reports import reading_repository as repository
from tamsoat.inference_service.reports.consistency import Violation, violations
from tamsoat.inference_service.reports.outcomes import Outcome
from tamsoat.inference_service.reports.second_reading import Rules
from tamsoat.inference_service.reports.tables import AMENDMENT, CONSENSUS, PRIMARY, SIGNED, Reading
from tamsoat.inference_service.reviews import blinding
from tamsoat.inference_service.reviews import repository as reviews
from tamsoat.inference_service.reviews import service as reviewing
from tamsoat.inference_service.reviews.reader import reader_of

Match = Callable[[str], None]
"""Compares the ``If-Match`` of the request with a tag, or raises."""


class InconsistentReadingError(TamsoatError):
    """The form contradicts itself or is not complete; `violations` says what and where."""

    status = 422
    title = "Reading is not consistent"
    slug = "reading-inconsistent"

    def __init__(self, broken: list[Violation]) -> None:
        super().__init__(" ".join(item.messages()["en"] for item in broken))
        self.broken = broken

    def members(self) -> dict[str, object]:
        shown = [{"rule": item.rule, "field": item.field, "messages": item.messages()} for item in self.broken]
        return {"violations": shown}


class SignatureRefusedError(drafts.NothingToWriteError):
    """The caller cannot sign this case now; `messages` says why in both languages."""

    title = "Signature refused"
    slug = "signature-refused"


@dataclass(frozen=True)
class Prepared:
    """A draft that may be signed now."""

    case: Case
    draft: Reading
    signed: list[Reading]


def check(session: Session, principal: Principal, case: Case, match: Match, *, amends: bool) -> Prepared:
    """Whether this person may sign what the ``If-Match`` of the request names.

    Raises:
        SignatureRefusedError: not the person's turn, nothing to sign, or somebody else was faster.
        PreconditionFailedError, PreconditionRequiredError: the draft is another one than the person has seen.
        InconsistentReadingError: a rule is broken.
        BlindReadingError: the facility wants a first impression before the AI is shown, and there is none.
    """
    signed = repository.signed(session, case.id)
    due = turns.turn_of(case, signed, principal)
    if due.refusal is not None or due.role is None:
        raise refused(due.refusal or turns.FOR_PATHOLOGISTS)
    if (due.role == AMENDMENT) is not amends:
        raise refused("not-signed" if amends else "signed-already")
    draft = repository.draft_of(session, case.id, reader_of(principal), due.role)
    if draft is None:
        mine = [item for item in repository.drafts(session, case.id) if item.reader == reader_of(principal)]
        raise refused("moved-on" if mine else "nothing-written")
    match(drafts.tag(case, draft.reader, draft.role, draft))
    holds = turns.result(signed)
    if amends and holds is not None and sealing.parse(holds) == sealing.parse(draft):
        raise refused("nothing-changed")
    blinding.require_unblinded(session, principal, case)
    broken = violations(sealing.parse(draft), drafts.context_of(session, case))
    if broken:
        raise InconsistentReadingError(broken)
    return Prepared(case, draft, signed)


def sign(
    session: Session, principal: Principal, case_id: str, match: Match, *, factor: str, reason: str | None
) -> Outcome:
    """Sign the caller's draft, whose identity was just proven with ``factor``; ``reason``: of an amendment.

    The reading, what follows for the case, the report, webhook events and the audit entry are one transaction.

    Raises:
        CaseNotFoundError: there is no such case.
        SignatureRefusedError, PreconditionFailedError, InconsistentReadingError: see :func:`check`.
    """
    case = locked(session, principal, case_id)
    prepared = check(session, principal, case, match, amends=reason is not None)
    reading = prepared.draft
    extra = _decide(session, prepared, reason)
    _freeze(session, prepared, extra)
    outcome = outcomes.follow(session, principal, prepared.case, prepared.signed, reading)
    details: dict[str, str | int | bool] = {"case": case.id, "role": reading.role, "outcome": outcome.kind}
    details |= {"category": reading.category or "", "second_factor": factor}
    if "second" in extra and extra["second"]["draw_ppm"] is not None:
        details |= {"draw_ppm": extra["second"]["draw_ppm"], "share_ppm": extra["second"]["share_ppm"]}
    action = Action.READING_AMEND if reading.role == AMENDMENT else Action.READING_SIGN
    _record(session, principal, reading, action, details)
    return outcome


def confirm(session: Session, principal: Principal, case_id: str, reading_id: str, *, factor: str) -> Outcome:
    """Agree to a consensus or amendment that somebody else signed; it becomes the result of the case.

    Raises:
        CaseNotFoundError: there is no such case.
        SignatureRefusedError: nothing waits for this person, or something else than ``reading_id``.
    """
    case = locked(session, principal, case_id)
    reading = check_confirmation(session, principal, case, reading_id)
    reading.confirmed_by, reading.confirmed_at = reader_of(principal), datetime.now(UTC)
    session.flush()
    outcome = outcomes.becomes_result(session, case, repository.signed(session, case.id), reading)
    details: dict[str, str | int | bool] = {"case": case.id, "confirms": True, "second_factor": factor}
    _record(session, principal, reading, Action.READING_SIGN, details)
    return outcome


def check_confirmation(session: Session, principal: Principal, case: Case, reading_id: str) -> Reading:
    """What this person may confirm; see :func:`confirm`."""
    due = turns.turn_of(case, repository.signed(session, case.id), principal)
    if due.confirms is None or due.confirms.id != reading_id:
        raise refused("nothing-to-confirm")
    return due.confirms


def locked(session: Session, principal: Principal, case_id: str) -> Case:
    """The case and its order, locked in the order in which everyone locks them."""
    case = cases.get(session, principal.facility_id, case_id)
    if case.order_id is not None:
        orders.get(session, case.facility_id, case.order_id, lock=True)
    return cases.get(session, principal.facility_id, case_id, lock=True)


def refused(code: str) -> SignatureRefusedError:
    """The error with its words in both languages."""
    words = turns.said_so(code)
    return SignatureRefusedError(words["en"], words)


def rules_of(session: Session, facility_id: str) -> Rules:
    """How the facility wants second readings."""
    settings = cases.settings_of(session, facility_id)
    return Rules(settings.negative_share, settings.disagreement_steps)


def _decide(session: Session, prepared: Prepared, reason: str | None) -> dict[str, Any]:
    """Fill what the rules decide about the reading; returns what the seal says of it."""
    reading, form = prepared.draft, sealing.parse(prepared.draft)
    case, signed = prepared.case, prepared.signed
    reading.reason, reading.second_reason, reading.needs_confirmation = reason, None, False
    reading.ai_category = case.ai_category
    if reading.role == PRIMARY:
        rules = rules_of(session, case.facility_id)
        reading.second_reason = second_reading.reason(form, case.ai_category, rules, case.id)
        negative = second_reading.may_be_drawn(form, case.ai_category, rules)
        return {
            "second": {
                "draw_ppm": second_reading.draw_ppm(case.id) if negative else None,
                "share_ppm": round(rules.negative_share * second_reading.MILLION),
                "steps": rules.disagreement_steps,
            }
        }
    if reading.role == CONSENSUS:
        reading.needs_confirmation = reading.reader in {item.reader for item in signed if item.role != CONSENSUS}
    if reading.role == AMENDMENT:
        now = turns.result(signed)
        reading.supersedes = now.id if now else None
        before = sealing.parse(now) if now else form
        grave = second_reading.is_grave(form) or second_reading.is_grave(before)
        if grave and not second_reading.agree(form, before):
            reading.second_reason, reading.needs_confirmation = second_reading.AMENDED, True
    return {}


def _freeze(session: Session, prepared: Prepared, extra: dict[str, Any]) -> None:
    """Give the draft its last columns, its seal and its digest."""
    reading, case = prepared.draft, prepared.case
    evidence = repository.evidence(session, case.id)
    share = reviewing.coverage_share(session, case.id, reading.reader)
    models = [analysis.model_digest for _, analysis in evidence if analysis is not None]
    reading.model_digest = models[0] if models else None
    reading.blind = reviews.blind_read(session, case.id, reading.reader) is not None
    reading.signed_at = reading.updated_at = datetime.now(UTC)
    reading.state, reading.salt = SIGNED, sealing.new_salt()
    reading.sealed = sealing.seal(
        reading,
        reading.salt,
        slides=sealing.slides(evidence),
        marks=sealing.marks(reviewing.latest(session, case.id, reading.reader)),
        coverage={
            "slides_ppm": round(share.slides * second_reading.MILLION),
            "cells_ppm": None if share.cells is None else round(share.cells * second_reading.MILLION),
        },
        readings=[item.digest for item in prepared.signed],
        **extra,
    )
    reading.digest = sha256_hex(reading.sealed)
    session.flush()


def _record(
    session: Session, principal: Principal, reading: Reading, action: Action, details: dict[str, str | int | bool]
) -> None:
    digests = {"reading": reading.digest} if reading.digest else {}
    event = Event(principal.actor, action, f"reading:{reading.id}", digests, reading.facility_id, details)
    audit.append(session, event)
