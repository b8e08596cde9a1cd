"""Compare what is stored with what the log vouches for: every analysis, rebuilt from its rows, every signed reading."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import deep_readings, repository
from tamsoat.inference_service.audit.repository import Filter
from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.screening import slide_store
from tamsoat.inference_service.screening.service import rebuild, result_digest
from tamsoat.inference_service.screening.tables import SLIDE, Analysis, Finding

BATCH = 200


@dataclass(frozen=True)
class Comparison:
    """How many analyses and signed readings are as recorded, and the entry of the first that is not."""

    analyses: int
    first_bad_sequence: int | None = None
    reason: str = ""
    readings: int = 0


def stored_analyses(session: Session) -> int:
    """How many there are."""
    return session.scalar(select(func.count()).select_from(Analysis)) or 0


def compare(
    session: Session, progress: Callable[[int], None] | None = None, *, with_readings: bool = True
) -> Comparison:
    """Rebuild every analysis and compare every signed reading; none may differ, be missing, or be without an entry.

    To be called on a log that is whole, first in a new session. Reads about 30 rows per analysis. Readings are stored
    encrypted: ``with_readings`` needs the keys of the installation.
    """
    repository.begin_snapshot(session)
    created = repository.stream_filtered(session, Filter(action=Action.ANALYSIS_CREATE))
    found = 0
    while entries := list(islice(created, BATCH)):
        digests = dict(_digests(session, [row.subject.partition(":")[2] for row in entries]))
        for row in entries:
            fault = _fault(row, digests)
            if fault:
                return Comparison(found, row.sequence, fault)
        found += len(digests)
        session.expunge_all()
        if progress is not None:
            progress(found)
    stored = stored_analyses(session)
    if stored != found:
        head = repository.read_head(session)
        end = head.sequence if head else 0
        return Comparison(found, end + 1, f"{stored - found} stored analyses were never recorded")
    readings, wrong = deep_readings.compare(session) if with_readings else (0, None)
    return Comparison(found, wrong[0], wrong[1], readings) if wrong else Comparison(found, readings=readings)


def _fault(row: Row, digests: dict[str, str | None]) -> str:
    identifier = row.subject.partition(":")[2]
    if identifier not in digests:
        return f"the analysis {identifier} that entry {row.sequence} records is missing"
    if digests[identifier] != json.loads(row.digests).get("result"):
        return f"the analysis {identifier} was changed after entry {row.sequence} recorded it"
    return ""


def _digests(session: Session, identifiers: list[str]) -> Iterator[tuple[str, str | None]]:
    """The digest of each analysis that exists; None where its rows are not a possible answer."""
    stored = list(session.scalars(select(Analysis).where(Analysis.id.in_(identifiers))))
    for slide in (row for row in stored if row.kind == SLIDE):
        try:
            yield slide.id, slide_store.stored_digest(session, slide)
        except ValueError:
            yield slide.id, None
    analyses = {row.number: row for row in stored if row.kind != SLIDE}
    query = select(Finding).where(Finding.analysis_number.in_(analyses))
    rows = session.scalars(query.order_by(Finding.analysis_number, Finding.rank))
    findings = {number: list(group) for number, group in groupby(rows, lambda row: row.analysis_number)}
    for number, analysis in analyses.items():
        try:
            yield analysis.id, result_digest(rebuild(analysis, findings.get(number, [])))
        except ValueError:
            yield analysis.id, None
