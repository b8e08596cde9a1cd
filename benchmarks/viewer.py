"""Frames a second of the viewer with many findings, in headless Chromium that draws without a graphics card.

    python benchmarks/viewer.py [--model BUNDLE] [--fields FOLDER] [--size 10000x9000] [--count 100000] [--rounds 3]

The real viewer on a real slide of a running service; the findings are made up, evenly spread. The times between frames
(requestAnimationFrame) are taken while a script pans by a fifth of the view and zooms by 1.6, at four magnifications.
In the same run: the viewer without findings (what OpenSeadragon itself takes), and two usual ways to draw findings,
with as many as they bear: one element each as overlays of OpenSeadragon (``--elements``), and one SVG with a circle
each (``--circles``), which is how annotation libraries on the DOM draw. First tiles: from asking for the slide to the
first tile drawn, and to the whole first view.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from http_load import percentile
from viewed_slide import ViewedSlide, arguments, viewed_slide

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 900


def build(folder: Path) -> None:
    """The viewer with a page of its own, as for its tests."""
    vite = ROOT / "node_modules/.bin/vite"
    subprocess.run(
        [str(vite), "build", "--config", "tests/viewer_page/vite.config.js"],
        cwd=ROOT, env={**os.environ, "VIEWER_PAGE_OUT": str(folder)}, check=True,
    )  # fmt: skip


def drive(slide: ViewedSlide, built: Path, chromium: str, **asked: Any) -> dict[str, Any]:
    """What viewer.mjs measured."""
    told = {"executablePath": chromium, "url": slide.server.url, "built": str(built), "slide": slide.view, **asked}
    done = subprocess.run(
        ["node", "benchmarks/viewer.mjs", json.dumps(told)],
        cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    if result["errors"]:
        raise SystemExit(f"the console of the browser: {result['errors']}")
    return result


def row(name: str, measured: dict[str, dict[str, list[float]]]) -> None:
    """Medians of frames a second for each movement and magnification, and the slowest twentieth of all frames."""
    cells = [
        f"{1000 / statistics.median(times):.0f}"
        for moves in measured.values()
        for times in (moves["pan"], moves["zoom"])
    ]
    every = [time_ms for moves in measured.values() for times in moves.values() for time_ms in times]
    median = f"{1000 / statistics.median(every):.0f}"
    print(f"| {name} | {' | '.join(cells)} | **{median}** | {percentile(every, 0.95):.0f} |", flush=True)


def main() -> None:
    parser = arguments(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter))
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--elements", type=int, default=2_000)
    parser.add_argument("--circles", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("needs Chromium")
    with tempfile.TemporaryDirectory() as name, viewed_slide(options, accounts=False) as slide:
        built = Path(name)
        build(built)
        asked = {"count": options.count, "rounds": options.rounds}
        drive(slide, built, chromium, **asked | {"rounds": 0})  # tiles are made, the browser's files are read
        own = drive(slide, built, chromium, **asked)
        places = [f"{place} {move}" for place, moves in own["viewer"].items() for move in moves]
        print(f"first tile {own['opened']['first'] / 1000:.2f} s, whole view {own['opened']['all'] / 1000:.2f} s\n")
        print(f"| frames/s, median | {' | '.join(places)} | all | 95th percentile, ms |")
        print(f"|---|{'---|' * (len(places) + 2)}")
        row(f"viewer, {options.count} findings", own["viewer"])
        row("viewer, findings off", own["none"])
        for kind, count in (("elements", options.elements), ("svg", options.circles)):
            other = drive(slide, built, chromium, **asked, alternative=kind, alternatives=count)
            row(f"{kind}, {count} findings (made in {other['added_ms'] / 1000:.1f} s)", other["other"])


if __name__ == "__main__":
    main()
