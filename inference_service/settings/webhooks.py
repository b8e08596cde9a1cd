"""Settings: webhooks."""

from __future__ import annotations

from pydantic import BaseModel


class WebhookSettings(BaseModel):
    """Webhooks."""
