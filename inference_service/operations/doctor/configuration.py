"""Settings and accounts that should not stay as they are in a hospital."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.tables import AccessReview, Account, AccountRole
from tamsoat.inference_service.operations.doctor.finding import Context, Finding, ok, reading, warn
from tamsoat.inference_service.settings import Settings

LEAST_LOG_MONTHS = 12


def check_settings(context: Context) -> list[Finding]:
    """Settings that suit a desk, not a hospital; then accounts."""
    return _smells(context.settings) + reading(context, lambda session: _accounts(session, context.settings))


def _smells(settings: Settings) -> list[Finding]:
    found = []
    if settings.environment == "development":
        found.append(("TAMSOAT_ENVIRONMENT is development: placeholder passwords are accepted", "remove the setting"))
    if settings.log_level == "debug":
        found.append(("TAMSOAT_LOG_LEVEL is debug: large logs", "set it to info"))
    if settings.secure and not settings.trusted_proxies:
        text = "TAMSOAT_PUBLIC_URL is set and no proxy is trusted: every request seems to come from the proxy"
        found.append((text, "set TAMSOAT_TRUSTED_PROXIES to the proxy's address"))
    if settings.retention_logs_months < LEAST_LOG_MONTHS:
        text = f"TAMSOAT_RETENTION_LOGS_MONTHS is {settings.retention_logs_months}: level 3 asks for {LEAST_LOG_MONTHS}"
        found.append((text, f"set it to {LEAST_LOG_MONTHS} or more"))
    if not found:
        return [ok("settings", "nothing to remark")]
    return [warn("settings", message, action) for message, action in found]


def _accounts(session: Session, settings: Settings) -> list[Finding]:
    active = select(func.count()).select_from(Account).where(Account.status == "active")
    accounts = session.scalar(active) or 0
    findings = []
    if settings.access == "auto" and settings.listens_on_loopback and accounts == 0:
        message = "whoever sits at this machine works without sign-in (TAMSOAT_ACCESS=auto, no account yet)"
        findings.append(warn("accounts", message, "create accounts (docs/accounts.md), or set TAMSOAT_ACCESS=accounts"))
    administrators = select(AccountRole.account_id).where(AccountRole.role == Role.ADMINISTRATOR.value)
    single = session.scalar(
        active.where(Account.id.in_(administrators), Account.password_hash.is_not(None), Account.totp_secret.is_(None))
    )
    if single:
        message = f"{single} administrators sign in without a second factor"
        findings.append(warn("accounts-second-factor", message, "have them enrol one on their account page"))
    newest = session.scalar(select(func.max(AccessReview.done_at)))
    oldest = session.scalar(select(func.min(Account.created_at)))
    due = datetime.now(UTC) - timedelta(days=settings.access_review_days)
    since = _aware(newest or oldest)
    if since is not None and since < due:
        message = f"the last access review is more than {settings.access_review_days} days ago"
        findings.append(warn("access-review", message, "go through the accounts (docs/accounts.md)"))
    return findings or [ok("accounts", f"{accounts} active")]


def _aware(moment: datetime | None) -> datetime | None:
    """``max`` and ``min`` lose the column's type on SQLite."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
