"""Settings: machine clients, OpenID Connect, rate limits."""

from __future__ import annotations

from pydantic import BaseModel


class ClientSettings(BaseModel):
    """Machine clients, OpenID Connect, rate limits."""
