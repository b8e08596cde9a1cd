"""Webhooks and deliveries on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.webhooks.destination import URL_LENGTH_MAX
from tamsoat.inference_service.webhooks.events import EventType

DeliveryState = Literal["pending", "retrying", "delivered", "failed", "paused"]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URL_LENGTH_MAX,
        description="Where messages are posted: https (http only to this machine itself), a public address or one "
        "in the networks that the settings allow",
        examples=["https://his.hospital.example/tamsoat"],
    ),
]
EventTypes = Annotated[
    list[EventType], Field(min_length=1, max_length=len(EventType), description="Which events are sent")
]

_SECRET_EXAMPLE = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - shown in the documentation
_WEBHOOK_EXAMPLE: dict[str, Any] = {
    "webhook_id": "1e0c7a34-7a04-4c3a-9d13-9f0f2f1f6a3e",
    "url": "https://his.hospital.example/tamsoat",
    "event_types": ["analysis.completed", "analysis.failed"],
    "enabled": True,
    "paused_reason": None,
    "created_at": "2026-03-02T08:15:00Z",
    "two_secrets_until": None,
}
_DELIVERY_EXAMPLE: dict[str, Any] = {
    "delivery_id": "6f5b1f62-7a63-4b54-8a6e-6b3c3a0f8d0e",
    "webhook_id": "1e0c7a34-7a04-4c3a-9d13-9f0f2f1f6a3e",
    "event_id": "msg_8b1c3a52cf8e4f4d9c5b1c8a7d6e5f40",
    "event_type": "analysis.completed",
    "data": {"analysis_id": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11"},
    "state": "retrying",
    "created_at": "2026-03-02T08:15:00Z",
    "next_attempt_at": "2026-03-02T08:15:11Z",
    "finished_at": None,
    "attempts": [
        {
            "attempted_at": "2026-03-02T08:15:00Z",
            "duration_s": 0.21,
            "status": 500,
            "error": "status",
            "excerpt": "busy",
        }
    ],
}


class NewWebhook(BaseModel):
    """A webhook to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{name: _WEBHOOK_EXAMPLE[name] for name in ("url", "event_types")}]},
    )

    url: Url
    event_types: EventTypes


class WebhookChange(BaseModel):
    """What to change; members that are absent stay as they are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: Url | None = None
    event_types: EventTypes | None = None
    enabled: bool | None = Field(
        None, description="false: events wait as `paused`; true: they are sent, those that waited first"
    )


class WebhookAnswer(BaseModel):
    """A webhook of the facility, without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WEBHOOK_EXAMPLE]})

    webhook_id: str
    url: str
    event_types: list[str]
    enabled: bool
    paused_reason: Literal["gone", "switched-off"] | None = Field(
        description="`gone`: the receiver answered 410; null while enabled"
    )
    created_at: datetime
    two_secrets_until: datetime | None = Field(
        description="Until then messages are signed with the new and with the previous secret"
    )


class WebhookWithSecret(WebhookAnswer):
    """A webhook with its new secret, which is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_WEBHOOK_EXAMPLE, "secret": _SECRET_EXAMPLE}]})

    secret: str = Field(description="Key of the signatures (Standard Webhooks, `whsec_` and base64); keep it secret")


class WebhookList(BaseModel):
    """Every webhook of the facility, oldest first."""

    items: list[WebhookAnswer]


class AttemptAnswer(BaseModel):
    """One attempt."""

    attempted_at: datetime
    duration_s: float = Field(description="Seconds until the answer or the failure")
    status: int | None = Field(description="HTTP status of the receiver; null where there was no answer")
    error: str | None = Field(
        description="null where it was taken; `status`, `redirect`, `gone`, `timeout`, `not-reachable`, `tls`, "
        "`protocol`, `name-not-found`, `address-refused`, `internal` (a fault on this side)"
    )
    excerpt: str | None = Field(description="The first 500 bytes of the receiver's answer")


class DeliveryAnswer(BaseModel):
    """One event on its way to one webhook."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY_EXAMPLE]})

    delivery_id: str
    webhook_id: str
    event_id: str = Field(description="The `webhook-id` of the message, the same in every attempt")
    event_type: str
    data: dict[str, str | int | bool | None]
    state: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="null once delivered, failed or paused")
    finished_at: datetime | None
    attempts: list[AttemptAnswer] = Field(description="Oldest first")


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first."""

    items: list[DeliveryAnswer]
    next_before: str | None = Field(description="`before` of the next page; null when this is the last page")
