"""The scale that a slide file states of itself: checked, averaged over both axes, never guessed."""

from __future__ import annotations

import math

from tamsoat.inference_service.slides.errors import ImageError

MIN_MPP = 0.05
MAX_MPP = 2.0
"""Micrometres per pixel outside [MIN_MPP, MAX_MPP] do not occur in light microscopy of smears. Files say such things
when they mean nothing: 72 and 96 dots per inch are 353 and 265 micrometres."""

MAX_ANISOTROPY = 0.03
"""Most by which the scales of the two axes may differ, relative to the smaller one."""


class AnisotropicScaleError(ImageError):
    """The pixels of the slide are not square."""

    title = "Pixels of the slide are not square"
    slug = "scale-anisotropic"


def mean_mpp(mpp_x: float | None, mpp_y: float | None) -> float | None:
    """Micrometres per pixel from the two axes of a file; None where it states nothing plausible.

    Raises:
        AnisotropicScaleError: the axes differ by more than 3 %.
    """
    if mpp_x is None or mpp_y is None or not (is_plausible(mpp_x) and is_plausible(mpp_y)):
        return None
    if abs(mpp_x - mpp_y) > MAX_ANISOTROPY * min(mpp_x, mpp_y):
        raise AnisotropicScaleError(
            f"the file states {mpp_x:.4g} micrometres per pixel across and {mpp_y:.4g} down: cells would look "
            "stretched; export the slide with square pixels"
        )
    return (mpp_x + mpp_y) / 2


def is_plausible(mpp: float) -> bool:
    """Whether a microscope image of a smear can have this many micrometres per pixel."""
    return math.isfinite(mpp) and MIN_MPP <= mpp <= MAX_MPP


def number(text: object) -> float | None:
    """A finite number out of a property of a file; None for anything else."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
