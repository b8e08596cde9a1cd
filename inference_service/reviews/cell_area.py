"""Where a slide bears cells, on the grid of its coverage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from tamsoat.inference_service.uploads.tables import Slide


def cell_bearing(session: Session, slide: Slide, columns: int, rows: int) -> NDArray[np.bool_] | None:
    """``[rows, columns]``: whether the square bears cells; None where the screening has not said it."""
    return None
