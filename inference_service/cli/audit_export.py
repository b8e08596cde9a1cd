"""``tamsoat audit export``: hand the log to an audit record repository, one resource a line."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.tables import Facility
from tamsoat.inference_service.audit import balp, checkpoints, repository, service
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cli.output import text_output
from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import load_settings

ACTOR = "local"


class PeriodError(TamsoatError):
    """A date or a facility of the command cannot be used."""

    title = "Selection cannot be used"
    slug = "audit-selection"
    exit_code = EXIT_USAGE


def export(
    out: Annotated[Path, typer.Option(help="File to write: NDJSON, one FHIR resource a line")],
    since: Annotated[str | None, typer.Option("--from", help="From this day or moment on (ISO 8601; UTC)")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this day (included) or before this moment")] = None,
    facility: Annotated[str | None, typer.Option(help="Code or identifier of the only facility; default: all")] = None,
    form: Annotated[Literal["balp"], typer.Option("--format", help="FHIR R4 AuditEvent after IHE BALP")] = "balp",
    database_url: Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")] = None,
) -> None:
    """Write entries of the log as FHIR R4 AuditEvent resources; the export is recorded itself."""
    settings = load_settings(database_url=database_url)
    origin = checkpoints.origin(settings)
    database = Database(settings.database_url, wait_s=settings.database_wait_s, must_exist=True)
    written = 0
    try:
        with database.read() as session:
            repository.begin_snapshot(session)
            wanted = _selection(session, facility, since, until)
            head = repository.read_head(session)
            total = repository.count(session, wanted)
            with text_output(out) as stream, FieldProgress(total, "entries") as progress:
                for row in repository.stream_filtered(session, wanted):
                    stream.write(json.dumps(balp.audit_event(row, origin), ensure_ascii=False, separators=(",", ":")))
                    stream.write("\n")
                    written += 1
                    progress.reach(written)
        details: dict[str, str | int | bool] = {"entries": written, "format": form}
        details |= {name: value for name, value in (("from", wanted.since), ("to", wanted.until)) if value}
        subject = f"audit:{head.sequence if head else 0}"
        with database.write() as session:
            service.append(session, Event(ACTOR, Action.AUDIT_EXPORT, subject, {}, wanted.facility, details))
    finally:
        database.close()
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"{written} entries written to {out}")


def _selection(session: Session, facility: str | None, since: str | None, until: str | None) -> repository.Filter:
    return repository.Filter(
        facility=None if facility is None else _facility(session, facility),
        installation=False,
        since=None if since is None else _stamp(since, ends=False),
        until=None if until is None else _stamp(until, ends=True),
    )


def _facility(session: Session, name: str) -> str:
    query = select(Facility.id).where((Facility.code == name) | (Facility.id == name))
    found = session.scalar(query)
    if found is None:
        raise PeriodError(f"there is no facility {name}")
    return found


def _stamp(text: str, *, ends: bool) -> str:
    try:
        if len(text) == 10:
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            moment = day + timedelta(days=1) if ends else day
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise PeriodError(f"{text}: not a date such as 2026-01-31 or a moment such as 2026-01-31T08:00Z") from error
    zoned = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return zoned.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
