"""Pyramids as durable jobs; periodic work: uploads that nobody finishes, bytes of deleted slides."""

from __future__ import annotations

from dbos import DBOS

from tamsoat.inference_service.jobs import context
from tamsoat.inference_service.jobs.durable import durable
from tamsoat.inference_service.jobs.registry import JobQueue, Periodic
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.uploads import pyramids, resumable, service
from tamsoat.inference_service.uploads.acceptance import PYRAMIDS

SWEEP_EVERY_S = 300.0


@durable(PYRAMIDS)
def build_pyramid(slide_id: str) -> None:
    """Build the pyramid of one slide."""
    DBOS.run_step({"name": "build"}, _build, slide_id)


def _build(slide_id: str) -> None:
    pyramids.build(context.current(), slide_id)


def sweep(runtime: Runtime) -> None:
    """Finish or discard uploads left alone, and give up the bytes of deleted slides. Repeatable."""
    resumable.sweep(runtime)
    service.sweep(runtime)


QUEUES = (JobQueue(PYRAMIDS, pyramids.waiting, at_once=1),)
PERIODIC = (Periodic("discard-uploads", SWEEP_EVERY_S, sweep),)
