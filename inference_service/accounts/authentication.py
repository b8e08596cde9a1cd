"""From a request to its principal: a bearer token, a session cookie, or this machine itself."""

from __future__ import annotations

from fastapi import Request

from tamsoat.inference_service.accounts.access import EVERYONE, Principal
from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY

LOCAL = Principal("local", "local", LOCAL_FACILITY, frozenset(EVERYONE))
"""Whoever sits at the machine of a service that listens on loopback and has no account yet."""


def authenticate(request: Request) -> Principal | None:
    """The principal of ``request``; None where it carries no valid proof of one."""
    settings = request.app.state.settings
    return LOCAL if settings.access == "auto" and settings.listens_on_loopback else None
