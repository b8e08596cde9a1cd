"""Periodic work: uploads that nobody finishes, bytes of deleted slides."""

from __future__ import annotations

from tamsoat.inference_service.jobs.registry import Periodic
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.uploads import resumable, service

SWEEP_EVERY_S = 300.0


def sweep(runtime: Runtime) -> None:
    """Finish or discard uploads left alone, and give up the bytes of deleted slides. Repeatable."""
    resumable.sweep(runtime)
    service.sweep(runtime)


PERIODIC = (Periodic("discard-uploads", SWEEP_EVERY_S, sweep),)
