"""Metrics that are looked up when they are asked for: disk, connections, what waits, the newest backup."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.pool import QueuePool

from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.operations import repository
from tamsoat.inference_service.screening.tables import QUEUED, RUNNING, Screening
from tamsoat.inference_service.webhooks.tables import WebhookDelivery

REFRESH_S = 15.0
BELIEVED_S = 60.0
"""Figures from the database that are older are left out: a missing figure tells more than a wrong one."""
WAIT_S = 1.0
"""How long a scrape waits for the database; an outage must not hide every other metric."""
WAITING_STATES = ("pending", "retrying")

log = structlog.get_logger("tamsoat.metrics")


@dataclass
class _Figures:
    jobs: dict[str, int] = field(default_factory=dict)
    deliveries: dict[str, int] = field(default_factory=dict)
    newest_backup_s: float | None = None
    taken_s: float = float("-inf")


class Gauges(Collector):
    """Registered once per process; ``folders``: what is on a disk → where. Thread-safe."""

    def __init__(self, database: Database, folders: dict[str, Path]) -> None:
        self._database, self._folders = database, folders
        self._lock = threading.Lock()
        self._figures = _Figures()
        self._thread: threading.Thread | None = None

    def describe(self) -> Iterator[Metric]:
        """Nothing: the figures are not to be looked up when the collector is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield from self._disks()
        pool = self._database.engine.pool
        if isinstance(pool, QueuePool):
            connections = GaugeMetricFamily(
                "tamsoat_database_connections", "Connections of this process to the database", labels=["state"]
            )
            connections.add_metric(["used"], pool.checkedout())
            connections.add_metric(["most"], pool.size())
            yield connections
        yield from self._from_database()

    def _disks(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("tamsoat_disk_free_bytes", "Free space of the disk that holds it", labels=["holds"])
        size = GaugeMetricFamily("tamsoat_disk_size_bytes", "Size of the disk that holds it", labels=["holds"])
        for holds, folder in self._folders.items():
            if folder.exists():
                usage = shutil.disk_usage(folder)
                free.add_metric([holds], usage.free)
                size.add_metric([holds], usage.total)
        yield free
        yield size

    def _from_database(self) -> Iterator[Metric]:
        figures = self._fresh()
        if time.monotonic() - figures.taken_s > BELIEVED_S:
            return
        jobs = GaugeMetricFamily("tamsoat_jobs_waiting", "Screening jobs that are not done, by state", labels=["state"])
        for state in (QUEUED, RUNNING):
            jobs.add_metric([state], figures.jobs.get(state, 0))
        yield jobs
        deliveries = GaugeMetricFamily(
            "tamsoat_webhook_deliveries_waiting", "Webhook messages that no receiver took yet", labels=["state"]
        )
        for state in WAITING_STATES:
            deliveries.add_metric([state], figures.deliveries.get(state, 0))
        yield deliveries
        if figures.newest_backup_s is not None:
            yield GaugeMetricFamily(
                "tamsoat_newest_backup_timestamp_seconds", "Moment of the newest backup", value=figures.newest_backup_s
            )

    def _fresh(self) -> _Figures:
        """The figures; looked up anew in a thread where they are old, and waited for a moment."""
        with self._lock:
            old = time.monotonic() - self._figures.taken_s > REFRESH_S
            if old and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._refresh, name="tamsoat-gauges", daemon=True)
                self._thread.start()
            thread = self._thread if old else None
        if thread is not None:
            thread.join(WAIT_S)
        return self._figures

    def _refresh(self) -> None:
        try:
            with self._database.read() as session:
                states = select(Screening.state, func.count()).where(Screening.state.in_((QUEUED, RUNNING)))
                jobs = {row[0]: row[1] for row in session.execute(states.group_by(Screening.state))}
                waiting = select(WebhookDelivery.state, func.count()).where(WebhookDelivery.state.in_(WAITING_STATES))
                deliveries = {row[0]: row[1] for row in session.execute(waiting.group_by(WebhookDelivery.state))}
                newest = repository.newest_backup(session)
        except TamsoatError as error:
            log.warning("gauges_not_refreshed", problem=error.slug)
            return
        moment_s = None if newest is None else newest[1].timestamp()
        self._figures = _Figures(jobs, deliveries, moment_s, time.monotonic())
