"""How many requests a minute one caller may send (IETF draft-ietf-httpapi-ratelimit-headers-10).

Who is signed in counts by their own name, everybody else by network address (IPv6 by /64). The counters are those of
one process: with several processes behind one address a caller may send that many times as much. Requests of this
machine without sign-in, health checks and metrics are not counted.
"""

from __future__ import annotations

import math
import time
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import Request
from starlette.types import Scope

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import Settings

if TYPE_CHECKING:
    from tamsoat.inference_service.accounts.access import Principal

WINDOW_S = 60
CALLERS_MAX = 20_000
"""Above this number of callers within a minute, new addresses share one counter: nobody fills the memory."""
_STATE = "tamsoat.rate_limit"


class Limit(StrEnum):
    """Which limit a request counts towards."""

    NONE = "none"
    CALLER = "caller"
    ADDRESS = "address"
    TOKEN = "token"  # noqa: S105 - the name of a limit


class TooManyRequestsError(TamsoatError):
    """This caller has sent more requests than the settings allow for a minute."""

    status = 429
    title = "Too many requests"
    slug = "too-many-requests"

    def __init__(self, most: int, wait_s: int) -> None:
        super().__init__(f"more than {most} requests within a minute: try again in {wait_s} s")
        self.wait_s = wait_s

    def http_headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.wait_s)}


class RateLimits:
    """The counters of one process. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)
        most = {
            Limit.CALLER: settings.rate_limit_per_minute,
            Limit.ADDRESS: settings.anonymous_rate_limit_per_minute,
            Limit.TOKEN: settings.token_rate_limit_per_minute,
        }
        self._items = {limit: RateLimitItemPerMinute(count) for limit, count in most.items() if count}

    def charge(self, request: Request, principal: Principal | None, limit: Limit = Limit.ADDRESS) -> None:
        """Count ``request`` once: towards its principal, or without one towards ``limit`` of its address.

        Raises:
            TooManyRequestsError: it is one too many.
        """
        scope = request.scope
        if _STATE in scope or limit is Limit.NONE or (principal is not None and principal.kind == "local"):
            return
        limit = limit if principal is None else Limit.CALLER
        item = self._items.get(limit)
        if item is None:
            return
        key = principal.actor if principal is not None else self._address_key(request)
        allowed = self._limiter.hit(item, limit, key)
        reset_s, remaining = self._limiter.get_window_stats(item, limit, key)
        wait_s = max(1, math.ceil(reset_s - time.time()))
        scope[_STATE] = (limit.value, item.amount, remaining, wait_s)
        if not allowed:
            raise TooManyRequestsError(item.amount, wait_s)

    def _address_key(self, request: Request) -> str:
        if len(self._storage.storage) > CALLERS_MAX:
            return "others"
        host = request.client.host if request.client else ""
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return host
        if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
            return f"{int(address) >> 64:x}::/64"
        return str(address)


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers that tell the caller where it stands; none where the request was not counted."""
    state = scope.get(_STATE)
    if state is None:
        return {}
    name, most, remaining, wait_s = state
    return {
        "ratelimit-policy": f'"{name}";q={most};w={WINDOW_S}',
        "ratelimit": f'"{name}";r={remaining};t={wait_s}',
    }
