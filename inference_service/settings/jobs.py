"""Settings: screening jobs and workers."""

from __future__ import annotations

from pydantic import BaseModel


class JobSettings(BaseModel):
    """Screening jobs and workers."""
