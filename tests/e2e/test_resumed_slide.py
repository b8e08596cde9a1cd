"""A slide is screened with live progress, its worker is killed half-way, another goes on; the page shows all of it."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from people import make_account, make_facility, open_database
from service_process import ServerProcess
from sqlalchemy import select

from tamsoat.datasets.synthetic.mosaic import make_slide
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.screening.tables import COMPLETED, Screening

REPOSITORY = Path(__file__).resolve().parents[2]
SIDES_PX = (4000, 3000)
HELD = """
import pathlib, time
from tamsoat.inference_service.engine.engine import Engine
real, ran = Engine.run_tiles, []
def counted(self, tiles):
    while len(ran) >= {squares} and pathlib.Path({hold!r}).exists():
        time.sleep(0.05)
    ran.append(len(tiles))
    time.sleep(0.4)
    found = real(self, tiles)
    with open({log!r}, "a") as log:
        log.write(f"{{len(tiles)}}\\n")
    return found
Engine.run_tiles = counted
"""
"""The network takes its time, stops after some squares of tiles until a file is gone, and writes down what it ran."""


def ran(log: Path) -> int:
    return sum(int(line) for line in log.read_text().split())


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_a_killed_screening_goes_on_and_the_page_shows_it(chromium: str, tiny_bundle: Path, tmp_path: Path) -> None:
    slide = make_slide(tmp_path / "slide.tif", *SIDES_PX, seed=5, n_fields=3).path
    hold, log, killed = tmp_path / "hold", tmp_path / "tiles", tmp_path / "killed"
    hold.touch()
    url = f"sqlite:///{tmp_path}/a.db"
    settings = {"data_dir": tmp_path / "data", "keys_file": tmp_path / "keys", "password_memory_mib": 8,
                "password_passes": 1, "threads": 1, "worker_heartbeat_s": 0.5, "worker_timeout_s": 3}  # fmt: skip
    worker = {"run_worker": "true", "worker_concurrency": 1}
    prelude = HELD.format(squares=10, hold=str(hold), log=str(log))
    with ExitStack() as stack:
        pages = stack.enter_context(ServerProcess(tiny_bundle, tmp_path / "a.db", run_worker="false", **settings))
        first = stack.enter_context(
            ServerProcess(tiny_bundle, tmp_path / "a.db", prelude=prelude, **worker, **settings)
        )
        database = stack.enter_context(open_database(url, tmp_path / "keys"))
        facility_id = make_facility(database, "79001")
        _, password = make_account(database, facility_id, [Role.CYTOTECHNOLOGIST], username="lan")
        facts = {
            "executablePath": chromium, "url": pages.url, "slide": str(slide), "killed": str(killed),
            "screenshots": os.environ.get("TAMSOAT_SCREENSHOTS", str(tmp_path)),
            "people": {"cytotechnologist": {"username": "lan", "password": password}},
        }  # fmt: skip
        browser = stack.enter_context(
            subprocess.Popen(
                ["node", "tests/e2e/resumed_slide.mjs"], cwd=REPOSITORY, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        assert browser.stdin is not None
        assert browser.stdout is not None
        assert browser.stderr is not None
        browser.stdin.write(json.dumps(facts))
        browser.stdin.close()
        assert browser.stdout.readline() == "kill\n", browser.stderr.read()
        first.process.kill()
        first.process.wait(60)
        before = ran(log)
        killed.touch()
        assert browser.stdout.readline() == "resume\n", browser.stderr.read()
        hold.unlink()
        stack.enter_context(ServerProcess(tiny_bundle, tmp_path / "a.db", prelude=prelude, **worker, **settings))
        said = browser.stdout.read()
        assert browser.wait(60) == 0, browser.stderr.read()
        with database.read() as session:
            row = session.scalars(select(Screening)).one()
            state, total, resumed_at = row.state, row.total, row.done_before
    seen = json.loads(said)
    print(f"{total} tiles, killed after {before}, went on at {resumed_at}, {ran(log) - total} ran twice; {seen}")
    assert seen["errors"] == []
    assert state == COMPLETED
    assert 0 < seen["before"] < total
    assert 0 < seen["partial"] == seen["meanwhile"] <= seen["stillThere"] < seen["whole"]
    assert 0 < resumed_at <= before
    assert ran(log) - total <= 2 * 16, "at most what was under way at the kill runs twice"
