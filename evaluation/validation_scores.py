"""The scores that the shipped model gave the fields it was validated on: what later scores are compared with.

    python -m tamsoat.evaluation.validation_scores evaluation/reference/cric-5fold.npz SHA256 OUT.json

Each score is the calibrated probability that a field holds an abnormal cell, by the model of the folds that did not
see the field. The file is small and lies beside the quality page; the bundle is not touched.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tamsoat.evaluation.crossfit import crossfit
from tamsoat.evaluation.predictions import PredictionSet

FORMAT = "tamsoat-validation-scores/1"


def validation_scores(predictions: PredictionSet, model_digest: str) -> dict[str, Any]:
    """The content of the file: scores (0..1) of every labelled field with the group that it belongs to."""
    view = crossfit(predictions)
    rows = view.fields.row
    scores = [round(float(value), 4) for value in view.fields.probability]
    groups = [str(name) for name in predictions.images.group[rows]]
    return {"format": FORMAT, "kind": "field", "model_digest": model_digest, "scores": scores, "groups": groups}


def main(arguments: list[str]) -> None:
    """Write the file."""
    source, digest, target = arguments
    content = validation_scores(PredictionSet.load(Path(source)), digest)
    Path(target).write_text(json.dumps(content, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
