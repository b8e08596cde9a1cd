"""Settings: webhooks."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from pydantic import BaseModel, Field, field_validator


class WebhookSettings(BaseModel):
    """Webhooks."""

    webhook_networks: str = Field(
        "",
        description="networks besides the public internet that messages may be sent to, separated by commas, for "
        "example `10.20.0.0/16,127.0.0.1/32`: that of the hospital's HIS",
    )
    webhook_ca_file: Path | None = Field(
        None, description="PEM file of further certificate authorities that receivers' certificates may come from"
    )
    webhook_timeout_s: float = Field(
        15.0,
        gt=0,
        le=120,
        description="seconds that a receiver may take for one message, from connecting to the answer",
    )
    webhook_retry_s: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="seconds before the second attempt; each further pause is three times as long, at most six hours",
    )
    webhook_retry_days: float = Field(
        5.0, gt=0, le=30, description="days after which a message that no receiver took counts as failed"
    )

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in _parts(value):
            ip_network(part)
        return value

    @property
    def webhook_network_list(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that are allowed besides the public internet."""
        return tuple(ip_network(part) for part in _parts(self.webhook_networks))


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
