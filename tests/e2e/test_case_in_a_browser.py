"""The case page in Chromium: marks by keys, undo, a lost line, and the whole path of a reader within 40 key presses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from bad_inputs import encode
from people import make_account, make_facility, open_database, sign_in
from PIL import Image
from service_process import ServerProcess

from tamsoat.inference_service.accounts.access import Role

REPOSITORY = Path(__file__).resolve().parents[2]
SIDES_PX = (900, 700)
MOST_PRESSES = 40
WAIT_S = 240.0


@pytest.fixture(scope="module")
def browser() -> str:
    """Path of Chromium; where it, or what drives it, is missing the test is skipped, but not in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    built = (REPOSITORY / "inference_service/web/static/assets/case.js").is_file()
    if found is None or shutil.which("node") is None or not built or not (REPOSITORY / "node_modules").is_dir():
        if os.environ.get("CI"):
            raise RuntimeError("install Chromium and Node.js 20.19, then run: make assets")
        pytest.skip("needs Chromium, Node.js and `make assets`")
    return str(found)


def field(seed: int) -> bytes:
    """Noise, in which the random network sees many nuclei."""
    noise = np.random.default_rng(seed).integers(0, 255, (SIDES_PX[1], SIDES_PX[0], 3), dtype=np.uint8)
    return bytes(encode(Image.fromarray(noise), "PNG", compress_level=1))


def send_case(client: httpx.Client, number: int) -> str:
    """An order with one image; the case, once it is screened."""
    order = client.post("/api/v1/orders", json={
        "number": f"PAP-{number}",
        "patient": {"name": "Nguyễn Thị Hoa", "birth_date": "1984-05-03", "sex": "female",
                    "identifiers": [{"system": "patient-internal-id", "value": f"BN-2026-{number:05d}"}]},
        "specimens": [{"accession": f"C26-{number:06d}", "preparation": "conventional", "state": "received"}],
        "context": {"hpv_result": "positive-16-18", "history": ["abnormal-cytology"]},
    })  # fmt: skip
    assert order.status_code == 201, order.text
    data = {"objective": "40", "order_id": order.json()["order_id"]}
    sent = client.post("/api/v1/slides", files={"image": ("f.png", field(number), "image/png")}, data=data)
    assert sent.status_code == 202, sent.text
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        state = client.get(f"/api/v1/analyses/{sent.json()['analysis_id']}").json()["state"]
        if state == "completed":
            found = client.post("/api/v1/cases/search", json={"q": sent.json()["slide_id"]}).json()["items"]
            return str(found[0]["case_id"])
        assert state in ("queued", "running"), state
        time.sleep(0.2)
    raise AssertionError("not screened in time")


def test_a_case_is_read_and_signed_by_keys(browser: str, tiny_bundle: Path, tmp_path: Path) -> None:
    screenshots = Path(os.environ.get("TAMSOAT_SCREENSHOTS", tmp_path))
    settings = {"data_dir": tmp_path / "data", "keys_file": tmp_path / "keys", "threads": 1,
                "password_memory_mib": 8, "password_passes": 1}  # fmt: skip
    database_path = tmp_path / "a.db"
    with (
        ServerProcess(tiny_bundle, database_path, **settings) as server,
        open_database(f"sqlite:///{database_path}", tmp_path / "keys") as database,
        httpx.Client(base_url=server.url, timeout=WAIT_S) as client,
    ):
        facility_id = make_facility(database, "79001", "Bệnh viện Phụ sản")
        account_id, password = make_account(
            database, facility_id, [Role.PATHOLOGIST], username="bs.lan", display_name="BS. Trần Thị Lan"
        )
        sign_in(client, database, account_id, password)
        first = send_case(client, 1)
        second = send_case(client, 2)
        facts = {"executablePath": browser, "url": server.url, "username": "bs.lan", "password": password,
                 "first": first, "screenshots": str(screenshots)}  # fmt: skip
        done = subprocess.run(
            ["node", "tests/e2e/case_page.mjs"], cwd=REPOSITORY, input=json.dumps(facts),
            capture_output=True, text=True, timeout=540, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        marks = client.get(f"/api/v1/cases/{second}/marks").json()["items"]
        signed = client.get(f"/api/v1/cases/{second}").json()
    seen = json.loads(done.stdout)
    print(f"\n{seen['presses']} key presses and the password, {seen['path_s']:.1f} s")
    assert [line for line in seen["errors"] if "ERR_INTERNET_DISCONNECTED" not in line] == []
    assert seen["meters"] == 6
    assert int(seen["items"]) > 50
    assert seen["inDocument"] <= 60, "only what is in view is in the document"
    assert seen["asked"].startswith("Apply “regraded to LSIL” to ")
    assert "unsaved" in seen["offline"]
    assert "dismissed" in seen["state"], "what was said without a line was stored once there was one"
    assert seen["looked"].split()[0] != "0", "what was looked at is remembered"
    assert seen["keys"] >= 30
    assert seen["last"].startswith("Phát hiện 24 trên ")
    assert [mark["kind"] for mark in marks] == ["regrade", "regrade"]
    assert signed["state"] in ("signed", "second-review")
    assert seen["presses"] <= MOST_PRESSES
    assert seen["overflow"] <= 0, "the page is as high as the window"
    assert "tiny-random" in seen["model"]
    assert "Giới hạn" in seen["model"]
