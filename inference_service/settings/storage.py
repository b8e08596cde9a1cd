"""Settings: uploads, stored files, decoding."""

from __future__ import annotations

from pydantic import BaseModel


class StorageSettings(BaseModel):
    """Uploads, stored files, decoding."""
