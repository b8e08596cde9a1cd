"""Peak memory of screening a small and a large slide, each in a process of its own with its reading child.

    python benchmarks/slide_memory.py --side-px 10000 --large-px 40000 --fields DATASET

Target: within 10 %, and at most 1.5 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from slide_material import engine_of, parser, slide_of, source_of

from tamsoat.inference_service.screening import parts, slide_work
from tamsoat.inference_service.screening.slide_result import compose
from tamsoat.inference_service.screening.slide_run import screen_tiles


def main() -> None:
    options = parser(__doc__, 2000)
    options.add_argument("--large-px", type=int, default=4000)
    options.add_argument("--one", action="store_true", help="measure one slide in this process (used by itself)")
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(_screen(chosen)))
        return
    peaks = []
    for side_px in (chosen.side_px, chosen.large_px):
        path = slide_of(chosen, side_px)
        command = [sys.executable, __file__, "--one", "--slide", str(path)]
        if chosen.model is not None:
            command += ["--model", str(chosen.model)]
        began_s = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        highest = watch_mib(child)
        facts = json.loads((child.stdout.read() if child.stdout else "").strip().splitlines()[-1])
        if child.wait() != 0:
            raise SystemExit(f"screening {path} failed")
        peaks.append(highest)
        print(f"{side_px} px: {highest:.0f} MiB at most, {facts['tiles']} tiles, {facts['cells']} cells, "
              f"{time.perf_counter() - began_s:.0f} s", flush=True)  # fmt: skip
    print(f"large over small {peaks[1] / peaks[0]:.3f} (target 0.9 to 1.1); most {max(peaks):.0f} MiB (target 1536)")


def _screen(options: object) -> dict[str, int]:
    """Everything that a job does but the database: parts are packed and kept as it keeps them."""
    with engine_of(options) as engine:  # type: ignore[arg-type]
        source = source_of(options.slide)  # type: ignore[attr-defined]
        work = slide_work.begin(engine, source)
        packed = [parts.pack(item) for item in screen_tiles(engine, source, work.plan, work.glass)]
        found = parts.join([parts.unpack(b"", b""), *(parts.unpack(*item) for item in packed)])
        result = compose(engine, work, found, "a", 1.0)
    return {"tiles": len(work.plan.order), "cells": len(result.cells)}


def watch_mib(child: subprocess.Popen[str]) -> float:
    """Highest sum of the proportional memory of the process and its descendants, MiB."""
    highest = [0.0]

    def look() -> None:
        while child.poll() is None:
            highest[0] = max(highest[0], sum(_memory_mib(pid) for pid in [child.pid, *_descendants(child.pid)]))
            time.sleep(0.1)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return highest[0]


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for each in children:
            found += [each, *_descendants(each)]
    return found


def _memory_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


if __name__ == "__main__":
    main()
