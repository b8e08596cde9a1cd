"""The access review: who may do what in a facility, as a file, and when somebody last went through it."""

from __future__ import annotations

import csv
import hashlib
import io
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import client_repository, repository
from tamsoat.inference_service.accounts.administration import Administrator
from tamsoat.inference_service.accounts.client_tables import Client
from tamsoat.inference_service.accounts.schemas import second_factor_state
from tamsoat.inference_service.accounts.tables import AccessReview, Account, Facility
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

COLUMNS = (
    "facility", "kind", "identifier", "sign_in_name", "name", "roles_or_scopes", "state", "second_factor",
    "created_at", "last_active_at", "locked_until",
)  # fmt: skip
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins with one of these for a formula."""


@dataclass(frozen=True)
class ReviewState:
    """When the accounts were last reviewed (None: never), and when that has to happen again."""

    done_at: datetime | None
    due_at: datetime
    overdue: bool


def export(database: Database, settings: Settings, who: Administrator) -> str:
    """The accounts and clients as CSV (UTF-8 with a byte order mark, for spreadsheets); the export is recorded."""
    with database.write() as session:
        codes = {facility.id: facility.code for facility in repository.facilities(session)}
        accounts = repository.page(session, who.facility_id)
        clients = client_repository.list_of_facility(session, who.facility_id)
        rows = [*(_account_row(item, settings) for item in accounts), *(_client_row(item, codes) for item in clients)]
        text = to_csv(COLUMNS, rows)
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        subject = f"facility:{who.facility_id or 'all'}"
        details: dict[str, str | int | bool] = {"accounts": len(accounts), "clients": len(clients), "exported": True}
        audit.append(
            session, Event(who.actor, Action.ACCESS_REVIEW, subject, {"review": digest}, who.facility_id, details)
        )
    return text


def confirm(database: Database, settings: Settings, actor: str, facility_id: str) -> ReviewState:
    """Record that somebody has gone through the facility's accounts and clients."""
    now = datetime.now(UTC)
    with database.write() as session:
        session.add(AccessReview(id=str(uuid.uuid4()), facility_id=facility_id, done_at=now, done_by=actor))
        session.flush()
        event = Event(
            actor, Action.ACCESS_REVIEW, f"facility:{facility_id}", facility=facility_id, details={"done": True}
        )
        audit.append(session, event)
        return state(session, settings, facility_id)


def state(session: Session, settings: Settings, facility_id: str) -> ReviewState:
    """When the facility's next review is due; a facility's first one counts from its creation."""
    query = select(AccessReview.done_at).where(AccessReview.facility_id == facility_id)
    done_at = session.scalar(query.order_by(AccessReview.done_at.desc()).limit(1))
    facility = session.get(Facility, facility_id)
    since = done_at or (facility.created_at if facility else datetime.now(UTC))
    due_at = since + timedelta(days=settings.access_review_days)
    return ReviewState(done_at, due_at, due_at <= datetime.now(UTC))


def to_csv(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """CSV whose cells no spreadsheet takes for a formula: such a cell gets an apostrophe in front."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_neutral(cell) for cell in row] for row in rows)
    return "\ufeff" + stream.getvalue()


def _neutral(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" \u00a0").startswith(FORMULA_STARTS) else cell


def _account_row(account: Account, settings: Settings) -> list[str]:
    reason = f" ({account.disabled_reason})" if account.disabled_reason else ""
    return [
        account.facility.code,
        "account",
        account.id,
        account.username,
        account.display_name,
        " ".join(sorted(row.role for row in account.role_rows)),
        account.status + reason,
        second_factor_state(account, settings),
        _moment(account.created_at),
        _moment(account.last_active_at),
        _moment(account.locked_until),
    ]


def _client_row(client: Client, codes: dict[str, str]) -> list[str]:
    return [
        codes.get(client.facility_id, ""),
        "client",
        client.id,
        "",
        client.name,
        " ".join(sorted(client.scopes)),
        "disabled" if client.disabled_at else "active",
        "private key",
        _moment(client.created_at),
        "",
        "",
    ]


def _moment(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")
