"""What an administrator does with the accounts of a facility; the command line sees those of all facilities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import lockout, repository
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.cache import forget_after_commit
from tamsoat.inference_service.accounts.service import (
    AccountInvalidError,
    AccountNotFoundError,
    LastAdministratorError,
    check_display_name,
    check_roles,
    disable,
    give_one_time_password,
    record,
)
from tamsoat.inference_service.accounts.tables import ACTIVE, Account, AccountRole
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings


@dataclass(frozen=True)
class Administrator:
    """Who acts: as the audit log names them, and whose accounts they see (None: of every facility)."""

    actor: str
    facility_id: str | None


def find(session: Session, who: Administrator, account_id: str, *, lock: bool = False) -> Account:
    """The account.

    Raises:
        AccountNotFoundError: there is none with this identifier where the administrator looks.
    """
    account = repository.by_id(session, account_id, facility_id=who.facility_id, lock=lock)
    if account is None:
        raise AccountNotFoundError("there is no such account in this facility")
    return account


def find_named(session: Session, who: Administrator, username: str) -> Account:
    """The account with this sign-in name, or AccountNotFoundError."""
    account = repository.by_username(session, username.strip().lower())
    if account is None or who.facility_id not in (None, account.facility_id):
        raise AccountNotFoundError("there is no account with this sign-in name: tamsoat admin account list")
    return account


def update(
    database: Database,
    who: Administrator,
    account_id: str,
    *,
    display_name: str | None = None,
    roles: Iterable[Role] | None = None,
) -> Account:
    """Change the name shown or the roles; what is None stays. New roles count from the next request.

    Raises:
        AccountNotFoundError, AccountInvalidError, LastAdministratorError: as named.
    """
    with database.write() as session:
        account = _find_in_turn(session, who, account_id)
        details: dict[str, str | int | bool] = {}
        if display_name is not None:
            account.display_name = check_display_name(display_name)
            details["display_name"] = True
        if roles is not None:
            wanted = check_roles(roles)
            if Role.ADMINISTRATOR not in wanted:
                _keep_an_administrator(session, account)
            held = {row.role: row for row in account.role_rows}
            account.role_rows = [held.get(role.value) or AccountRole(role=role.value) for role in sorted(wanted)]
            details["roles"] = ",".join(sorted(wanted))
        session.flush()
        forget_after_commit(session)
        record(session, who.actor, Action.ACCOUNT_UPDATE, account, details)
    return account


def switch_off(database: Database, who: Administrator, account_id: str) -> Account:
    """Disable an account and end its sessions; nothing happens to one that is disabled already.

    Raises:
        AccountNotFoundError, LastAdministratorError: as named.
    """
    with database.write() as session:
        account = _find_in_turn(session, who, account_id)
        if account.status == ACTIVE:
            _keep_an_administrator(session, account)
            disable(session, account, "administrator")
            session.flush()
            record(session, who.actor, Action.ACCOUNT_DISABLE, account, {"reason": "administrator"})
    return account


def switch_on(database: Database, who: Administrator, account_id: str) -> Account:
    """Enable an account; its idle days count anew. Nothing happens to one that is active.

    Raises:
        AccountNotFoundError: as named.
        AccountInvalidError: it is of the example facility, and real work has begun.
    """
    with database.write() as session:
        account = find(session, who, account_id, lock=True)
        if account.example and repository.any_account_or_client(session):
            raise AccountInvalidError(
                "this account belongs to the example facility, which ended with the first account"
            )
        if account.status != ACTIVE:
            account.status, account.disabled_reason = ACTIVE, None
            account.enabled_at = datetime.now(UTC)
            lockout.clear(account)
            session.flush()
            record(session, who.actor, Action.ACCOUNT_ENABLE, account)
    return account


def unlock(database: Database, who: Administrator, account_id: str) -> Account:
    """Forget the failed sign-ins of an account."""
    with database.write() as session:
        account = find(session, who, account_id, lock=True)
        lockout.clear(account)
        session.flush()
        record(session, who.actor, Action.ACCOUNT_UPDATE, account, {"unlocked": True})
    return account


def reset_password(database: Database, settings: Settings, who: Administrator, account_id: str) -> tuple[Account, str]:
    """Give an account a one-time password, forget its failures, end its sessions.

    Raises:
        AccountNotFoundError: as named.
        AccountInvalidError: the person signs in at the hospital's identity provider.
    """
    with database.write() as session:
        account = find(session, who, account_id, lock=True)
        if account.external_subject is not None:
            raise AccountInvalidError("this person signs in at the hospital's identity provider: there is no password")
        password = give_one_time_password(account, settings)
        lockout.clear(account)
        repository.remove_sessions(session, account_id=account.id)
        session.flush()
        forget_after_commit(session)
        record(session, who.actor, Action.ACCOUNT_PASSWORD, account, {"one_time": True})
    return account, password


def reset_second_factor(database: Database, who: Administrator, account_id: str) -> Account:
    """Take the second factor away, as after the loss of a telephone, and end the account's sessions.

    Where it is mandatory, the person enrols another one at the next sign-in, before anything else works.
    """
    with database.write() as session:
        account = find(session, who, account_id, lock=True)
        account.totp_secret = account.totp_pending = account.totp_last_step = None
        repository.replace_recovery_codes(session, account.id, [])
        repository.remove_sessions(session, account_id=account.id)
        session.flush()
        forget_after_commit(session)
        record(session, who.actor, Action.ACCOUNT_SECOND_FACTOR, account, {"removed": True})
    return account


def end_sessions(database: Database, who: Administrator, account_id: str) -> Account:
    """Sign a person out everywhere."""
    with database.write() as session:
        account = find(session, who, account_id, lock=True)
        ended = repository.remove_sessions(session, account_id=account.id)
        forget_after_commit(session)
        record(session, who.actor, Action.ACCOUNT_SIGN_OUT, account, {"sessions": ended})
    return account


def _find_in_turn(session: Session, who: Administrator, account_id: str) -> Account:
    """The account, locked, once no other change to the facility's administrators is under way.

    Two administrators who disable each other at the same moment are thereby judged one after the other.
    """
    repository.lock_facility(session, find(session, who, account_id).facility_id)
    return find(session, who, account_id, lock=True)


def _keep_an_administrator(session: Session, account: Account) -> None:
    """Refuse where ``account`` is the facility's last active administrator."""
    if repository.active_holders(session, account.facility_id, Role.ADMINISTRATOR) == [account.id]:
        raise LastAdministratorError(
            "this is the last active administrator of the facility: make somebody else an administrator first"
        )
