"""Scopes of machine clients: SMART App Launch 2.2, ``system/<resource>.<c r u d s>``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tamsoat.inference_service.accounts.access import grants
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError

SCOPES_MAX = 40
_SCOPE = re.compile(r"system/(?:\*|[A-Z][A-Za-z]{2,40})\.(?=[cruds])c?r?u?d?s?")


class ScopeError(TamsoatError):
    """A scope is not one that a machine client can hold."""

    status = 422
    title = "Scope is not valid"
    slug = "scope-invalid"
    exit_code = EXIT_USAGE


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes in order, each once.

    Raises:
        ScopeError: none, too many, or one that does not follow the syntax.
    """
    unique = list(dict.fromkeys(scopes))
    if not 1 <= len(unique) <= SCOPES_MAX:
        raise ScopeError(f"a client has between 1 and {SCOPES_MAX} scopes")
    for scope in unique:
        if not _SCOPE.fullmatch(scope):
            raise ScopeError(
                "a scope reads system/<Resource>.<letters of c r u d s in this order>, for example "
                "system/ServiceRequest.cr"
            )
    return unique


def within(allowed: Iterable[str], scope: str) -> bool:
    """Whether a client that may hold ``allowed`` may ask for ``scope``."""
    return _SCOPE.fullmatch(scope) is not None and grants(frozenset(allowed), scope)
