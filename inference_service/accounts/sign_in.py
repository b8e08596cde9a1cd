"""Signing in, proving oneself again, and changing the password.

Every failure gets the same answer after the same work, whether or not the name exists: the password is always
hashed, the failure is always counted and recorded. The rows are judged under a lock, one attempt after the other, so
that attempts made at the same time do not slip past the lock-out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import lockout, passwords, repository, second_factor, sessions
from tamsoat.inference_service.accounts.access import Pending
from tamsoat.inference_service.accounts.cache import forget_after_commit
from tamsoat.inference_service.accounts.tables import ACTIVE, DISABLED, Account
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import Settings

ANONYMOUS = "anonymous"
"""The actor of a sign-in that failed."""
NEEDS_CODE = "needs-code"
_COUNTED = ("password", "code")
"""What counts against an account: a password or code that was really tried."""


class SignInFailedError(TamsoatError):
    """The name, password or code is wrong, or the account is locked or disabled; which one is not said."""

    status = 401
    title = "Sign-in failed"
    slug = "sign-in-failed"


class SecondFactorRequiredError(TamsoatError):
    """Name and password are right; the code of the second factor is missing."""

    status = 401
    title = "Second factor required"
    slug = "second-factor-required"


class PasswordsOffError(TamsoatError):
    """Passwords are not used here; people sign in at the hospital's identity provider."""

    status = 403
    title = "Passwords are not used"
    slug = "passwords-off"


class ReauthenticationFailedError(TamsoatError):
    """The password or the code that was asked for again is not right, or the account is locked."""

    status = 403
    title = "Not confirmed"
    slug = "reauthentication-failed"


@dataclass(frozen=True, repr=False)
class Attempt:
    """What was sent: ``username`` or ``account_id`` says whose, ``address`` from where."""

    password: str
    code: str
    address: str
    username: str = ""
    account_id: str | None = None
    code_needed: bool = True


@dataclass(frozen=True, repr=False)
class SignedIn:
    """A new session; ``token`` is the value of its cookie."""

    token: str
    account: Account
    pending: Pending | None


@dataclass(frozen=True, repr=False)
class _Proof:
    """Outcome of the costly part, done outside of any transaction."""

    account_id: str | None
    stored: str | None
    right: bool
    rehashed: str | None


def sign_in(database: Database, settings: Settings, attempt: Attempt, presented: str | None = None) -> SignedIn:
    """Start a session, or say nothing about why not.

    ``presented``: value of the session cookie that the request came with; that session ends.

    Raises:
        SignInFailedError: whatever the reason.
        SecondFactorRequiredError: the password was right, the code is missing.
        TooManySignInsError: too many failures from this address.
    """
    proof = _prove(database, settings, attempt)
    with database.write() as session:
        verdict, account = _judge(session, settings, attempt, proof)
        if account is not None and verdict in ("none", "totp", "recovery"):
            if not account.totp_secret and not _long_enough(account, attempt.password, settings):
                account.must_change_password = True
            sessions.end_token(session, presented)
            token = sessions.open_session(session, settings, account, "password")
            session.flush()
            _record(session, Action.ACCOUNT_SIGN_IN, account, f"account:{account.id}", {"second_factor": verdict})
            return SignedIn(token, account, sessions.pending_of(account, "password", settings))
    if verdict == NEEDS_CODE:
        raise SecondFactorRequiredError("enter the code of your authenticator application, or a recovery code")
    raise SignInFailedError(
        "the sign-in name, password or code is not right, or the account is locked for a while or disabled; "
        "an administrator of your facility can help"
    )


def reauthenticate(
    database: Database,
    settings: Settings,
    account_id: str,
    password: str,
    code: str,
    address: str,
    *,
    code_needed: bool = True,
) -> str:
    """Let a signed-in person prove once more who they are, as before a signature; failures count as at sign-in.

    Returns ``totp``, ``recovery`` or ``none``: the second factor that was used.

    Raises:
        ReauthenticationFailedError: whatever the reason, a missing code included.
        TooManySignInsError: too many failures from this address.
    """
    attempt = Attempt(password, code, address, account_id=account_id, code_needed=code_needed)
    proof = _prove(database, settings, attempt)
    with database.write() as session:
        verdict, account = _judge(session, settings, attempt, proof)
    if account is None or verdict not in ("none", "totp", "recovery"):
        raise ReauthenticationFailedError("the password or code is not right, or the account is locked for a while")
    return verdict


