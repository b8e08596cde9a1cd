"""Jobs and workers as Prometheus sees them: read from the database at each scrape, equal on every process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.jobs import repository as workers
from tamsoat.inference_service.screening import job_repository

log = structlog.get_logger("tamsoat.metrics")


class JobCollector(Collector):
    """Open jobs by state, the age of the oldest waiting one, and how long ago each worker was seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        """Nothing: asking the database has to wait for the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The numbers of now; none of them while the database is away."""
        try:
            with self._database.read() as session:
                counts = job_repository.open_counts(session)
                oldest = job_repository.oldest_queued_at(session)
                now = workers.now(session)
                seen = {worker.executor_id: (now - worker.seen_at).total_seconds() for worker in workers.known(session)}
        except TamsoatError as error:
            log.warning("job_metrics_missing", problem=error.slug)
            return
        jobs = GaugeMetricFamily("tamsoat_jobs_open", "Screening jobs that wait or run", labels=["state"])
        for name, count in counts.items():
            jobs.add_metric([name], count)
        yield jobs
        age_s = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0.0
        yield GaugeMetricFamily(
            "tamsoat_jobs_oldest_queued_seconds", "Age of the job that has waited longest, seconds", value=age_s
        )
        beats = GaugeMetricFamily(
            "tamsoat_worker_seen_seconds", "Seconds since the last heartbeat of a worker", labels=["executor"]
        )
        for executor_id, seconds in seen.items():
            beats.add_metric([executor_id], seconds)
        yield beats
