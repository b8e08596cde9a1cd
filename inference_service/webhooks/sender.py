"""Send one message: bounded in time and size, to the checked address only, without following redirects."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

import anyio
import httpx

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport import tracing
from tamsoat.inference_service.webhooks import schedule
from tamsoat.inference_service.webhooks.destination import (
    NameNotResolvedError,
    WebhookAddressError,
    check_url,
    resolve,
)

EXCERPT_BYTES = 500
USER_AGENT = "tamsoat-webhooks/1"


class WebhookCaFileError(TamsoatError):
    """The file of further certificate authorities cannot be used."""

    status = 500
    title = "Certificate authorities of webhooks cannot be read"
    slug = "webhook-ca-file"
    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        status: the receiver's HTTP status; None where there was no answer.
        error: None when the receiver took the message (2xx), else the code of what went wrong.
        excerpt: the first 500 bytes of the answer.
        retry_after_s: the pause that the receiver asks for.
    """

    attempted_at: datetime
    duration_s: float
    status: int | None = None
    error: str | None = None
    excerpt: str | None = None
    retry_after_s: float | None = None


def send(url: str, body: str, headers: Mapping[str, str], settings: Settings) -> Outcome:
    """Post ``body`` to ``url``; blocks for at most ``webhook_timeout_s``. Never raises for what a receiver does.

    Raises:
        WebhookCaFileError: the file in the settings cannot be used.
    """
    context = _tls_context(settings.webhook_ca_file)
    attempted_at, start_s = datetime.now(UTC), time.monotonic()
    try:
        with tracing.span("webhook send", bytes=len(body)):
            status, excerpt, asked = anyio.run(partial(_exchange, url, body, headers, settings, context))
    except Exception as error:
        code = _error_code(error)
        if code is None:
            raise
        return Outcome(attempted_at, time.monotonic() - start_s, error=code)
    return Outcome(
        attempted_at,
        time.monotonic() - start_s,
        status,
        _refusal(status),
        excerpt.decode("utf-8", "replace"),
        schedule.retry_after_s(asked, attempted_at),
    )


async def _exchange(
    url_text: str, body: str, headers: Mapping[str, str], settings: Settings, context: ssl.SSLContext
) -> tuple[int, bytes, str | None]:
    networks = settings.webhook_network_list
    with anyio.fail_after(settings.webhook_timeout_s):
        url = check_url(url_text, networks)
        port = url.port or (443 if url.scheme == "https" else 80)
        address = await resolve(url.host, port, networks)
        sent = {
            **headers,
            "host": url.netloc.decode("ascii"),
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
        }
        async with (
            httpx.AsyncClient(verify=context, trust_env=False, timeout=settings.webhook_timeout_s) as client,
            # The name is for the certificate; the connection goes to the address that was checked.
            client.stream(
                "POST",
                url.copy_with(host=str(address)),
                content=body.encode("utf-8"),
                headers=sent,
                extensions={"sni_hostname": url.host},
                follow_redirects=False,
            ) as response,
        ):
            return response.status_code, await _excerpt(response), response.headers.get("retry-after")


async def _excerpt(response: httpx.Response) -> bytes:
    received = b""
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) >= EXCERPT_BYTES:
            break
    return received[:EXCERPT_BYTES]


def _refusal(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if status == 410:
        return "gone"
    return "redirect" if 300 <= status < 400 else "status"


def _error_code(error: BaseException) -> str | None:
    if isinstance(error, NameNotResolvedError):
        return "name-not-found"
    if isinstance(error, WebhookAddressError):
        return "address-refused"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "timeout"
    if isinstance(error, httpx.TransportError | OSError):
        return _transport_code(error)
    return None


def _transport_code(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls"
        cause = cause.__cause__ or cause.__context__
    return "not-reachable" if isinstance(error, httpx.ConnectError | OSError) else "protocol"


@lru_cache(maxsize=4)
def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise WebhookCaFileError(f"{ca_file}: not a readable PEM file of certificates") from error
    return context