def change_password(
    database: Database, settings: Settings, account_id: str, old: str, new: str, address: str
) -> SignedIn:
    """Set another password, end every session of the account, and start a new one.

    Raises:
        ReauthenticationFailedError, TooManySignInsError: the old password is not right.
        WeakPasswordError: the new one is not accepted, or is the old one.
    """
    reauthenticate(database, settings, account_id, old, "", address, code_needed=False)
    with database.read() as session:
        account = _existing(repository.by_id(session, account_id))
        strong = account.totp_secret is not None or sessions.needs_second_factor(_roles(account), settings)
        known = (account.username, account.display_name, account.facility.name)
    passwords.check_rules(new, second_factor=strong, known=known)
    if passwords.normalise(new) == passwords.normalise(old):
        raise passwords.WeakPasswordError("the new password is the old one: choose another")
    hashed = passwords.hasher(settings).hash(new)
    with database.write() as session:
        account = _existing(repository.by_id(session, account_id, lock=True))
        account.password_hash, account.password_expires_at = hashed, None
        account.must_change_password = False
        repository.remove_sessions(session, account_id=account.id)
        token = sessions.open_session(session, settings, account, "password")
        session.flush()
        forget_after_commit(session)
        _record(session, Action.ACCOUNT_PASSWORD, account, f"account:{account.id}", {})
        return SignedIn(token, account, sessions.pending_of(account, "password", settings))


def _prove(database: Database, settings: Settings, attempt: Attempt) -> _Proof:
    """Hash the password that was sent, whether or not there is one to compare it with."""
    with database.read() as session:
        lockout.check_source(session, attempt.address, datetime.now(UTC))
        if attempt.account_id is not None:
            account = repository.by_id(session, attempt.account_id)
        else:
            account = repository.by_username(session, attempt.username.strip().lower())
        account_id = account.id if account else None
        stored = account.password_hash if account else None
    hasher = passwords.hasher(settings)
    right = hasher.verify(stored, attempt.password)
    renewed = hasher.hash(attempt.password) if right and stored and hasher.is_outdated(stored) else None
    return _Proof(account_id, stored, right, renewed)


def _judge(session: Session, settings: Settings, attempt: Attempt, proof: _Proof) -> tuple[str, Account | None]:
    """Decide under the lock of the account, count and record; ``none``, ``totp`` and ``recovery`` mean success."""
    now = datetime.now(UTC)
    account = repository.by_id(session, proof.account_id, lock=True) if proof.account_id else None
    verdict = _verdict(session, settings, attempt, proof, account, now)
    if verdict == NEEDS_CODE:
        return verdict, account
    if account is not None and verdict in ("none", "totp", "recovery"):
        lockout.clear(account)
        if proof.rehashed:
            account.password_hash = proof.rehashed
        return verdict, account
    locks = account is not None and verdict in _COUNTED and lockout.count_failure(account, settings, now)
    session.flush()
    lockout.count_source_failure(session, attempt.address, settings, now)
    if account is not None and verdict == "idle":
        _record(session, Action.ACCOUNT_DISABLE, account, "system", {"reason": "idle"})
    _record(session, Action.ACCOUNT_SIGN_IN_FAIL, account, ANONYMOUS, {"reason": verdict})
    if account is not None and locks:
        _record(session, Action.ACCOUNT_LOCK, account, "system", {"failures": account.failed_attempts})
    return verdict, account


def _verdict(
    session: Session, settings: Settings, attempt: Attempt, proof: _Proof, account: Account | None, now: datetime
) -> str:
    if account is None:
        return "unknown"
    if account.status != ACTIVE:
        return "disabled"
    if lockout.is_locked(account, now):
        return "locked"
    if not proof.right or account.password_hash != proof.stored:
        return "password"
    if account.password_expires_at is not None and account.password_expires_at <= now:
        return "expired"
    if now - max(account.enabled_at, account.last_active_at or account.enabled_at) > timedelta(days=settings.idle_days):
        account.status, account.disabled_reason = DISABLED, "idle"
        repository.remove_sessions(session, account_id=account.id)
        forget_after_commit(session)
        return "idle"
    if account.totp_secret is None or not attempt.code_needed:
        return "none"
    if not attempt.code.strip():
        return NEEDS_CODE
    return second_factor.accept(session, account, attempt.code) or "code"


def _long_enough(account: Account, password: str, settings: Settings) -> bool:
    """Whether the password may be the only proof (the second factor may have been taken away since it was chosen)."""
    alone = not sessions.needs_second_factor(_roles(account), settings)
    return not alone or len(passwords.normalise(password)) >= passwords.MIN_ALONE


def _roles(account: Account) -> set[str]:
    return {row.role for row in account.role_rows}


def _existing(account: Account | None) -> Account:
    if account is None:
        raise ReauthenticationFailedError("the account is gone")
    return account


def _record(
    session: Session, action: Action, account: Account | None, actor: str, details: dict[str, str | int | bool]
) -> None:
    subject = f"account:{account.id}" if account else "account:unknown"
    facility = account.facility_id if account else None
    audit.append(session, Event(actor, action, subject, facility=facility, details=details))
