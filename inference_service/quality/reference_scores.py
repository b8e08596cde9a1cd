"""The scores of the validation of a model, from the file that was made of its reference predictions."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent / "reference"
FORMAT = "tamsoat-validation-scores/1"


@cache
def reference_scores(model_digest: str) -> NDArray[np.float64] | None:
    """Probability of an abnormality (0..1) of every validation field; None: this model has no reference here."""
    path = FOLDER / f"{model_digest}.json"
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["format"] != FORMAT or content["model_digest"] != model_digest:
        raise ValueError(f"{path.name} is not a file of validation scores of this model")
    return np.array(content["scores"], dtype=np.float64)
