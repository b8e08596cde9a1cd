"""What decoding in a child process costs: milliseconds for one field, in this process and in the sandbox.

    python benchmarks/decoding.py [--fields FOLDER] [--rounds 40]

The sandbox's figure holds sending the file to the child, decoding there, and the array of pixels on its way back.
Rounds are interleaved; medians are printed, and the median of the differences.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tamsoat.inference_service.slides.decode import DEFAULT_LIMITS, decode_bytes
from tamsoat.inference_service.slides.sandbox import Decoder

WIDTH_PX, HEIGHT_PX = 1376, 1020
TARGET_MS = 15


def load(folder: Path | None) -> bytes:
    """The first JPEG of the folder, else a generated field of 1376 x 1020 px."""
    if folder is not None:
        return min(folder.glob("*.jpg")).read_bytes()
    from tamsoat.datasets.synthetic import make_field

    stream = io.BytesIO()
    field = make_field(seed=1, width_px=WIDTH_PX, height_px=HEIGHT_PX).image
    Image.fromarray(np.asarray(field)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def timed_ms(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return (time.perf_counter() - start_s) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=Path, help="folder of JPEG fields (default: a generated, synthetic one)")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    data = load(options.fields)
    decoder = Decoder(1, 1024, 20.0)
    first_ms = timed_ms(lambda: decoder.decode(data, "field", DEFAULT_LIMITS))
    rows = [
        (
            timed_ms(lambda: decode_bytes(data, "field", DEFAULT_LIMITS)),
            timed_ms(lambda: decoder.decode(data, "field", DEFAULT_LIMITS)),
        )
        for _ in range(options.rounds)
    ]
    decoder.close()
    shape = decode_bytes(data, "field", DEFAULT_LIMITS).pixels.shape
    cost_ms = statistics.median(sandboxed - plain for plain, sandboxed in rows)
    print("| field, px | kB | in this process, ms | in the sandbox, ms | cost, ms | first, with start, ms | target |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {shape[1]} x {shape[0]} | {len(data) / 1000:.0f} | {statistics.median(row[0] for row in rows):.1f} | "
        f"{statistics.median(row[1] for row in rows):.1f} | {cost_ms:.1f} | {first_ms:.0f} | "
        f"{'met' if cost_ms < TARGET_MS else 'MISSED'} (under {TARGET_MS}) |"
    )


if __name__ == "__main__":
    main()
