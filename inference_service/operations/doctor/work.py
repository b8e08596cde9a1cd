"""Workers, jobs, webhooks, the audit log, backups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import repository as audit
from tamsoat.inference_service.audit.rows import is_whole
from tamsoat.inference_service.jobs import repository as jobs
from tamsoat.inference_service.operations import repository
from tamsoat.inference_service.operations.doctor.finding import (
    Context,
    Finding,
    days_since,
    fail,
    graded,
    ok,
    reading,
    warn,
)
from tamsoat.inference_service.screening.tables import FAILED, QUEUED, RUNNING, Screening
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.webhooks.tables import Webhook, WebhookDelivery

STUCK_MIN, WAITING_MIN = 15, 60
RECENT_ENTRIES = 2_000
FAILED_DAYS = 7
CHECKPOINT_SLACK = 3
"""Checkpoint intervals that may pass before a missing checkpoint is worth a word."""


def check_jobs(context: Context) -> list[Finding]:
    """Do workers live, and does anything wait or stand still?"""
    return reading(context, lambda session: [_workers(session, context.settings), *_screenings(session)])


def _workers(session: Session, settings: Settings) -> Finding:
    now = jobs.now(session)
    rows = jobs.known(session)
    alive = [row for row in rows if (now - row.seen_at).total_seconds() <= settings.worker_timeout_s]
    waiting = session.scalar(select(func.count()).where(Screening.state.in_((QUEUED, RUNNING)))) or 0
    message = f"{len(alive)} alive, {len(rows) - len(alive)} silent, {waiting} images wait or are worked on"
    return graded(
        "workers",
        message,
        "start `tamsoat worker`, or `tamsoat serve` with TAMSOAT_RUN_WORKER=true; the log of the silent one says why",
        failing=not alive and waiting > 0,
        warning=len(rows) > len(alive),
    )


def _screenings(session: Session) -> list[Finding]:
    now = datetime.now(UTC)

    def count(*conditions: object) -> int:
        return session.scalar(select(func.count()).select_from(Screening).where(*conditions)) or 0  # type: ignore[arg-type]

    stuck = count(Screening.state == RUNNING, Screening.updated_at < now - timedelta(minutes=STUCK_MIN))
    late = count(Screening.state == QUEUED, Screening.created_at < now - timedelta(minutes=WAITING_MIN))
    failed = count(Screening.state == FAILED, Screening.finished_at > now - timedelta(days=1))
    return [
        graded(
            "jobs-stuck",
            f"{stuck} have not moved for {STUCK_MIN} min, {late} wait for over {WAITING_MIN} min",
            "see 'A job is stuck' in docs/operations.md",
            failing=stuck > 0,
            warning=late > 0,
        ),
        graded(
            "jobs-failed",
            f"{failed} failed in the last 24 h",
            "list them: GET /api/v1/analyses?state=failed; each names its reason and can be retried",
            failing=False,
            warning=failed > 0,
        ),
    ]


def check_webhooks(context: Context) -> list[Finding]:
    """Does the HIS take what it is sent?"""
    return reading(context, _deliveries)


def _deliveries(session: Session) -> list[Finding]:
    since = datetime.now(UTC) - timedelta(days=FAILED_DAYS)

    def count(query: object) -> int:
        return int(session.execute(query).scalar_one())  # type: ignore[call-overload]

    deliveries = select(func.count()).select_from(WebhookDelivery)
    failed = count(deliveries.where(WebhookDelivery.state == "failed", WebhookDelivery.finished_at > since))
    retrying = count(deliveries.where(WebhookDelivery.state == "retrying"))
    paused = count(
        select(func.count()).select_from(Webhook).where(Webhook.enabled.is_(False), Webhook.deleted_at.is_(None))
    )
    return [
        graded(
            "webhooks",
            f"{failed} messages failed in {FAILED_DAYS} days, {retrying} are tried again, {paused} webhooks are off",
            "see 'The HIS takes no webhooks' in docs/operations.md; resend them once it does",
            failing=failed > 0,
            warning=retrying > 0 or paused > 0,
        )
    ]


def check_audit(context: Context) -> list[Finding]:
    """Are the newest entries whole, and is the log signed often enough?"""
    return reading(context, lambda session: [_newest_entries(session), _checkpoint(session, context.settings)])


def _newest_entries(session: Session) -> Finding:
    name, action = (
        "audit-log",
        "treat it as tampering (docs/operations.md) and run `tamsoat audit verify`",
    )
    audit.begin_snapshot(session)
    head = audit.read_head(session)
    if head is None:
        return fail(name, "the head of the audit log is missing", action)
    after = max(0, head.sequence - RECENT_ENTRIES)
    before = audit.find(session, after) if after else None
    sequence, last_hash = after, before.entry_hash if before is not None else None
    for row in audit.stream(session, after=after):
        linked = last_hash is None or row.previous_hash == last_hash
        if row.sequence != sequence + 1 or not linked or not is_whole(row):
            return fail(name, f"entry {sequence + 1} was changed, removed or inserted", action)
        sequence, last_hash = row.sequence, row.entry_hash
    if sequence != head.sequence or (last_hash or head.entry_hash) != head.entry_hash:
        return fail(name, f"the log does not end where its head says ({head.sequence})", action)
    return ok(name, f"the newest {sequence - after} of {sequence} entries are whole")


def _checkpoint(session: Session, settings: Settings) -> Finding:
    name, newest, head = "audit-checkpoint", audit.newest_checkpoint(session), audit.read_head(session)
    size = 0 if head is None else head.sequence
    if newest is None:
        message = f"none of {size} entries is signed"
        action = "start the service, which signs by itself, or run `tamsoat audit checkpoint`"
        return graded(name, message, action, failing=False, warning=size > 0)
    age_min = days_since(datetime.fromisoformat(newest.created_at)) * 24 * 60
    late = age_min > CHECKPOINT_SLACK * settings.audit_checkpoint_minutes and size > newest.size + 1
    message = f"signed up to entry {newest.size} of {size}, {age_min / 60:.1f} h ago"
    if settings.audit_checkpoint_dir is None and settings.secure:
        action = "set TAMSOAT_AUDIT_CHECKPOINT_DIR to another machine's share: a copy here falls with the log"
        return warn(name, f"{message}; nothing is kept elsewhere", action)
    return graded(name, message, "is the service running? it signs by itself", failing=False, warning=late)


def check_backup(context: Context) -> list[Finding]:
    """How old is the newest backup?"""
    most_h = context.settings.backup_max_age_h

    def look(session: Session) -> list[Finding]:
        name, action = "backup", "run `tamsoat backup`, and see why tamsoat-backup.timer did not (docs/operations.md)"
        newest = repository.newest_backup(session)
        if newest is None:
            return [warn(name, "there has never been one", action)]
        age_h = days_since(newest[1]) * 24
        message = f"{newest[0]}, {age_h:.1f} h old (at most {most_h:g} h); a restore test tells whether it is any good"
        return [graded(name, message, action, failing=age_h > most_h, warning=False)]

    return reading(context, look)
