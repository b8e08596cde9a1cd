"""Makes a function a durable workflow, and keeps count of what runs in this process."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from dbos import DBOS


class HandedBackError(BaseException):
    """The process stops: this job goes back to its queue. Not an ``Exception``, so that DBOS records no outcome."""


class Activity:
    """What runs in this process, and whether more may begin. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claimed: set[str] = set()
        self._line: defaultdict[str, deque[str]] = defaultdict(deque)
        self._running: dict[str, int] = {}
        self._limits: dict[str, int] = {}
        self._draining = False
        self._interrupted = False
        self.executor_id = ""
        """Name of this worker."""

    def open(self, executor_id: str, limits: dict[str, int]) -> None:
        """Let jobs begin, at most so many at once per queue."""
        self.executor_id = executor_id
        with self._changed:
            self._limits, self._draining, self._interrupted = dict(limits), False, False

    @property
    def claimed(self) -> frozenset[str]:
        """Workflow ids that this process has taken, running or waiting for their turn."""
        with self._changed:
            return frozenset(self._claimed)

    @property
    def running(self) -> int:
        """Jobs that run now."""
        with self._changed:
            return sum(self._running.values())

    @property
    def interrupted(self) -> bool:
        """Whether running jobs shall stop at their next safe point."""
        return self._interrupted

    def check(self) -> None:
        """A safe point of a job.

        Raises:
            HandedBackError: the process stops.
        """
        if self._interrupted:
            raise HandedBackError

    def pause(self, seconds: float) -> None:
        """Sleep inside a job, but no longer than the process wants to live.

        Raises:
            HandedBackError: the process stops.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._interrupted, seconds)
        self.check()

    @contextmanager
    def turn(self, queue: str, workflow_id: str) -> Iterator[None]:
        """Wait until this job may run, in the order in which DBOS started them, and run it.

        Raises:
            HandedBackError: the process stops before or while it runs.
        """
        with self._changed:
            line = self._line[queue]
            self._claimed.add(workflow_id)
            line.append(workflow_id)
        try:
            with self._changed:
                try:
                    self._changed.wait_for(
                        lambda: self._interrupted or (line[0] == workflow_id and self._has_room(queue))
                    )
                    self.check()
                    self._running[queue] = self._running.get(queue, 0) + 1
                finally:
                    line.remove(workflow_id)
                    self._changed.notify_all()
            try:
                yield
            finally:
                with self._changed:
                    self._running[queue] -= 1
        finally:
            with self._changed:
                self._claimed.discard(workflow_id)
                self._changed.notify_all()

    def drain(self, grace_s: float) -> None:
        """Begin nothing more, let what runs finish for ``grace_s`` seconds, then interrupt the rest."""
        with self._changed:
            self._draining = True
            self._changed.wait_for(lambda: not any(self._running.values()), grace_s)
            self._interrupted = True
            self._changed.notify_all()

    def _has_room(self, queue: str) -> bool:
        return not self._draining and self._running.get(queue, 0) < self._limits.get(queue, 1)


activity = Activity()
"""Of this process; there is one DBOS in it, too."""


def durable(queue: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Make a function of one string the workflow of ``queue``.

    It is recovered as often as it takes: bound it yourself where the work itself may kill the process.
    """

    def decorate(function: Callable[[str], None]) -> Callable[[str], None]:
        @DBOS.workflow(name=queue, max_recovery_attempts=None)
        @wraps(function)
        def run(argument: str) -> None:
            workflow_id = DBOS.workflow_id
            assert workflow_id is not None
            with activity.turn(queue, workflow_id):
                function(argument)

        return run

    return decorate
