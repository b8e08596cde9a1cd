"""Texts of the pages: one catalogue for each language, all with the same keys.

A catalogue is put together from the files ``catalogues/<part>.<language>.json``, one part per group of pages.
"""

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
    texts: dict[str, str] = {}
    for part in sorted(FOLDER.glob(f"*.{language}.json")):
        texts |= json.loads(part.read_text(encoding="utf-8"))
    return MappingProxyType(texts)


def language_of(request: Request) -> str:
    """The language asked for in the address, else the one chosen before, else Vietnamese."""
    for asked in (request.query_params.get("language"), request.cookies.get(COOKIE)):
        if asked in LANGUAGES:
            return asked
    return LANGUAGES[0]
