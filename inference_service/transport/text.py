"""Text that every database can store."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not hold the character NUL")
    return value


Text = Annotated[str, AfterValidator(_storable)]
"""A string without NUL, which PostgreSQL refuses; unpaired surrogates are refused by pydantic itself."""
