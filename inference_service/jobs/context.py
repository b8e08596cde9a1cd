"""What the process has open, for code that DBOS calls: workflows and steps have no other way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamsoat.inference_service.runtime import Runtime

_installed: list[Runtime] = []


def install(runtime: Runtime | None) -> None:
    """Make ``runtime`` the current one of this process; None: there is none any more."""
    _installed[:] = [] if runtime is None else [runtime]


def current() -> Runtime:
    """The runtime of this process, inside workflows, steps and periodic work.

    Raises:
        RuntimeError: no jobs are being worked on in this process.
    """
    if not _installed:
        raise RuntimeError("jobs were not started in this process")
    return _installed[0]
