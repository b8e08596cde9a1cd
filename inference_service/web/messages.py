"""Texts of the server-rendered pages: one catalogue for each language, all with the same keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request

LANGUAGES = ("vi", "en")
"""The first one is the default."""
COOKIE = "tamsoat-language"
FOLDER = Path(__file__).resolve().parent / "catalogues"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The texts of ``language`` by key."""
    return MappingProxyType(json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8")))


def language_of(request: Request) -> str:
    """The language asked for in the address, else the one chosen before, else Vietnamese."""
    for asked in (request.query_params.get("language"), request.cookies.get(COOKIE)):
        if asked in LANGUAGES:
            return asked
    return LANGUAGES[0]
