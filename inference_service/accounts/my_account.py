"""What a person does with the own account: second factor, sessions, who am I."""

from __future__ import annotations

import io

import segno
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository, second_factor, sessions
from tamsoat.inference_service.accounts.access import NotSignedInError, Principal
from tamsoat.inference_service.accounts.cache import LiveSession, forget_after_commit
from tamsoat.inference_service.accounts.schemas import Enrolment, SessionAnswer
from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings


class NoAccountError(TamsoatError):
    """The request was made without an account, on a machine that works without sign-in so far."""

    status = 409
    title = "No account"
    slug = "no-account"


class CodeRefusedError(TamsoatError):
    """The code is not one of the secret that is being enrolled, or no enrolment was begun."""

    status = 409
    title = "Code not accepted"
    slug = "code-refused"


def account_id_of(principal: Principal) -> str:
    """The identifier of the signed-in person's account, or NoAccountError."""
    kind, _, identifier = principal.actor.partition(":")
    if kind != "account":
        raise NoAccountError("this machine works without sign-in so far: there is no account to change")
    return identifier


def describe_session(runtime: Runtime, principal: Principal, live: LiveSession | None) -> SessionAnswer:
    """Who is signed in, for the page that shows it."""
    with runtime.database.read() as session:
        facility = repository.facility(session, principal.facility_id)
        account = repository.by_id(session, live.account_id) if live else None
        left = repository.recovery_codes_left(session, account.id) if account else 0
    roles = [row.role for row in account.role_rows] if account else [role.value for role in principal.roles]
    return SessionAnswer.model_validate(
        {
            "kind": "account" if account else "local",
            "account_id": account.id if account else None,
            "username": account.username if account else None,
            "display_name": account.display_name if account else None,
            "facility_id": principal.facility_id,
            "facility_name": facility.name if facility else "",
            "roles": sorted(roles),
            "pending": principal.pending,
            "second_factor": account is not None and account.totp_secret is not None,
            "recovery_codes_left": left,
            "csrf_token": live.csrf_token if live else None,
            "expires_at": live.expires_at if live else None,
        }
    )


def sign_out(database: Database, live: LiveSession) -> None:
    """End one session."""
    with database.write() as session:
        repository.remove_sessions(session, session_id=live.session_id)
        forget_after_commit(session)
        _record(session, Action.ACCOUNT_SIGN_OUT, live.account_id, live.principal.facility_id, {"sessions": 1})


def sign_out_everywhere(database: Database, account_id: str) -> None:
    """End every session of the account."""
    with database.write() as session:
        account = _existing(session, account_id)
        ended = repository.remove_sessions(session, account_id=account_id)
        forget_after_commit(session)
        _record(session, Action.ACCOUNT_SIGN_OUT, account_id, account.facility_id, {"sessions": ended})


def begin_enrolment(database: Database, account_id: str) -> Enrolment:
    """Store a new secret as pending and return it with its QR code."""
    secret = second_factor.new_secret()
    with database.write() as session:
        account = _existing(session, account_id)
        account.totp_pending = secret
        uri = second_factor.otpauth_uri(secret, account.username)
    picture = io.BytesIO()
    code = segno.make(uri, error="m", micro=False)
    code.save(picture, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False)
    return Enrolment(secret=secret, otpauth_uri=uri, qr_svg=picture.getvalue().decode("utf-8"))


def confirm_enrolment(database: Database, settings: Settings, account_id: str, code: str) -> tuple[str, list[str]]:
    """Make the pending secret the second factor; returns the cookie of a new session and the recovery codes.

    Raises:
        CodeRefusedError: the code is not of the pending secret, or none is pending.
    """
    with database.write() as session:
        account = _existing(session, account_id)
        step = second_factor.matching_step(account.totp_pending, code) if account.totp_pending else None
        if step is None:
            raise CodeRefusedError(
                "the code does not fit: check that the clock of the telephone is right and enter the newest code"
            )
        account.totp_secret, account.totp_pending, account.totp_last_step = account.totp_pending, None, step
        codes = second_factor.new_recovery_codes(session, account)
        repository.remove_sessions(session, account_id=account_id)
        token = sessions.open_session(session, settings, account, "password")
        session.flush()
        forget_after_commit(session)
        _record(session, Action.ACCOUNT_SECOND_FACTOR, account_id, account.facility_id, {"recovery_codes": len(codes)})
    return token, codes


def renew_recovery_codes(database: Database, account_id: str) -> list[str]:
    """Ten new codes in the place of the old ones."""
    with database.write() as session:
        account = _existing(session, account_id)
        if account.totp_secret is None:
            raise CodeRefusedError("there is no second factor yet: enrol it first")
        codes = second_factor.new_recovery_codes(session, account)
        session.flush()
        details: dict[str, str | int | bool] = {"recovery_codes": len(codes)}
        _record(session, Action.ACCOUNT_SECOND_FACTOR, account_id, account.facility_id, details)
    return codes


def _existing(session: Session, account_id: str) -> Account:
    account = repository.by_id(session, account_id, lock=True)
    if account is None:
        raise NotSignedInError("the account is gone")
    return account


def _record(
    session: Session, action: Action, account_id: str, facility_id: str, details: dict[str, str | int | bool]
) -> None:
    actor = f"account:{account_id}"
    audit.append(session, Event(actor, action, actor, facility=facility_id, details=details))
