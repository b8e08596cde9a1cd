"""Prometheus metrics of one service process, in a registry of their own."""

from __future__ import annotations

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30)


class Metrics:
    """The counters that the service keeps; labels hold route templates and categories, never identifiers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(GC_COLLECTOR)
        self.registry.register(PLATFORM_COLLECTOR)
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "tamsoat_http_requests", "HTTP requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "tamsoat_http_request_seconds", "From the first byte to the last, seconds", ["method", "route"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.inference_seconds = Histogram(
            "tamsoat_inference_seconds", "From opening an image to its findings, seconds",
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.tiles = Counter("tamsoat_tiles", "Tiles given to the network", registry=self.registry)
        self.analyses = Counter(
            "tamsoat_analyses", "Analyses stored, by triage class", ["triage"], registry=self.registry
        )
        self.problems = Counter(
            "tamsoat_problems", "Requests answered with a problem", ["type"], registry=self.registry
        )
        self.admitted = Gauge(
            "tamsoat_requests_admitted", "Inference requests being received, waiting or running", registry=self.registry
        )
        self.running = Gauge("tamsoat_requests_running", "Images being analysed", registry=self.registry)
        self.engine = Info("tamsoat_engine", "Model and execution provider in use", registry=self.registry)
        self.jobs_finished = Counter(
            "tamsoat_jobs_finished", "Screening jobs that ended, by state", ["state"], registry=self.registry
        )
        self.job_step_seconds = Histogram(
            "tamsoat_job_step_seconds", "Seconds of one step of a screening job", ["step"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def of_request(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """The counter and the histogram of such an answer, looked up once: finding them costs more than counting."""
        found = self._of_requests.get((method, route, status))
        if found is None:
            found = self.requests.labels(method, route, str(status)), self.request_seconds.labels(method, route)
            self._of_requests[method, route, status] = found
        return found
