"""Settings: retention, backup, traces."""

from __future__ import annotations

from pydantic import BaseModel


class OperationsSettings(BaseModel):
    """Retention, backup, traces."""
