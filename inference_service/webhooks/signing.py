"""Secrets and signatures of webhooks, by the Standard Webhooks scheme (standardwebhooks.com, version 1)."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook as Signer

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that every secret has
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret of 256 bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def headers(event_id: str, body: str, at: datetime, signing_secrets: Sequence[str]) -> dict[str, str]:
    """The headers that prove where ``body`` comes from, one signature per secret.

    Args:
        event_id: the same in every attempt; the receiver tells repetitions by it.
        at: when this attempt is made; receivers refuse one that is more than five minutes off.
    """
    moment = at.astimezone(UTC)
    signatures = [Signer(secret).sign(event_id, moment, body) for secret in signing_secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
