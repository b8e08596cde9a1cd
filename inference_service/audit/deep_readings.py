"""Compare every signed reading with the entry that recorded its signature."""

from __future__ import annotations

import json
from itertools import chain

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import repository
from tamsoat.inference_service.audit.repository import Filter
from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.encryption import DecryptionError
from tamsoat.inference_service.reports import reading_repository as readings
from tamsoat.inference_service.reports import sealing
from tamsoat.inference_service.reports.tables import SIGNED, Reading

Fault = tuple[int, str]
"""Sequence number of the entry, and the reason."""


def compare(session: Session) -> tuple[int, Fault | None]:
    """How many signed readings are as recorded, and the first that is not, is missing, or was never recorded.

    The keys of the installation must be installed: what was signed is stored encrypted.
    """
    actions = (Action.READING_SIGN, Action.READING_AMEND)
    entries = chain.from_iterable(repository.stream_filtered(session, Filter(action=action)) for action in actions)
    seen: set[str] = set()
    for row in entries:
        fault = _fault(session, row)
        if fault is not None:
            return len(seen), (row.sequence, fault)
        seen.add(row.subject)
    stored = readings.count_signed(session)
    if stored != len(seen):
        head = repository.read_head(session)
        end = head.sequence if head else 0
        return len(seen), (end + 1, f"{stored - len(seen)} signed readings were never recorded")
    return len(seen), None


def _fault(session: Session, row: Row) -> str | None:
    identifier = row.subject.partition(":")[2]
    try:
        reading = session.get(Reading, identifier)
    except DecryptionError:
        return f"the reading {identifier} that entry {row.sequence} records cannot be decrypted"
    if reading is None or reading.state != SIGNED:
        return f"the reading {identifier} that entry {row.sequence} records is missing"
    found = sealing.fault(reading, json.loads(row.digests).get("reading"))
    session.expunge(reading)
    return f"the reading {identifier} that entry {row.sequence} records {found}" if found else None
