"""Who may call an endpoint: declared once per endpoint, enforced here, shown in the OpenAPI document.

An endpoint takes ``principal: Annotated[Principal, allow(Role.PATHOLOGIST, scope="system/Observation.r")]``, or
``Annotated[None, public("why")]``. Every endpoint has exactly one of the two (tests/integration/test_access_matrix.py).
Rows are narrowed to ``principal.facility_id`` by the services; another facility's row answers 404, never 403.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.transport.rate_limits import Limit, RateLimits

log = structlog.get_logger("tamsoat.access")


class Role(StrEnum):
    """What a person or a system does here."""

    CYTOTECHNOLOGIST = "cytotechnologist"
    PATHOLOGIST = "pathologist"
    RESEARCHER = "researcher"
    INTEGRATOR = "integrator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


READERS = (Role.CYTOTECHNOLOGIST, Role.PATHOLOGIST)
"""Those who look at slides."""
EVERYONE = tuple(Role)


class NotSignedInError(TamsoatError):
    """The request carries no valid session or token."""

    status = 401
    title = "Sign-in required"
    slug = "not-signed-in"


class ForbiddenError(TamsoatError):
    """The signed-in person or system lacks the role or scope."""

    status = 403
    title = "Not permitted"
    slug = "forbidden"


class AccountSetupError(TamsoatError):
    """The signed-in person must first choose a password or enrol the second factor."""

    status = 403
    title = "Account set-up unfinished"
    slug = "account-setup"


Pending = Literal["change-password", "enrol-second-factor"]
"""What a person has to do before anything else works."""


@dataclass(frozen=True)
class Principal:
    """Who makes a request.

    Attributes:
        actor: as the audit log names it: ``account:<id>``, ``client:<id>`` or ``local``.
        kind: a person, a machine client, or this machine without sign-in.
        facility_id: whose rows are visible.
        roles: a client has the role ``integrator`` alone.
        scopes: of a client's token, SMART v2 syntax (``system/ServiceRequest.crs``); empty for people.
        pending: what the person has to do first; ``roles`` is empty until it is done.
    """

    actor: str
    kind: Literal["account", "client", "local"]
    facility_id: str
    roles: frozenset[Role]
    scopes: frozenset[str] = frozenset()
    pending: Pending | None = None

    def has(self, *roles: Role) -> bool:
        """Whether one of ``roles`` is held."""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True)
class Access:
    """The declaration of one endpoint; as a dependency it returns the principal or raises 401 or 403.

    ``during_setup``: also for a person who still has to choose a password or enrol the second factor.
    """

    roles: frozenset[Role]
    scope: str | None = None
    during_setup: bool = False

    def __call__(self, request: Request) -> Principal:
        from tamsoat.inference_service.accounts.authentication import authenticate

        rate_limits: RateLimits = request.app.state.rate_limits
        try:
            principal = authenticate(request)
        except NotSignedInError:
            rate_limits.charge(request, None)
            raise
        rate_limits.charge(request, principal)
        if principal is None:
            raise NotSignedInError("sign in, or send a valid bearer token")
        if principal.pending is not None:
            if self.during_setup:
                return principal
            raise AccountSetupError(f"finish signing in first: {principal.pending}")
        if not principal.has(*self.roles):
            needed = ", ".join(sorted(role.value for role in self.roles))
            log.warning("access_denied", actor=principal.actor, facility=principal.facility_id, reason="role")
            raise ForbiddenError(f"this needs one of the roles: {needed}")
        if principal.kind == "client" and (self.scope is None or not grants(principal.scopes, self.scope)):
            log.warning("access_denied", actor=principal.actor, facility=principal.facility_id, reason="scope")
            raise ForbiddenError(f"the token lacks the scope {self.scope}" if self.scope else "not for clients")
        return principal


@dataclass(frozen=True)
class Public:
    """The declaration of an endpoint that needs no sign-in, with its reason and the rate limit of its callers."""

    reason: str
    limit: Limit = Limit.ADDRESS

    async def __call__(self, request: Request) -> None:
        if self.limit is not Limit.NONE:
            rate_limits: RateLimits = request.app.state.rate_limits
            rate_limits.charge(request, None, self.limit)


def allow(*roles: Role, scope: str | None = None, during_setup: bool = False) -> Any:
    """``Depends`` for an endpoint that needs one of ``roles``; clients also need ``scope`` (None: never clients)."""
    return Depends(Access(frozenset(roles), scope, during_setup), scope="function")


def public(reason: str, limit: Limit = Limit.ADDRESS) -> Any:
    """``Depends`` for an endpoint that anyone may call, as often as ``limit`` says."""
    return Depends(Public(reason, limit))


def grants(scopes: frozenset[str], needed: str) -> bool:
    """Whether SMART v2 ``scopes`` cover ``needed`` (one resource, one or more of the letters c r u d s)."""
    resource, _, letters = needed.rpartition(".")
    for scope in scopes:
        held, _, rights = scope.rpartition(".")
        if held in (resource, "system/*") and (rights == "*" or set(letters) <= set(rights)):
            return True
    return False


def declaration(route: APIRoute | RouteContext) -> Access | Public | None:
    """What ``route`` declares; None where it declares nothing or two things, which is a fault."""
    found = [
        dependant.call for dependant in route.dependant.dependencies if isinstance(dependant.call, (Access, Public))
    ]
    return found[0] if len(found) == 1 else None


def scopes_of(app: FastAPI) -> set[str]:
    """Every scope that an endpoint of ``app`` declares."""
    routes = (route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute))
    declared = (declaration(route) for route in routes)
    return {found.scope for found in declared if isinstance(found, Access) and found.scope is not None}


def describe_access(app: FastAPI, schema: dict[str, Any]) -> None:
    """Write every endpoint's declaration into the OpenAPI document as ``x-access``, with its security schemes."""
    schema.setdefault("components", {})["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "tamsoat-session"},
        "client": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute) or not route.include_in_schema:
            continue
        declared = declaration(route)
        for method in route.methods or ():
            operation = schema["paths"].get(route.path_format or "", {}).get(method.lower())
            if operation is None or declared is None:
                continue
            limit = declared.limit if isinstance(declared, Public) else Limit.CALLER
            if limit is not Limit.NONE:
                operation["x-rate-limit"] = limit.value
            if isinstance(declared, Public):
                operation["x-access"] = {"public": declared.reason}
                operation["security"] = []
                continue
            operation["x-access"] = {"roles": sorted(role.value for role in declared.roles), "scope": declared.scope}
            operation["security"] = [{"session": []}, *([{"client": [declared.scope]}] if declared.scope else [])]
