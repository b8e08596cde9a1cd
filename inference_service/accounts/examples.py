"""Accounts of the example facility: people to try the service with, gone as soon as the first real account exists."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository
from tamsoat.inference_service.accounts.cache import forget_after_commit
from tamsoat.inference_service.accounts.tables import ACTIVE, DISABLED, Account
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event

REASON = "example"


def any_active(session: Session) -> bool:
    """Whether somebody of the example facility can sign in."""
    return bool(session.scalar(select(exists().where(Account.example, Account.status == ACTIVE))))


def is_example(session: Session, actor: str) -> bool:
    """Whether the actor is somebody of the example facility; the accounts that such a person makes are examples too."""
    account = repository.by_id(session, actor.removeprefix("account:")) if actor.startswith("account:") else None
    return account is not None and account.example


def retire(session: Session, actor: str) -> None:
    """Disable every account of the example facility and end its sessions: real work begins.

    In the caller's transaction; to be called with the first account or client that is none.
    """
    accounts = list(session.scalars(select(Account).where(Account.example, Account.status == ACTIVE)))
    for account in accounts:
        account.status, account.disabled_reason = DISABLED, REASON
        repository.remove_sessions(session, account_id=account.id)
    session.flush()
    forget_after_commit(session)
    for account in accounts:
        event = Event(
            actor, Action.ACCOUNT_DISABLE, f"account:{account.id}", {}, account.facility_id, {"reason": REASON}
        )
        audit.append(session, event)
