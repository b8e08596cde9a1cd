"""Rules of facilities and of the accounts in them, as an administrator changes them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import examples, passwords, repository
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.cache import changes, forget_after_commit
from tamsoat.inference_service.accounts.sign_in import reauthenticate
from tamsoat.inference_service.accounts.tables import ACTIVE, DISABLED, Account, AccountRole, Facility
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.runtime import SYSTEM, Runtime
from tamsoat.inference_service.settings import Settings

__all__ = ["any_account_or_client", "create_account", "create_facility", "disable_idle", "reauthenticate"]

IDLE_DAYS = 45
_FACILITY_CODE = re.compile(r"[A-Z0-9]{5}")
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{1,62})[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class AccountNotFoundError(TamsoatError):
    """There is no such account in the administrator's facility."""

    status = 404
    title = "Account not found"
    slug = "account-not-found"
    exit_code = EXIT_USAGE


class FacilityNotFoundError(TamsoatError):
    """There is no such facility."""

    status = 404
    title = "Facility not found"
    slug = "facility-not-found"
    exit_code = EXIT_USAGE


class NameTakenError(TamsoatError):
    """Another account has this name, or another facility has this code."""

    status = 409
    title = "Name is taken"
    slug = "name-taken"
    exit_code = EXIT_USAGE


class AccountInvalidError(TamsoatError):
    """A name, code or role of an account or facility cannot be used."""

    status = 422
    title = "Account is not valid"
    slug = "account-invalid"
    exit_code = EXIT_USAGE


class LastAdministratorError(TamsoatError):
    """The change would leave the facility without an active administrator."""

    status = 409
    title = "Last administrator"
    slug = "last-administrator"
    exit_code = EXIT_USAGE


class FirstAccountError(TamsoatError):
    """The first account of a machine that works without sign-in would lock everybody out."""

    status = 409
    title = "First account"
    slug = "first-account"


@dataclass(frozen=True, repr=False)
class Created:
    """A new account; ``one_time_password`` is shown once, None for a person of the identity provider."""

    account: Account
    one_time_password: str | None


def any_account_or_client(runtime: Runtime) -> bool:
    """Whether anyone has to sign in here: once an account or client exists, everyone does."""
    known = runtime.access.anyone()
    if known is None:
        seen = changes()
        with runtime.database.read() as session:
            known = repository.any_account_or_client(session)
        runtime.access.put_anyone(known, seen)
    return known


def create_facility(session: Session, code: str, name: str, actor: str) -> Facility:
    """Add a facility in the caller's transaction.

    Raises:
        AccountInvalidError: the code is not five capital letters or digits, or the name is empty or too long.
        NameTakenError: the code belongs to another facility.
    """
    if not _FACILITY_CODE.fullmatch(code):
        raise AccountInvalidError("the code of a facility (MA_CSKCB) is five capital letters or digits")
    if repository.facility_by_code(session, code) is not None:
        raise NameTakenError(f"facility {code} exists already")
    now = datetime.now(UTC)
    facility = Facility(id=str(uuid.uuid4()), code=code, name=_shown_name(name, "facility"), created_at=now)
    session.add(facility)
    _flush(session, f"facility {code} exists already")
    audit.append(
        session,
        Event(actor, Action.FACILITY_CREATE, f"facility:{facility.id}", facility=facility.id, details={"code": code}),
    )
    return facility


def rename_facility(session: Session, code: str, name: str, actor: str) -> Facility:
    """Give a facility another name in the caller's transaction.

    Raises:
        FacilityNotFoundError, AccountInvalidError: as named.
    """
    facility = find_facility(session, code)
    facility.name = _shown_name(name, "facility")
    session.flush()
    audit.append(session, Event(actor, Action.FACILITY_UPDATE, f"facility:{facility.id}", facility=facility.id))
    return facility


def find_facility(session: Session, code: str) -> Facility:
    """The facility with this code, or FacilityNotFoundError."""
    facility = repository.facility_by_code(session, code)
    if facility is None:
        raise FacilityNotFoundError(f"there is no facility with the code {code}: tamsoat admin facility list")
    return facility


