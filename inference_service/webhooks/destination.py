"""Where messages may go: the guard against requests that are turned on the hospital's own network.

The rule is about addresses, not names: the name is resolved once, every check is made on the address, and the
connection goes to that address. Public addresses are allowed, and those of the networks in the settings.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import anyio
import httpx

from tamsoat.inference_service.errors import TamsoatError

URL_LENGTH_MAX = 2000
PORT_MAX = 65535
LOOPBACK_NAMES = ("localhost",)
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_NAT64 = ip_network("64:ff9b::/96")


class WebhookAddressError(TamsoatError):
    """The address of a webhook is not one that messages may be sent to."""

    status = 422
    title = "Webhook address refused"
    slug = "webhook-address-refused"


class NameNotResolvedError(WebhookAddressError):
    """The host name of a webhook leads to no address."""

    title = "Webhook host not found"
    slug = "webhook-host-not-found"


def check_url(text: str, networks: Sequence[Network]) -> httpx.URL:
    """The URL of a webhook, checked as far as it can be without asking the name service.

    Raises:
        WebhookAddressError: it is not https (http is for loopback only), names a user, or an address that is
            not allowed.
    """
    try:
        url = httpx.URL(text)
        port = url.port
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise WebhookAddressError("the address of a webhook must be a URL") from error
    if len(text) > URL_LENGTH_MAX or not url.host or not text.isascii() or not text.isprintable() or " " in text:
        raise WebhookAddressError(f"the address must be a URL of at most {URL_LENGTH_MAX} ASCII characters")
    if url.userinfo or url.fragment or (port is not None and not 0 < port <= PORT_MAX):
        raise WebhookAddressError("the address must hold no user name, password, fragment or impossible port")
    literal = _literal(url.host)
    loopback = literal.is_loopback if literal else url.host.lower() in LOOPBACK_NAMES
    if url.scheme != "https" and not (url.scheme == "http" and loopback):
        raise WebhookAddressError("the address must begin with https:// (http:// only for this machine itself)")
    if literal is not None and not is_allowed(literal, networks):
        raise WebhookAddressError(_refusal(literal))
    return url


async def resolve(host: str, port: int, networks: Sequence[Network]) -> Address:
    """The address to connect to for ``host``.

    Raises:
        NameNotResolvedError: the name service knows no address.
        WebhookAddressError: one of its addresses is not allowed; then none is used.
    """
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NameNotResolvedError("the host name of the webhook leads to no address") from error
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if not is_allowed(address, networks):
            raise WebhookAddressError(_refusal(address))
    return addresses[0]


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether messages may go to ``address``: it is public, or in one of ``networks``."""
    inner = _embedded(address)
    if any(inner.version == network.version and inner in network for network in networks):
        return True
    return inner.is_global and not inner.is_multicast


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, Teredo, NAT64), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refusal(address: Address) -> str:
    return (
        f"{address} is not a public address: whoever runs the service can allow its network with "
        "TAMSOAT_WEBHOOK_NETWORKS"
    )
