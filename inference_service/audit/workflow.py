"""Periodic work of the audit log: sign it, keep copies of what was signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamsoat.inference_service.audit import checkpoints
from tamsoat.inference_service.jobs.registry import Periodic

if TYPE_CHECKING:
    from tamsoat.inference_service.runtime import Runtime

LOOK_EVERY_S = 30.0


def sign_when_due(runtime: Runtime) -> None:
    """Make a checkpoint where one is due, and copy those that the folder outside lacks.

    Raises:
        AuditBrokenError, CheckpointKeepingError, DatabaseUnavailableError: logged; tried again the next time.
    """
    settings = runtime.settings
    if checkpoints.is_due(runtime.database, settings):
        checkpoints.make(runtime.database, runtime.keyring, settings)
    if settings.audit_checkpoint_dir is not None:
        checkpoints.keep_elsewhere(runtime.database, settings.audit_checkpoint_dir)


PERIODIC = (Periodic("sign-audit-log", LOOK_EVERY_S, sign_when_due),)
