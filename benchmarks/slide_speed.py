"""A slide screened as a whole, against reading all its tiles and running all its tiles, measured apart.

    python benchmarks/slide_speed.py --side-px 20000 --fields DATASET

Target: whole <= 1.15 x the larger of the two. Every tile is read and run, empty glass too.
"""

from __future__ import annotations

import time

import numpy as np
from slide_material import engine_of, parser, slide_of, source_of

from tamsoat.inference_service.screening import slide_work
from tamsoat.inference_service.screening.slide_run import screen_tiles

KEPT_BATCHES = 4
TARGET = 1.15


def main() -> None:
    options = parser(__doc__, 3000).parse_args()
    path = slide_of(options, options.side_px)
    with engine_of(options) as engine:
        source = source_of(path)
        began_s = time.perf_counter()
        area = slide_work.begin(engine, source)
        look_s = time.perf_counter() - began_s
        work = slide_work.begin(engine, source, whole=True)
        tiles = len(work.plan.order)

        began_s = time.perf_counter()
        kept = []
        for number, batch in enumerate(source.batches(work.plan, 0, work.glass)):
            if number < KEPT_BATCHES:
                kept.append(batch.pixels)
        read_s = time.perf_counter() - began_s

        # The same number of tiles through the network, from memory.
        stock = np.concatenate(kept)
        engine.run_tiles(stock[:8])
        began_s = time.perf_counter()
        done = 0
        while done < tiles:
            count = min(len(stock), tiles - done)
            engine.run_tiles(stock[:count])
            done += count
        run_s = time.perf_counter() - began_s

        began_s = time.perf_counter()
        found = sum(len(item.peaks) for item in screen_tiles(engine, source, work.plan, work.glass))
        whole_s = time.perf_counter() - began_s

        began_s = time.perf_counter()
        sum(len(item.peaks) for item in screen_tiles(engine, source, area.plan, area.glass))
        skipping_s = time.perf_counter() - began_s
    ratio = whole_s / max(read_s, run_s)
    print(f"slide {source.info.width_px} x {source.info.height_px} px, {tiles} tiles, {found} peaks")
    print(f"reading alone {read_s:.1f} s ({tiles / read_s:.1f} tiles/s)")
    print(f"running alone {run_s:.1f} s ({tiles / run_s:.1f} tiles/s)")
    print(f"whole         {whole_s:.1f} s ({tiles / whole_s:.1f} tiles/s): {ratio:.3f} x the larger (target {TARGET})")
    print(
        f"with glass left out: look {look_s:.1f} s, {len(area.plan.order)} tiles "
        f"({len(area.plan.order) / tiles:.0%}) in {skipping_s:.1f} s"
    )


if __name__ == "__main__":
    main()