def create_account(
    session: Session,
    settings: Settings,
    *,
    facility_id: str,
    username: str,
    display_name: str,
    roles: Iterable[Role],
    actor: str,
    external: tuple[str, str] | None = None,
    example: bool = False,
) -> Created:
    """Add an account in the caller's transaction, with a one-time password.

    The first one that is no example ends those of the example facility.

    Args:
        example: of the example facility; so is every account that somebody of the example facility makes.
        external: issuer and subject of a person of the hospital's identity provider, who gets no password here.

    Raises:
        AccountInvalidError: a name cannot be used, there is no role, or a role that only systems have.
        NameTakenError: the name, or the person of the identity provider, has an account.
        FacilityNotFoundError: there is no such facility.
    """
    username = check_username(username)
    wanted = check_roles(roles)
    if repository.facility(session, facility_id) is None:
        raise FacilityNotFoundError("there is no such facility")
    if repository.by_username(session, username) is not None:
        raise NameTakenError("this sign-in name is taken: choose another")
    if external is not None and repository.by_external(session, *external) is not None:
        raise NameTakenError("this person of the identity provider has an account already")
    now = datetime.now(UTC)
    example = example or examples.is_example(session, actor)
    account = Account(
        id=str(uuid.uuid4()),
        example=example,
        facility_id=facility_id,
        username=username,
        display_name=check_display_name(display_name),
        status=ACTIVE,
        external_issuer=external[0] if external else None,
        external_subject=external[1] if external else None,
        created_at=now,
        enabled_at=now,
        must_change_password=False,
        failed_attempts=0,
        role_rows=[AccountRole(role=role.value) for role in sorted(wanted)],
    )
    password = None if external else give_one_time_password(account, settings)
    session.add(account)
    _flush(session, "this sign-in name is taken: choose another")
    forget_after_commit(session)
    if not example:
        examples.retire(session, actor)
    record(session, actor, Action.ACCOUNT_CREATE, account, {"roles": ",".join(sorted(wanted))})
    return Created(account, password)


def give_one_time_password(account: Account, settings: Settings) -> str:
    """Set a new one-time password that has to be changed at the first sign-in, and return it."""
    password = passwords.one_time_password()
    account.password_hash = passwords.hasher(settings).hash(password)
    account.password_expires_at = datetime.now(UTC) + timedelta(hours=settings.one_time_password_h)
    account.must_change_password = True
    return password


def disable_idle(database: Database, idle_days: int = IDLE_DAYS) -> int:
    """Disable every active account that was not used for ``idle_days`` and return how many; to be called every day."""
    before = datetime.now(UTC) - timedelta(days=idle_days)
    with database.write() as session:
        accounts = repository.idle_since(session, before)
        for account in accounts:
            disable(session, account, "idle")
        session.flush()
        for account in accounts:
            record(session, SYSTEM, Action.ACCOUNT_DISABLE, account, {"reason": "idle"})
    return len(accounts)


def remove_expired_sessions(database: Database) -> int:
    """Remove sessions past their absolute limit, which nobody can use any more; returns how many."""
    with database.write() as session:
        return repository.remove_sessions(session, expired_at=datetime.now(UTC))


def disable(session: Session, account: Account, reason: str) -> None:
    """Refuse further sign-ins and end every session; the caller records it."""
    account.status, account.disabled_reason = DISABLED, reason
    repository.remove_sessions(session, account_id=account.id)
    forget_after_commit(session)


def record(
    session: Session, actor: str, action: Action, account: Account, details: dict[str, str | int | bool] | None = None
) -> None:
    """Append an event about ``account`` to the audit log."""
    event = Event(actor, action, f"account:{account.id}", facility=account.facility_id, details=details or {})
    audit.append(session, event)


def check_username(username: str) -> str:
    """The name in lower case, or AccountInvalidError."""
    name = username.strip().lower()
    if not _USERNAME.fullmatch(name):
        raise AccountInvalidError("a sign-in name has 3 to 64 letters a-z, digits, and . _ @ - in between")
    return name


def check_display_name(name: str) -> str:
    """The name of a person with single spaces, or AccountInvalidError."""
    return _shown_name(name, "person")


def check_roles(roles: Iterable[Role]) -> frozenset[Role]:
    """The roles, or AccountInvalidError where there is none or a person may not hold one."""
    wanted = frozenset(roles)
    if not wanted:
        raise AccountInvalidError("an account needs at least one role")
    if Role.INTEGRATOR in wanted:
        raise AccountInvalidError("the role integrator belongs to client systems: register a client instead")
    return wanted


def _flush(session: Session, taken: str) -> None:
    """Send the rows; someone else may have taken the name since it was looked for."""
    try:
        session.flush()
    except IntegrityError as error:
        raise NameTakenError(taken) from error


def _shown_name(name: str, of: str) -> str:
    plain = " ".join(name.split())
    if not plain or len(plain) > 200 or _CONTROL.search(plain):
        raise AccountInvalidError(f"the name of a {of} has 1 to 200 characters")
    return plain
