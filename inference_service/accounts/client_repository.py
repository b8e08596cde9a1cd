"""SQL of machine clients."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.client_tables import Client, UsedAssertion


def any_client(session: Session) -> bool:
    """Whether a client was ever registered."""
    return session.execute(select(Client.id).limit(1)).first() is not None


def get(session: Session, client_id: str, *, lock: bool = False) -> Client | None:
    """The client, of whichever facility; ``lock`` its row for a change."""
    return session.get(Client, client_id, with_for_update=lock or None)


def list_of_facility(session: Session, facility_id: str | None) -> list[Client]:
    """The clients of one facility (None: of all), oldest first."""
    query = select(Client).order_by(Client.created_at, Client.id)
    if facility_id is not None:
        query = query.where(Client.facility_id == facility_id)
    return list(session.execute(query).scalars())


def is_used(session: Session, client_id: str, jti_sha256: str) -> bool:
    """Whether the assertion got a token before."""
    return session.get(UsedAssertion, (client_id, jti_sha256)) is not None


def add_used(session: Session, client_id: str, jti_sha256: str, expires_at: datetime) -> None:
    """Remember an assertion; raises IntegrityError on flush when another process was faster."""
    session.add(UsedAssertion(client_id=client_id, jti_sha256=jti_sha256, expires_at=expires_at))
    session.flush()


def forget_expired(session: Session, now: datetime) -> None:
    """Remove the assertions that have expired by themselves."""
    session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < now))
