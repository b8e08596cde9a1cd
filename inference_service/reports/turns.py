"""Whose turn it is: what somebody's next signature on a case would be, why there can be none, what may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamsoat.inference_service.accounts.access import Principal, Role
from tamsoat.inference_service.cases.tables import (
    ANALYSING,
    CANCELLED,
    DISCUSSION,
    SECOND_REVIEW,
    SIGNED,
    Case,
)
from tamsoat.inference_service.reports.tables import AMENDMENT, CONSENSUS, PRIMARY, SCREENING, SECOND, Reading
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.web.messages import LANGUAGES, catalogue

NO_ACCOUNT, CASE_CANCELLED, STILL_ANALYSING = "no-account", "cancelled", "analysing"
SAME_READER, WAITS_FOR_OTHER, SCREENED, FOR_PATHOLOGISTS = "same-reader", "waits-for-other", "screened", "pathologists"


@dataclass(frozen=True)
class Turn:
    """``role``: of the next signature; None: nothing is to be written. ``refusal``: why it cannot be signed now."""

    role: str | None
    refusal: str | None = None
    confirms: Reading | None = None
    """What this person may confirm instead of signing something else."""


def turn_of(case: Case, signed: Sequence[Reading], principal: Principal) -> Turn:
    """What this person can do about the case, whose signed readings are ``signed`` in the order of their signatures."""
    if case.state == CANCELLED:
        return Turn(None, CASE_CANCELLED)
    turn = _of_pathologist(case, signed, principal) if principal.has(Role.PATHOLOGIST) else _of_screener(
        case, signed, principal
    )  # fmt: skip
    if turn.refusal is None and principal.kind != "account":
        return Turn(turn.role, NO_ACCOUNT)
    if turn.refusal is None and case.state == ANALYSING:
        return Turn(turn.role, STILL_ANALYSING)
    return turn


def reading_of(signed: Sequence[Reading], role: str) -> Reading | None:
    """The newest signed reading in this role."""
    return next((reading for reading in reversed(signed) if reading.role == role), None)


def result(signed: Sequence[Reading]) -> Reading | None:
    """The reading that is the result of the case now; None: there is no result yet."""
    final = [(reading.final_at, place) for place, reading in enumerate(signed) if reading.final_at is not None]
    return signed[max(final)[1]] if final else None


def awaiting(signed: Sequence[Reading]) -> Reading | None:
    """The newest reading, where somebody else has to confirm it before it counts."""
    last = signed[-1] if signed else None
    return last if last is not None and last.needs_confirmation and last.confirmed_at is None else None


def visible(case: Case, signed: Sequence[Reading], principal: Principal) -> list[Reading]:
    """The signed readings that this person may see.

    Until the second reading is signed, only whoever signed a reading of the case sees it: whoever might become the
    second reader is kept from all of them, the cytotechnologist's included.
    """
    if not is_kept_from_others(case, signed):
        return list(signed)
    return [reading for reading in signed if reading.reader == reader_of(principal)]


def is_kept_from_others(case: Case, signed: Sequence[Reading]) -> bool:
    """Whether the readings are hidden from everyone but their authors: the second reading is outstanding."""
    return case.state == SECOND_REVIEW and awaiting(signed) is None


def said_so(code: str) -> dict[str, str]:
    """The refusal in words, by language."""
    return {language: catalogue(language)[f"signout.refusal.{code}"] for language in LANGUAGES}


def _of_screener(case: Case, signed: Sequence[Reading], principal: Principal) -> Turn:
    if any(reading.role != SCREENING for reading in signed):
        return Turn(None, FOR_PATHOLOGISTS)
    if any(reading.reader == reader_of(principal) for reading in signed):
        return Turn(None, SCREENED)
    return Turn(SCREENING)


def _of_pathologist(case: Case, signed: Sequence[Reading], principal: Principal) -> Turn:
    me = reader_of(principal)
    waiting = awaiting(signed)
    confirms = waiting if waiting is not None and waiting.reader != me and principal.kind == "account" else None
    if case.state == SIGNED:
        return Turn(AMENDMENT)
    if case.state == DISCUSSION:
        return Turn(CONSENSUS, confirms=confirms)
    if case.state == SECOND_REVIEW:
        if waiting is not None:
            return Turn(AMENDMENT, WAITS_FOR_OTHER if confirms is None else None, confirms)
        primary = reading_of(signed, PRIMARY)
        return Turn(None, SAME_READER) if primary is not None and primary.reader == me else Turn(SECOND)
    return Turn(PRIMARY)
