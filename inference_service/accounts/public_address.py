"""The address by which callers know the service."""

from __future__ import annotations

from starlette.requests import Request


def base_url(request: Request) -> str:
    """Scheme, host and port, without a slash at the end.

    Without a public address the service is on loopback, and the guard of host names has checked the one used here.
    """
    return (request.app.state.settings.public_url or str(request.base_url)).rstrip("/")
