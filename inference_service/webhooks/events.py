"""The kinds of events, and the bytes that are sent for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from tamsoat.inference_service.audit.schemas import canonical_json

Data = Mapping[str, str | int | bool | None]
"""Identifiers, codes and counts; never a name, a number of a person or free text."""

CODE_LENGTH_MAX = 200


class EventType(StrEnum):
    """What a webhook can hear of."""

    ANALYSIS_COMPLETED = "analysis.completed"
    ANALYSIS_FAILED = "analysis.failed"
    ORDER_UPDATED = "order.updated"
    REPORT_AMENDED = "report.amended"
    REPORT_SIGNED = "report.signed"


TEST = "webhook.test"
"""The event that an administrator sends by hand; every webhook takes it."""


def check_data(data: Data) -> None:
    """Refuse data that cannot be identifiers and codes.

    Raises:
        ValueError: a text longer than any identifier, or a nested value; a fault of the program.
    """
    for name, value in data.items():
        if not isinstance(value, str | int | bool | None) or len(str(value)) > CODE_LENGTH_MAX:
            raise ValueError(f"event data {name} is neither an identifier nor a code")


def payload(kind: str, created_at: datetime, data: Data) -> str:
    """The body of the message as Standard Webhooks names its members; equal in every attempt."""
    moment = created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return canonical_json({"type": kind, "timestamp": moment, "data": dict(data)})
