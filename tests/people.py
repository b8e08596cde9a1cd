"""Facilities, people and their sign-ins, for every test that needs someone.

    facility_id = make_facility(database, "79001")
    account_id, password = make_account(database, facility_id, [Role.PATHOLOGIST])
    sign_in(client, database, account_id, password)     # client.get(...), client.post(...) are that person's now

``client`` is a ``TestClient`` or an ``httpx.Client``. With a service in this process ``database`` is
``client.app.state.runtime.database``; with a service in another process use :func:`open_database`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyotp
from sqlalchemy import select, update

from tamsoat.inference_service.accounts import passwords, repository, service
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.sessions import CSRF_HEADER
from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.db.keyring import open_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

ACTOR = "local"
CHEAP = Settings(password_memory_mib=8, password_passes=1)
"""Hashing that takes milliseconds; a service with other settings renews the hash at the first sign-in."""


@contextmanager
def open_database(url: str, keys: Path) -> Iterator[Database]:
    """The database of a service in another process, with its keys installed in this one."""
    encryption.install(open_keyring(keys))
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def make_facility(database: Database, code: str, name: str = "Bệnh viện thử nghiệm") -> str:
    """A facility; returns its identifier."""
    with database.write() as session:
        return service.create_facility(session, code, name, ACTOR).id


def make_account(
    database: Database,
    facility_id: str,
    roles: Iterable[Role] = (Role.PATHOLOGIST,),
    *,
    username: str | None = None,
    display_name: str = "Người Thử Nghiệm",
    second_factor: bool | None = None,
) -> tuple[str, str]:
    """An account that is ready to work; returns its identifier and password.

    ``second_factor``: enrolled already; by default for administrators, who cannot work without.
    """
    password = passwords.one_time_password()
    wanted = frozenset(roles)
    with database.write() as session:
        created = service.create_account(
            session,
            CHEAP,
            facility_id=facility_id,
            username=username or f"u{uuid.uuid4().hex[:12]}",
            display_name=display_name,
            roles=wanted,
            actor=ACTOR,
        )
        account = created.account
        account.password_hash = passwords.hasher(CHEAP).hash(password)
        account.must_change_password, account.password_expires_at = False, None
        if second_factor or (second_factor is None and Role.ADMINISTRATOR in wanted):
            account.totp_secret = pyotp.random_base32(32)
        return account.id, password


def code_of(database: Database, account_id: str) -> str:
    """A code of the account's second factor that is accepted now, even where one was used a moment ago; or ""."""
    with database.write() as session:
        account = _account(repository.by_id(session, account_id, lock=True))
        account.totp_last_step = None
        return pyotp.TOTP(account.totp_secret).now() if account.totp_secret else ""


def sign_in(client: httpx.Client, database: Database, account_id: str, password: str) -> None:
    """Sign in by the real endpoint; ``client`` keeps the cookie and sends the CSRF token from now on."""
    with database.read() as session:
        username = _account(repository.by_id(session, account_id)).username
    sent = {"username": username, "password": password, "code": code_of(database, account_id)}
    client.headers.pop(CSRF_HEADER, None)
    response = client.post("/api/v1/session", json=sent)
    assert response.status_code == 200, response.text
    assert response.json()["pending"] is None, response.text
    client.headers[CSRF_HEADER] = response.json()["csrf_token"]


def username_of(database: Database, account_id: str) -> str:
    """The sign-in name."""
    return row_of(database, account_id).username


def row_of(database: Database, account_id: str) -> Account:
    """The account as it is stored now."""
    with database.read() as session:
        return _account(repository.by_id(session, account_id))


def change_account(database: Database, account_id: str, **values: Any) -> None:
    """Set columns of the account."""
    with database.write() as session:
        session.execute(update(Account).where(Account.id == account_id).values(**values))


def actions(database: Database) -> list[tuple[str, str]]:
    """Action and details of every audit entry, oldest first."""
    with database.read() as session:
        rows = session.execute(select(AuditEntry.action, AuditEntry.details).order_by(AuditEntry.sequence))
        return [(action, details or "") for action, details in rows]


def _account(account: Account | None) -> Account:
    assert account is not None, "no such account"
    return account
