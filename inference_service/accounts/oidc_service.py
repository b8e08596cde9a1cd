"""From a person of the OpenID provider to an account of ours, and its session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository, service, sessions
from tamsoat.inference_service.accounts.cache import forget_after_commit
from tamsoat.inference_service.accounts.oidc import Identity
from tamsoat.inference_service.accounts.sign_in import ANONYMOUS
from tamsoat.inference_service.accounts.tables import ACTIVE, Account
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import Settings


class NoAccountHereError(TamsoatError):
    """The person signed in at the identity provider, but has no account here, or a disabled one."""

    status = 403
    title = "No account"
    slug = "oidc-no-account"


def sign_in(database: Database, settings: Settings, identity: Identity, presented: str | None) -> str:
    """Start a session for the person and return the value of its cookie; ``presented`` is the one that ends.

    The account is the one linked with issuer and subject, else the unlinked one whose sign-in name is the claim of
    the settings, which is linked from now on. Accounts and roles are only ever given by an administrator here.

    Raises:
        NoAccountHereError: there is no such account, or it is disabled.
    """
    now = datetime.now(UTC)
    with database.write() as session:
        account, linked_now = _find(session, settings, identity)
        reason = _objection(session, settings, account, now)
        if account is not None and reason is None:
            sessions.end_token(session, presented)
            token = sessions.open_session(session, settings, account, "oidc")
            session.flush()
            if linked_now:
                service.record(session, f"account:{account.id}", Action.ACCOUNT_UPDATE, account, {"linked": True})
            service.record(session, f"account:{account.id}", Action.ACCOUNT_SIGN_IN, account, {"method": "oidc"})
            return token
        subject = f"account:{account.id}" if account else "account:unknown"
        facility = account.facility_id if account else None
        details: dict[str, str | int | bool] = {"reason": reason or "unknown", "method": "oidc"}
        audit.append(session, Event(ANONYMOUS, Action.ACCOUNT_SIGN_IN_FAIL, subject, {}, facility, details))
    raise NoAccountHereError(
        "you are known to the hospital's identity provider, but have no active account here; an administrator of your "
        "facility can create one"
    )


def _find(session: Session, settings: Settings, identity: Identity) -> tuple[Account | None, bool]:
    linked = repository.by_external(session, identity.issuer, identity.subject)
    if linked is not None:
        return repository.by_id(session, linked.id, lock=True), False
    name = _username(settings, identity)
    account = repository.by_username(session, name, lock=True) if name else None
    if account is None or account.external_subject is not None or account.status != ACTIVE:
        return None, False
    account.external_issuer, account.external_subject = identity.issuer, identity.subject
    if account.password_expires_at is not None:  # the one-time password was never used
        account.password_hash, account.password_expires_at = None, None
    account.must_change_password = False
    forget_after_commit(session)
    return account, True


def _username(settings: Settings, identity: Identity) -> str:
    """The claim to match by; an e-mail address counts only when the provider has verified it.

    Only plain ASCII matches: letters that merely look alike, or become alike in lower case, are somebody else.
    """
    value = identity.claims.get(settings.oidc_username_claim) if settings.oidc_username_claim else None
    verified = settings.oidc_username_claim != "email" or identity.claims.get("email_verified") is True
    return value.lower() if isinstance(value, str) and value.isascii() and verified else ""


def _objection(session: Session, settings: Settings, account: Account | None, now: datetime) -> str | None:
    if account is None:
        return "unknown"
    if account.status != ACTIVE:
        return "disabled"
    if now - max(account.enabled_at, account.last_active_at or account.enabled_at) > timedelta(days=settings.idle_days):
        service.disable(session, account, "idle")
        session.flush()
        service.record(session, "system", Action.ACCOUNT_DISABLE, account, {"reason": "idle"})
        return "idle"
    return None
