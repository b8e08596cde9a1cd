"""QR codes as drawings."""

from __future__ import annotations

import io

import segno

QUIET_MODULES = 4
"""White border that ISO/IEC 18004 asks for."""


def qr_svg(text: str) -> str:
    """A QR code (error correction M) as SVG, black on white."""
    stream = io.BytesIO()
    segno.make_qr(text, error="m").save(
        stream, kind="svg", border=QUIET_MODULES, xmldecl=False, svgns=True, dark="#000", light="#fff", nl=False
    )
    return stream.getvalue().decode("utf-8")
