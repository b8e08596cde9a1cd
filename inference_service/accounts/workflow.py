"""Periodic work: accounts that nobody uses, sessions that are over."""

from __future__ import annotations

from tamsoat.inference_service.accounts import service
from tamsoat.inference_service.jobs.registry import Periodic
from tamsoat.inference_service.runtime import Runtime

SWEEP_EVERY_S = 3600.0
"""More often than the rule's daily, so that no moment of a restart can skip a day."""


def sweep(runtime: Runtime) -> None:
    """Disable idle accounts and remove sessions past their limit. Repeatable."""
    service.disable_idle(runtime.database, runtime.settings.idle_days)
    service.remove_expired_sessions(runtime.database)


PERIODIC = (Periodic("disable-idle-accounts", SWEEP_EVERY_S, sweep),)
