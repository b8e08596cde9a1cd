"""Public verification codes: 128 random bits in Crockford's base 32, which has no letters that are mistaken."""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""https://www.crockford.com/base32.html: without I, L, O and U."""
LENGTH = 26
BITS = 128
_MISTAKEN = str.maketrans({"O": "0", "I": "1", "L": "1"})


def make() -> str:
    """A code that nobody can guess."""
    number = secrets.randbits(BITS)
    return "".join(ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(LENGTH)))


def read(text: str) -> str | None:
    """The code in what a person typed (small letters, spaces, hyphens, O for 0); None where it cannot be one."""
    plain = "".join(text.upper().replace("-", " ").split()).translate(_MISTAKEN)
    return plain if len(plain) == LENGTH and set(plain) <= set(ALPHABET) else None


def grouped(code: str) -> str:
    """The code as it is printed: groups of four."""
    return "-".join(code[start : start + 4] for start in range(0, LENGTH, 4))


def lookup_hash(code: str) -> str:
    """What the database finds a code by: the time that the search takes tells nothing about the code."""
    return hashlib.sha256(b"tamsoat-report-code\x00" + code.encode("ascii")).hexdigest()
