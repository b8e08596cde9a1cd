"""A worker killed in the middle of a slide: the next one goes on, and how many tiles ran twice.

    python benchmarks/slide_kill.py --side-px 10000 --fields DATASET

Starts a service with its worker as a process, kills it (SIGKILL) at half of the tiles, starts it again and waits for
the result. Target: at most 5 % of the tiles run twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from slide_material import parser, slide_of
from sqlalchemy import select

from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.screening.tables import Analysis, Screening

CHILD = """
import sys, time
from pathlib import Path
from starlette.testclient import TestClient
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.settings import Settings
folder, slide, model = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
real = Engine.run_tiles
def counted(self, tiles):
    found = real(self, tiles)
    with (folder / "tiles.log").open("a") as log:
        log.write(f"{len(tiles)}\\n")
    return found
Engine.run_tiles = counted
settings = Settings(model=model or None, database_url=f"sqlite:///{folder}/service.db", data_dir=folder,
                    log_level="warning", run_worker=True, max_upload_mib=4096)
with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
    sent = folder / "sent"
    if not sent.is_file():
        with open(slide, "rb") as stream:
            answer = client.post("/api/v1/slides", files={"image": ("a.tif", stream)}, data={"mpp": "0.25"})
        assert answer.status_code == 202, answer.text
        sent.write_text(answer.json()["analysis_id"])
    while client.get("/api/v1/analyses/" + sent.read_text()).json()["state"] not in ("completed", "failed"):
        time.sleep(0.2)
"""
WAIT_S = 3600.0


def main() -> None:
    options = parser(__doc__, 2500).parse_args()
    path = slide_of(options, options.side_px)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        arguments = [sys.executable, "-c", CHILD, name, str(path), str(options.model or "")]
        first = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, start_new_session=True)
        done, total = _wait_for_half(folder, first)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        before = _ran(folder)
        began_s = time.perf_counter()
        subprocess.run(arguments, stderr=subprocess.DEVNULL, check=True, timeout=WAIT_S)
        ran = _ran(folder)
        with Database(f"sqlite:///{folder}/service.db").read() as session:
            analysis = session.scalar(select(Analysis))
            row = session.scalar(select(Screening))
        assert analysis is not None, "the slide has no result"
        assert row is not None
    twice = ran - total
    print(f"{total} tiles; killed after {before} had run ({done} told); next worker began at {row.done_before}, "
          f"ended after {time.perf_counter() - began_s:.0f} s with {analysis.cells} cells")  # fmt: skip
    print(f"tiles run twice: {twice} = {twice / total:.1%} (target 5 %)")


def _wait_for_half(folder: Path, process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """(tiles told to be done, of how many) at the moment when half of them are."""
    database, deadline_s = Database(f"sqlite:///{folder}/service.db"), time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise SystemExit("the service ended by itself")
        if (folder / "tiles.log").is_file():
            with database.read() as session:
                row = session.scalar(select(Screening))
            if row is not None and row.total and _ran(folder) >= row.total / 2:
                return row.done, row.total
        time.sleep(0.05)
    raise SystemExit("the slide was not half done in time")


def _ran(folder: Path) -> int:
    return sum(int(line) for line in (folder / "tiles.log").read_text().splitlines() if line)


if __name__ == "__main__":
    main()
