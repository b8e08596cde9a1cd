"""What a worker that goes on with a slide has to know of how it was begun."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.screening.slide_plan import Scaling, SlidePlan, choose_scaling, plan_of, plan_slide
from tamsoat.inference_service.screening.slide_reading import SlideSource


@dataclass(frozen=True, eq=False)
class SlideWork:
    """``glass`` ``[3]``: colour of the empty slide; ``mpp``: of level 0; ``planes``: focal planes of the file."""

    plan: SlidePlan
    glass: NDArray[np.float64]
    mpp: float
    planes: int

    def describe(self, engine: Engine) -> bytes:
        """As bytes: a line of JSON, then one bit for every tile of the plan."""
        head = {
            "scaling": asdict(self.plan.scaling),
            "glass": self.glass.tolist(),
            "mpp": self.mpp,
            "planes": self.planes,
            "model": engine.bundle.digest,
        }
        chosen = np.zeros(self.plan.tiles.n_tiles, np.bool_)
        chosen[self.plan.order] = True
        return json.dumps(head, sort_keys=True).encode() + b"\n" + np.packbits(chosen).tobytes()


def begin(engine: Engine, source: SlideSource, *, whole: bool = False) -> SlideWork:
    """Look where the cells are and plan the tiles; ``whole`` analyses empty glass too.

    Raises:
        ImageError: the slide cannot be read.
    """
    area = source.cell_area()
    scaling = choose_scaling(source.info, source.mpp, engine.bundle.mpp)
    plan = plan_slide(engine, scaling, None if whole else area)
    return SlideWork(plan, area.glass, source.mpp, source.info.planes)


def go_on(engine: Engine, described: bytes) -> SlideWork | None:
    """What :meth:`SlideWork.describe` told; None where another model has to go on."""
    line, _, bits = described.partition(b"\n")
    head = json.loads(line)
    if head["model"] != engine.bundle.digest:
        return None
    scaling = Scaling(**head["scaling"])
    tiles = engine.plan(scaling.width_px, scaling.height_px)
    chosen = np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8), count=tiles.n_tiles))
    return SlideWork(plan_of(scaling, tiles, chosen), np.asarray(head["glass"]), head["mpp"], head["planes"])
