"""All benchmarks, one after the other: ``python benchmarks [--model BUNDLE] [--data FOLDER]``.

``--data`` is a dataset folder (its images, or those in its subfolder ``fields``, are used); without it generated,
synthetic fields are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "engine.py",
    "http_service.py",
    "tiles.py",
    "viewer.py",
    "slide_speed.py",
    "slide_memory.py",
    "slide_kill.py",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    parser.add_argument("--data", type=Path, help="dataset folder (default: generated, synthetic fields)")
    options = parser.parse_args()
    arguments: list[str] = []
    if options.model is not None:
        arguments += ["--model", str(options.model)]
    if options.data is not None:
        fields = options.data / "fields"
        arguments += ["--fields", str(fields if fields.is_dir() else options.data)]
    # The scripts share modules of this folder, also where Python is told not to look beside a script.
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    for script in SCRIPTS:
        print(f"\n## {script}", flush=True)
        finished = subprocess.run([sys.executable, str(HERE / script), *arguments], env=environment, check=False)
        if finished.returncode != 0:
            raise SystemExit(f"{script} ended with exit code {finished.returncode}")


if __name__ == "__main__":
    main()
