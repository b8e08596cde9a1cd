"""Settings: audit log and checkpoints."""

from __future__ import annotations

from pydantic import BaseModel


class AuditSettings(BaseModel):
    """Audit log and checkpoints."""
