"""The whole path of a smear in a browser: screened, read, asked about, signed, discussed, reported, amended.

Real processes, real fields where they are at hand, the model that ships; every page is photographed in both languages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from bad_inputs import good_jpeg
from people import make_account, make_facility, open_database, sign_in
from service_process import ServerProcess

from tamsoat.datasets.synthetic.mosaic import make_slide
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.sessions import PLAIN_COOKIE
from tamsoat.inference_service.db.session import Database

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "models/bundled/cric"
SIDES_PX = (3000, 2500)
SEED = 19
"""Of the slide: with the real fields, 98 of its 147 labelled nuclei are HSIL or SCC."""
FIELDS = 6
MOST_PRESSES = 40
HELD = """
import pathlib, time
from tamsoat.inference_service.engine.engine import Engine
real, ran = Engine.run_tiles, []
def held(self, tiles):
    while len(ran) > 1 and pathlib.Path({hold!r}).exists():
        time.sleep(0.05)
    ran.append(len(tiles))
    return real(self, tiles)
Engine.run_tiles = held
"""
"""The network runs a field and one square of tiles, and the others once a file is gone."""

PEOPLE = {
    "cytotechnologist": ("Nguyễn Thị Lan", Role.CYTOTECHNOLOGIST),
    "pathologist": ("BS. Trần Văn Minh", Role.PATHOLOGIST),
    "secondReader": ("BS. Lê Thu Hoà", Role.PATHOLOGIST),
    "administrator": ("Phạm Quốc Việt", Role.ADMINISTRATOR),
}


@pytest.fixture
def slide(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A slide of real fields; of drawn ones where the real ones are not on this machine."""
    try:
        fields: Path | None = request.getfixturevalue("cric")
    except pytest.skip.Exception:
        fields = None
    return make_slide(tmp_path / "slide.tif", *SIDES_PX, seed=SEED, fields=fields, n_fields=FIELDS).path


def settle(database: Database, url: str) -> dict[str, Any]:
    """Two facilities with their people, an order, and a case of another facility that is nobody else's business."""
    ours = make_facility(database, "79001", "Bệnh viện Phụ sản Sông Hương")
    theirs = make_facility(database, "48002", "Bệnh viện Ung bướu Sơn Trà")
    made = {
        who: (*make_account(database, ours, [role], username=who.lower(), display_name=name), who.lower())
        for who, (name, role) in PEOPLE.items()
    }
    made["colleague"] = (
        *make_account(database, theirs, [Role.PATHOLOGIST], username="bs.binh", display_name="BS. Võ An Bình"),
        "bs.binh",
    )
    people = {who: {"username": name, "password": password} for who, (_, password, name) in made.items()}
    with httpx.Client(base_url=url, timeout=120) as client:
        sign_in(client, database, *made["administrator"][:2])
        people["administrator"] |= {"cookie": PLAIN_COOKIE, "session": client.cookies[PLAIN_COOKIE]}
    with httpx.Client(base_url=url, timeout=120) as client:
        sign_in(client, database, *made["cytotechnologist"][:2])
        order = client.post("/api/v1/orders", json=ORDER)
        assert order.status_code == 201, order.text
        sent = client.post("/api/v1/slides", files={"image": ("f.jpg", good_jpeg())}, data={"objective": "40"})
        assert sent.status_code == 202, sent.text
    return {
        "people": {**people, "anyone": {}},
        "order": order.json()["order_id"],
        "otherCase": sent.json()["case_id"],
        "blindCase": sent.json()["case_id"],
    }


ORDER = {
    "number": "PAP-2026-000123",
    "priority": "urgent",
    "requester": "Khoa Phụ sản, phòng khám 3",
    "patient": {
        "name": "Nguyễn Thị Hoa", "birth_date": "1984-05-03", "sex": "female",
        "identifiers": [{"system": "patient-internal-id", "value": "BN-2026-00123"}],
    },
    "specimens": [{"accession": "C26-000123", "preparation": "conventional", "state": "received"}],
    "context": {"hpv_result": "positive-16-18", "history": ["abnormal-cytology"]},
}  # fmt: skip


def run_browser(facts: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "tests/e2e/whole_path.mjs"], cwd=REPOSITORY, input=json.dumps(facts),
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    print(done.stderr)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.alone
@pytest.mark.timeout(1200)
def test_the_whole_path_of_a_smear(chromium: str, slide: Path, tmp_path: Path) -> None:
    folder, hold = tmp_path / "data", tmp_path / "hold"
    hold.touch()
    settings = {"data_dir": folder, "keys_file": tmp_path / "keys", "password_memory_mib": 8, "password_passes": 1}
    with ServerProcess(MODEL, tmp_path / "a.db", prelude=HELD.format(hold=str(hold)), **settings) as server:
        with open_database(f"sqlite:///{tmp_path}/a.db", tmp_path / "keys") as database:
            facts = settle(database, server.url)
        pictures = Path(os.environ.get("TAMSOAT_SCREENSHOTS", tmp_path / "pictures"))
        pictures.mkdir(parents=True, exist_ok=True)
        facts |= {
            "both": "TAMSOAT_SCREENSHOTS" in os.environ,
            "executablePath": chromium,
            "url": server.url,
            "slide": str(slide),
            "hold": str(hold),
        }
        seen = run_browser(facts | {"screenshots": str(pictures)})
        assert server.stop() == 0
    verified = subprocess.run(
        [sys.executable, "-m", "tamsoat.inference_service", "audit", "verify", "--deep",
         "--database-url", f"sqlite:///{tmp_path}/a.db"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "TAMSOAT_KEYS_FILE": str(tmp_path / "keys"), "TAMSOAT_DATA_DIR": str(folder)},
    )  # fmt: skip
    print(
        f"{seen['pathPresses']} key presses and the password, {seen['path_s']:.1f} s; {len(seen['pictures'])} pictures"
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    check(seen)


def check(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []
    assert seen["wide"] == []
    assert "%" in seen["inWorklist"]
    assert 0 < seen["partial"] < seen["whole"]
    assert seen["screened"][0] == "screened"
    assert seen["pathPresses"] <= MOST_PRESSES
    assert seen["asked"] == "1"
    assert "Nguyễn Thị Hoa" not in seen["colleagueSees"]
    assert "BN-2026" not in seen["colleagueSees"]
    assert (seen["before"], seen["elsewhere"], seen["afterwards"]) == (200, 404, 404)
    assert "HSIL" in seen["opinion"]
    assert "HSIL" in seen["toSign"]
    assert seen["first"][0] == "second-reader"
    assert seen["secondMarks"] == 0
    assert seen["secondSees"][1] == 0
    assert "Trần Văn Minh" not in seen["secondSees"][0]
    assert [seen["second"][0], seen["consensus"][0], seen["confirmed"][0]] == ["discussion", "confirmation", "result"]
    assert seen["pdfs"] == [["application/pdf", "%PDF-", True]] * 2
    assert seen["amended"][0] == "result"
    assert seen["versions"] == [[2, "current"], [1, "superseded"]]
    assert seen["original"] == 200
    assert "còn hiệu lực" in seen["verify-valid"]
    assert "thay" in seen["verify-superseded"]
    assert [figure["now"]["value"] for figure in seen["quality"]["volumes"]] == [2, 1], "received, signed"
    assert seen["named"] is False
