"""How a noun joins in: its durable workflows, where their waiting work is found, and its periodic work.

A noun's ``workflow.py`` holds the three of them and is named in :data:`NOUNS`::

    @durable("screening")                     # a DBOS workflow; its steps are run by DBOS.run_step
    def screen(subject: str) -> None: ...

    QUEUES = (JobQueue("screening", waiting),)
    PERIODIC = (Periodic("discard-uploads", 300.0, discard_abandoned),)

The noun's own table says what is to be done; ``waiting`` reads it. A change that makes work commits its row and then
calls ``runtime.jobs.wake(queue, id)``, which only saves the second until every worker looks by itself: a wake-up that
is lost costs nothing. Work is repeatable: a workflow may be begun again after a kill, so its last transaction must
notice that it was done already. A pause between two attempts belongs into the row ("not before"), not into the
workflow: a job that sleeps would hold a place that another could use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from tamsoat.inference_service.runtime import Runtime

NOUNS = (
    "tamsoat.inference_service.accounts.workflow",
    "tamsoat.inference_service.uploads.workflow",
    "tamsoat.inference_service.audit.workflow",
    "tamsoat.inference_service.screening.workflow",
    "tamsoat.inference_service.webhooks.workflow",
    "tamsoat.inference_service.reports.workflow",
)
"""Modules that define ``QUEUES`` or ``PERIODIC``; add yours."""

LOWEST_PRIORITY = 100


@dataclass(frozen=True)
class Job:
    """One piece of waiting work.

    Attributes:
        workflow_id: DBOS runs one workflow per id, ever, whoever enqueues it how often: so the id names the row and
            the attempt.
        argument: handed to the workflow.
        priority: 1 first, :data:`LOWEST_PRIORITY` last; equal ones in order of arrival.
    """

    workflow_id: str
    argument: str
    priority: int = LOWEST_PRIORITY


Waiting = Callable[[Session, int], Sequence[Job]]
"""Reads at most so many jobs whose time has come, the most urgent first. Called every second: needs an index."""


@dataclass(frozen=True)
class JobQueue:
    """A queue of one kind of job.

    Attributes:
        name: lower case; also the name of its DBOS queue and of the workflow made by
            :func:`~tamsoat.inference_service.jobs.durable.durable`.
        waiting: what is to be done now.
        at_once: jobs of this queue that run at once in one process; None: the setting ``worker_concurrency``.
    """

    name: str
    waiting: Waiting
    at_once: int | None = None


@dataclass(frozen=True)
class Periodic:
    """Work done every ``every_s`` seconds in every process that works on jobs, in a thread of its own, never twice at
    once in one process. Several processes may run it at the same moment: it must bear that. What it raises is logged
    and it is tried again the next time."""

    name: str
    every_s: float
    run: Callable[[Runtime], None]


@dataclass(frozen=True)
class Registry:
    """What all nouns registered."""

    queues: tuple[JobQueue, ...]
    periodic: tuple[Periodic, ...]


def load(modules: Sequence[str] = NOUNS) -> Registry:
    """Import every noun's workflows and gather what they define."""
    nouns: list[ModuleType] = [importlib.import_module(name) for name in modules]
    return Registry(
        tuple(queue for noun in nouns for queue in getattr(noun, "QUEUES", ())),
        tuple(task for noun in nouns for task in getattr(noun, "PERIODIC", ())),
    )
