"""Storage of slides, free disk, keys, model."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.operations.backup.snapshot import sqlite_path
from tamsoat.inference_service.operations.backup.target import local_files
from tamsoat.inference_service.operations.doctor.finding import (
    Context,
    Finding,
    days_since,
    graded,
    ok,
    reading,
    warn,
)
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.storage.store import ContentStore, open_store
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.models.bundle import default_bundle, read_bundle

SAMPLE = 25
GROWTH_DAYS = 30
WARN_FREE_SHARE, FAIL_FREE_SHARE = 0.10, 0.02
WARN_FREE_BYTES, FAIL_FREE_BYTES = 5 * 2**30, 2**30
WARN_DAYS_LEFT, FAIL_DAYS_LEFT = 60, 7
OLD_KEYS_DAYS = 2 * 365


def check_storage(context: Context) -> list[Finding]:
    """Write, read and delete a probe; are the newest slides there?"""
    store = open_store(context.settings)
    start_s = time.perf_counter()
    store.check()
    probed = ok("storage", f"{store.location}: probe written, read, deleted in {time.perf_counter() - start_s:.2f} s")
    return [probed, *reading(context, lambda session: [_sample(session, store)])]


def _sample(session: Session, store: ContentStore) -> Finding:
    query = select(Slide.sha256, Slide.bytes).where(Slide.purged_at.is_(None))
    newest = session.execute(query.order_by(Slide.created_at.desc()).limit(SAMPLE)).all()
    missing = [sha256 for sha256, size in newest if not store.exists(sha256) or store.size(sha256) != size]
    return graded(
        "storage-slides",
        f"{len(newest) - len(missing)} of the {len(newest)} newest slides are in the storage"
        + (f"; missing or cut short: {missing[0]}" if missing else ""),
        "check TAMSOAT_STORAGE_URL and TAMSOAT_DATA_DIR; then restore the files from the backup that fits the database",
        failing=bool(missing),
        warning=False,
    )


def check_disk(context: Context) -> list[Finding]:
    """Free space and inodes of every disk that is written to, and how long they last at the present growth."""
    settings = context.settings
    places = {"data": settings.data_folder, "temporary files": Path(tempfile.gettempdir())}
    if not settings.storage_url.startswith("s3"):
        places["slides"] = local_files(settings)
    if context.database is not None and context.database.engine.dialect.name == "sqlite":
        places["database"] = sqlite_path(context.database).parent
    growth_bytes = reading_growth(context)
    findings, seen = [], set[int]()
    for what, path in places.items():
        folder = path
        while not folder.exists():
            folder = folder.parent
        device = folder.stat().st_dev
        if device not in seen:
            seen.add(device)
            findings += _disk(f"disk ({what})", folder, growth_bytes if what != "temporary files" else 0.0)
    return findings


def reading_growth(context: Context) -> float:
    """Bytes of slides that came per day, over the last 30 days."""
    if context.database is None:
        return 0.0
    since = datetime.now(UTC) - timedelta(days=GROWTH_DAYS)
    query = select(func.coalesce(func.sum(Slide.bytes), 0), func.min(Slide.created_at)).where(Slide.created_at >= since)
    with context.database.read() as session:
        total_bytes, first = session.execute(query).one()
    days = max(1.0, min(GROWTH_DAYS, days_since(first))) if first is not None else GROWTH_DAYS
    return float(total_bytes) / days


def _disk(name: str, folder: Path, growth_bytes_per_day: float) -> list[Finding]:
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    days_left = usage.free / growth_bytes_per_day if growth_bytes_per_day else float("inf")
    message = f"{folder}: {usage.free / 2**30:.1f} GiB free ({share:.0%})"
    if days_left < 3650:
        message += f", full in about {days_left:.0f} days at {growth_bytes_per_day / 2**30:.2f} GiB a day"
    findings = [
        graded(
            name,
            message,
            "give it more space, or move old backups away; a full disk answers 507 and nothing is stored",
            failing=usage.free < FAIL_FREE_BYTES or share < FAIL_FREE_SHARE or days_left < FAIL_DAYS_LEFT,
            warning=usage.free < WARN_FREE_BYTES or share < WARN_FREE_SHARE or days_left < WARN_DAYS_LEFT,
        )
    ]
    inodes = os.statvfs(folder) if hasattr(os, "statvfs") else None
    if inodes is not None and inodes.f_files:
        free_share = inodes.f_favail / inodes.f_files
        if free_share < WARN_FREE_SHARE:
            message, action = f"{folder}: {free_share:.0%} of the inodes are free", "remove small files, or make more"
            findings.append(
                graded(f"{name} inodes", message, action, failing=free_share < FAIL_FREE_SHARE, warning=True)
            )
    return findings


def check_keys(context: Context) -> list[Finding]:
    """Readable, private, the right ones, not too old, not lying beside what they protect alone."""
    path, keyring = context.settings.keys_path, context.keyring
    if keyring is None:
        return []
    age_days = days_since(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    return [
        graded(
            "keys",
            f"{path}: {len(keyring.encryption)} encryption keys, changed {age_days:.0f} days ago",
            "rotate them (docs/privacy.md)",
            failing=False,
            warning=age_days > OLD_KEYS_DAYS,
        ),
        *reading(context, _keys_fit),
    ]


def _keys_fit(session: Session) -> list[Finding]:
    """Raises DecryptionError where the newest patient cannot be read."""
    patient = session.scalars(select(Patient).order_by(Patient.created_at.desc()).limit(1)).first()
    return [] if patient is None else [ok("keys-fit", "they open the newest patient's record")]


def check_model(context: Context) -> list[Finding]:
    """Digests, self-test, and which device works."""
    settings = context.settings
    bundle = read_bundle(settings.model if settings.model is not None else default_bundle())
    engine = Engine(bundle, providers=settings.provider_list, threads=1, batch_tiles=settings.batch_tiles)
    try:
        provider = engine.provider
    finally:
        engine.close()
    found = ok("model", f"{bundle.name} {bundle.version} is unaltered and passes its self-test on {provider}")
    wanted = (settings.provider_list or [provider])[0]
    if provider == wanted:
        return [found]
    message = f"{provider} is used, {wanted} was asked for: slower than planned"
    return [found, warn("model-device", message, "check the driver of the GPU, or TAMSOAT_PROVIDERS")]
