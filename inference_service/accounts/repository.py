"""SQL of facilities, accounts and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.client_tables import Client
from tamsoat.inference_service.accounts.tables import (
    ACTIVE,
    Account,
    AccountRole,
    AccountSession,
    Facility,
    RecoveryCode,
)


def _locked(query: Select[Account]) -> Select[Account]:
    """Lock the accounts, and read them as they are once the lock is held, whatever was read before."""
    return query.with_for_update(of=Account).execution_options(populate_existing=True)


def lock_facility(session: Session, facility_id: str) -> None:
    """Let changes to who administers a facility happen one after the other; rows of the facility can be added."""
    session.execute(select(Facility.id).where(Facility.id == facility_id).with_for_update(key_share=True))


def any_account_or_client(session: Session) -> bool:
    """Whether anyone at all has to sign in; the people of the example facility do not count."""
    real = select(Account.id).where(Account.example.is_(False))
    return bool(session.scalar(select(or_(exists(real), exists(select(Client.id))))))


def facility(session: Session, facility_id: str) -> Facility | None:
    """The facility with this identifier."""
    return session.get(Facility, facility_id)


def facility_by_code(session: Session, code: str) -> Facility | None:
    """The facility with this code."""
    return session.scalar(select(Facility).where(Facility.code == code))


def facilities(session: Session) -> list[Facility]:
    """Every facility, by code."""
    return list(session.scalars(select(Facility).order_by(Facility.code)))


def by_username(session: Session, username: str, *, lock: bool = False) -> Account | None:
    """The account of this name, which is lower case; ``lock`` keeps others from changing it meanwhile."""
    query = select(Account).where(Account.username == username)
    return session.scalar(_locked(query) if lock else query)


def by_id(session: Session, account_id: str, *, facility_id: str | None = None, lock: bool = False) -> Account | None:
    """The account with this identifier, of ``facility_id`` where it is given."""
    query = select(Account).where(Account.id == account_id)
    if facility_id is not None:
        query = query.where(Account.facility_id == facility_id)
    return session.scalar(_locked(query) if lock else query)


def by_external(session: Session, issuer: str, subject: str) -> Account | None:
    """The account of this person of the identity provider."""
    query = select(Account).where(Account.external_issuer == issuer, Account.external_subject == subject)
    return session.scalar(query)


def page(
    session: Session,
    facility_id: str | None,
    *,
    limit: int | None = None,
    after: str = "",
    role: str | None = None,
    status: str | None = None,
    username: str = "",
) -> list[Account]:
    """Accounts by name, of one facility (None: of all), that come after ``after`` and fit the filters."""
    query = select(Account).where(Account.username > after).order_by(Account.username).limit(limit)
    if facility_id is not None:
        query = query.where(Account.facility_id == facility_id)
    if status is not None:
        query = query.where(Account.status == status)
    if username:
        query = query.where(Account.username.contains(username, autoescape=True))
    if role is not None:
        query = query.where(Account.role_rows.any(AccountRole.role == role))
    return list(session.scalars(query))


def active_holders(session: Session, facility_id: str, role: str) -> list[str]:
    """Identifiers of the facility's active accounts with this role."""
    query = (
        select(Account.id)
        .where(Account.facility_id == facility_id, Account.status == ACTIVE)
        .where(Account.role_rows.any(AccountRole.role == role))
    )
    return list(session.scalars(query))


def idle_since(session: Session, before: datetime) -> list[Account]:
    """Active accounts that were neither used nor enabled since ``before``, locked against change."""
    newest = func.coalesce(Account.last_active_at, Account.enabled_at)
    query = (
        select(Account)
        .where(Account.status == ACTIVE, Account.enabled_at < before, newest < before)
        .order_by(Account.id)
    )
    return list(session.scalars(_locked(query)))


def session_by_token(session: Session, token_sha256: str) -> AccountSession | None:
    """The session of this cookie, with its account."""
    return session.scalar(select(AccountSession).where(AccountSession.token_sha256 == token_sha256))


def touch(session: Session, session_id: str, account_id: str, now: datetime) -> None:
    """Record activity."""
    session.execute(
        update(AccountSession)
        .where(AccountSession.id == session_id, AccountSession.last_seen_at < now)
        .values(last_seen_at=now)
    )
    session.execute(update(Account).where(Account.id == account_id).values(last_active_at=now))


def sessions_of(session: Session, account_id: str) -> list[AccountSession]:
    """The sessions of one account, newest first."""
    query = select(AccountSession).where(AccountSession.account_id == account_id)
    return list(session.scalars(query.order_by(AccountSession.created_at.desc())))


def remove_sessions(
    session: Session,
    *,
    session_id: str | None = None,
    account_id: str | None = None,
    expired_at: datetime | None = None,
) -> int:
    """End one session, all of an account's, or those whose absolute limit has passed; returns how many."""
    query = delete(AccountSession)
    if session_id is not None:
        query = query.where(AccountSession.id == session_id)
    if account_id is not None:
        query = query.where(AccountSession.account_id == account_id)
    if expired_at is not None:
        query = query.where(AccountSession.expires_at < expired_at)
    result = session.execute(query.execution_options(synchronize_session=False))
    return int(getattr(result, "rowcount", 0))


def use_step(session: Session, account_id: str, step: int) -> bool:
    """Mark the time step of a code as used; False where it, or a newer one, was used before."""
    result = session.execute(
        update(Account)
        .where(Account.id == account_id, or_(Account.totp_last_step.is_(None), Account.totp_last_step < step))
        .values(totp_last_step=step)
    )
    return bool(getattr(result, "rowcount", 0))


def use_recovery_code(session: Session, account_id: str, code_hash: str) -> bool:
    """Take one recovery code away; False where there is none like it."""
    query = delete(RecoveryCode).where(RecoveryCode.account_id == account_id, RecoveryCode.code_hash == code_hash)
    return bool(getattr(session.execute(query), "rowcount", 0))


def replace_recovery_codes(session: Session, account_id: str, hashes: Sequence[str]) -> None:
    """Put these codes in the place of the old ones."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    session.add_all(RecoveryCode(account_id=account_id, code_hash=value) for value in hashes)


def recovery_codes_left(session: Session, account_id: str) -> int:
    """How many recovery codes are unused."""
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.account_id == account_id)
    return session.scalar(query) or 0
