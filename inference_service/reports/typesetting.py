"""Makes the PDF of one sheet: PDF/A-2a and PDF/UA-1 by Typst, from one template for every language.

The data goes in as JSON beside the template and is never part of the markup; nothing is read but the template's
folder, no font of the system, no package, no network. Called in a child process with limits (``rendering``).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Literal

from tamsoat.inference_service.errors import TamsoatError

TEMPLATES = Path(__file__).resolve().parent / "template"
MESSAGE_LENGTH = 300
STANDARDS: tuple[Literal["a-2a"], Literal["ua-1"]] = ("a-2a", "ua-1")
"""PDF/A-4 would be newer, but it excludes PDF/UA-1."""
PRINTABLE = (
    (0x20, 0x7E), (0xA1, 0xAC), (0xAE, 0x24F), (0x2B0, 0x3FF), (0x400, 0x45F), (0x1E00, 0x1EFF), (0x2010, 0x2027),
    (0x2030, 0x2040), (0x2070, 0x209C), (0x20A0, 0x20BF), (0x2190, 0x22FF), (0x25A0, 0x25FF),
)  # fmt: skip
"""Code points that the fonts inside Typst have, all of Vietnamese among them; a test sets every one of them."""


class TypesettingError(TamsoatError):
    """The template and the data did not become a PDF."""

    status = 500
    title = "Report could not be typeset"
    slug = "report-typesetting"


def legible(text: str) -> str:
    """``text`` composed (NFC), with ``[U+6F22]`` in place of every character that no embedded font has.

    PDF/A forbids a missing glyph, and nothing that somebody wrote may be left out in silence.
    """
    composed = unicodedata.normalize("NFC", text)
    return "".join(letter if _is_printable(letter) else f"[U+{ord(letter):04X}]" for letter in composed)


def _is_printable(letter: str) -> bool:
    code = ord(letter)
    return any(first <= code <= last for first, last in PRINTABLE) and unicodedata.category(letter) != "Cn"


def typeset(sheet_json: str, created_at: datetime) -> bytes:
    """The PDF of a sheet (JSON of ``sheet.Sheet``); equal bytes for equal input and the same version of Typst.

    Raises:
        TypesettingError: it did not become a PDF; the detail holds Typst's words without what they quote.
    """
    import typst

    try:
        return typst.compile(
            str(TEMPLATES / "report.typ"),
            root=str(TEMPLATES),
            ignore_system_fonts=True,
            sys_inputs={"sheet": sheet_json},
            pdf_standards=[*STANDARDS],
            timestamp=int(created_at.timestamp()),
            package_path=str(TEMPLATES),
            package_cache_path=str(TEMPLATES),
        )
    except typst.TypstError as error:
        raise TypesettingError(_without_quotes(str(error.message))) from None


def _without_quotes(words: str) -> str:
    """Typst quotes the text that it stumbles over: that is what somebody wrote about a patient."""
    return re.sub(r"`[^`]*`|\"[^\"]*\"", "…", words)[:MESSAGE_LENGTH]
