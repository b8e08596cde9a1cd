"""Fetches the public keys of machine clients from their addresses, and keeps them for a while.

The address is the client's, so the request must not be turned on the hospital's own network: https only, one
resolution whose every address is checked, a connection to that address, no redirects, no proxy from the
environment, a limit of size and time.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpx
import structlog
from joserfc.jwk import Key

from tamsoat.inference_service.accounts.public_keys import PublicKeysError, read_keys
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import LOOPBACK_HOSTS, Settings
from tamsoat.inference_service.webhooks.destination import is_allowed

DOCUMENT_BYTES_MAX = 64 * 1024
REFETCH_PAUSE_S = 10.0
"""An unknown ``kid`` makes the service fetch again, but not more often than this; failures are believed as long."""
ADDRESSES_MAX = 1000

log = structlog.get_logger("tamsoat.clients")


class KeyAddressError(TamsoatError):
    """The address of a client's keys is not one that they may be fetched from."""

    status = 422
    title = "Key address refused"
    slug = "key-address-refused"
    exit_code = EXIT_USAGE


class KeyFetchError(TamsoatError):
    """The public keys of a client cannot be fetched now."""

    status = 503
    title = "Client keys unavailable"
    slug = "client-keys-unavailable"


@dataclass
class _Fetched:
    """The keys of one address; ``tried_s`` and ``fetched_s`` are monotonic seconds."""

    keys: dict[str, Key] = field(default_factory=dict)
    fetched_s: float = float("-inf")
    tried_s: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)


class ClientKeys:
    """The fetched keys of all clients in one process. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fetched: dict[str, _Fetched] = {}
        self._lock = threading.Lock()

    def find(self, url: str, kid: str) -> Key | None:
        """The key named ``kid`` at ``url``; None where it is not there, after one more look.

        Raises:
            KeyAddressError: the address is not allowed.
            KeyFetchError: nothing usable is known and nothing could be fetched.
        """
        entry = self._entry(url)
        with entry.lock:
            now_s = time.monotonic()
            stale = now_s - entry.fetched_s > self._settings.client_key_cache_s
            if (stale or kid not in entry.keys) and now_s - entry.tried_s >= REFETCH_PAUSE_S:
                entry.tried_s = now_s
                entry.keys = fetch(url, self._settings)
                entry.fetched_s = now_s
            elif stale:
                raise KeyFetchError("the address of the client's keys did not answer a moment ago; try again later")
            return entry.keys.get(kid)

    def _entry(self, url: str) -> _Fetched:
        with self._lock:
            if len(self._fetched) >= ADDRESSES_MAX:
                self._fetched.clear()
            return self._fetched.setdefault(url, _Fetched())


def check_address(url: str, settings: Settings) -> httpx.URL:
    """The address, checked as far as it can be without asking the name service.

    Raises:
        KeyAddressError: it is not an https URL (http only for loopback, while the service itself is on loopback).
    """
    try:
        parsed = httpx.URL(url)
        port = parsed.port
    except (httpx.InvalidURL, ValueError) as error:
        raise KeyAddressError("the address of the keys must be a URL") from error
    if len(url) > 500 or not url.isascii() or not parsed.host or parsed.userinfo or parsed.fragment or port == 0:
        raise KeyAddressError("the address of the keys must be a plain URL of at most 500 ASCII characters")
    local = parsed.scheme == "http" and parsed.host in LOOPBACK_HOSTS and settings.listens_on_loopback
    if parsed.scheme != "https" and not local:
        raise KeyAddressError("the address of the keys must begin with https://")
    return parsed


def fetch(url: str, settings: Settings) -> dict[str, Key]:
    """The keys at ``url`` by ``kid``.

    Raises:
        KeyAddressError: the address is not allowed, or leads to one that is not.
        KeyFetchError: no answer in time, a redirect or error, too large, or not a key set.
    """
    parsed = check_address(url, settings)
    deadline_s = time.monotonic() + settings.client_key_timeout_s
    address = _resolve(parsed, settings)
    try:
        content = _download(parsed, address, deadline_s, trusted_context(settings))
        return read_keys(json.loads(content))
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        log.warning("client_keys_not_fetched", kind=type(error).__name__)
        raise KeyFetchError("the address of the client's keys does not answer") from error
    except (PublicKeysError, ValueError, RecursionError) as error:
        log.warning("client_keys_not_usable", kind=type(error).__name__)
        raise KeyFetchError("the address of the client's keys holds no usable key set") from error


def trusted_context(settings: Settings) -> ssl.SSLContext:
    """The certificate authorities of the system, and those of the settings.

    Raises:
        OSError, ssl.SSLError: the file of the settings cannot be read.
    """
    context = ssl.create_default_context()
    if settings.outgoing_ca_file is not None:
        context.load_verify_locations(settings.outgoing_ca_file)
    return context


def _resolve(url: httpx.URL, settings: Settings) -> str:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise KeyFetchError("the host name of the client's keys leads to no address") from error
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        loopback = address.is_loopback and settings.listens_on_loopback
        if not loopback and not is_allowed(address, settings.key_networks):
            raise KeyAddressError(
                f"{address} is not a public address: whoever runs the service can allow its network with "
                "TAMSOAT_CLIENT_KEY_NETWORKS"
            )
    return str(addresses[0])


def _download(url: httpx.URL, address: str, deadline_s: float, trusted: ssl.SSLContext) -> bytes:
    host = f"[{url.host}]" if ":" in url.host else url.host
    headers = {"Host": host if url.port is None else f"{host}:{url.port}", "Accept": "application/json"}
    headers["Accept-Encoding"] = "identity"  # the size limit is one of bytes, not of what they unpack to
    timeout_s = max(0.1, deadline_s - time.monotonic())
    content = bytearray()
    with (
        httpx.Client(follow_redirects=False, trust_env=False, timeout=timeout_s, verify=trusted) as http,
        http.stream(
            "GET", url.copy_with(host=address), headers=headers, extensions={"sni_hostname": url.host}
        ) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise KeyFetchError(f"the address of the client's keys answers {response.status_code}")
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > DOCUMENT_BYTES_MAX or time.monotonic() > deadline_s:
                raise KeyFetchError("the client's keys are too large or arrive too slowly")
    return bytes(content)
