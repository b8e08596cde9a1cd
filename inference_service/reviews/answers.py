"""From rows of reviews to what is answered."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository as accounts
from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.reviews.schemas import BlindReadOut, FindingOut, MarkBatch, MarkList, MarkOut
from tamsoat.inference_service.reviews.tables import BlindRead, Mark
from tamsoat.inference_service.screening.tables import Finding


def batch(stored: Sequence[Mark]) -> MarkBatch:
    """One action, from its marks."""
    first = stored[0]
    return MarkBatch.model_validate(
        {"batch": first.batch, "kind": first.kind, "count": len(stored), "created_at": first.created_at,
         "withdrawn_at": first.withdrawn_at}
    )  # fmt: skip


def marks(session: Session, principal: Principal, case: Case, stored: Sequence[Mark]) -> MarkList:
    """Marks with the names of their authors."""
    names = {author: name_of(session, author) for author in {mark.author for mark in stored}}
    me = reader_of(principal)
    plain = [name for name in MarkOut.model_fields if name not in ("mark_id", "author_name", "mine")]
    items = [
        MarkOut.model_validate(
            {**{name: getattr(mark, name) for name in plain}, "mark_id": mark.id, "author_name": names[mark.author],
             "mine": mark.author == me}
        )
        for mark in stored
    ]  # fmt: skip
    return MarkList(case_id=case.id, items=items)


def name_of(session: Session, reader: str) -> str:
    """What people call a reader; empty for work without sign-in."""
    account = None if reader == "local" else accounts.by_id(session, reader)
    return account.display_name if account is not None else ""


def blind_read(made: BlindRead) -> BlindReadOut:
    """A first impression."""
    return BlindReadOut.model_validate({"category": made.category, "at": made.at})


def finding(row: Finding, probabilities: dict[str, float]) -> FindingOut:
    """One finding of the AI."""
    return FindingOut(
        rank=row.rank, x_px=row.x_px, y_px=row.y_px, category=row.category, score=row.score,
        probabilities=probabilities,
    )  # fmt: skip
