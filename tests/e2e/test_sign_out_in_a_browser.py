"""The sign-out panel in Chromium: by keys alone, two windows, no connection, a second reader, an amendment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import httpx
import pytest
from bad_inputs import good_jpeg
from people import make_account, make_facility, open_database, sign_in
from service_process import ServerProcess

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.sessions import PLAIN_COOKIE
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import READY

REPOSITORY = Path(__file__).resolve().parents[2]
ASSET = REPOSITORY / "inference_service/web/static/assets/case.js"


@pytest.fixture(scope="module")
def browser() -> str:
    """Path of Chromium; where it, or what drives it, is missing the test is skipped, but not in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None or shutil.which("node") is None or not ASSET.exists():
        if os.environ.get("CI"):
            raise RuntimeError("install Chromium and Node.js 20.19, then run: make assets")
        pytest.skip("needs Chromium, Node.js and `make assets`")
    return str(found)


def test_sign_out_by_keys(browser: str, tiny_bundle: Path, tmp_path: Path) -> None:
    database_file, data = tmp_path / "a.db", tmp_path / "data"
    settings = {"data_dir": data, "threads": 1, "run_worker": "false", "password_memory_mib": 8, "password_passes": 1}
    with ServerProcess(tiny_bundle, database_file, **settings) as server:
        readers = []
        with open_database(f"sqlite:///{database_file}", data / "keys.json") as database:
            facility = make_facility(database, "79001")
            for name in ("Nguyễn Thị Lan", "Trần Văn Minh"):
                account, password = make_account(database, facility, [Role.PATHOLOGIST], display_name=name)
                with httpx.Client(base_url=server.url, timeout=120) as client:
                    sign_in(client, database, account, password)
                    session = client.cookies[PLAIN_COOKIE]
                    readers.append({"cookie": PLAIN_COOKIE, "session": session, "password": password})
                    if len(readers) == 1:
                        sent = client.post(
                            "api/v1/slides", files={"image": ("a.jpg", good_jpeg())}, data={"objective": "40"},
                            headers={"Idempotency-Key": str(uuid.uuid4())},
                        ).json()  # fmt: skip
            with database.write() as writing:
                case = cases.get(writing, facility, sent["case_id"], lock=True)
                cases.set_state(writing, case, READY)
        asked = {
            "executablePath": browser, "url": server.url, "case_id": sent["case_id"], "readers": readers,
            "screenshots": os.environ.get("TAMSOAT_SCREENSHOTS", str(tmp_path)),
        }  # fmt: skip
        done = subprocess.run(
            ["node", "tests/e2e/sign_out.mjs", json.dumps(asked)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["errors"] == []
    assert {name: found for name, found in seen["axe"].items() if found} == {}
    assert seen["chosen"] == ["satisfactory", "zone-present", "abnormal", "hsil"]
    assert "HSIL" in seen["summary"]
    assert "cần thêm người đọc" in seen["summary"]
    assert "một kết quả tế bào gai" in seen["wrong"]
    assert "ở cửa sổ kia" in seen["conflict"]
    assert "ở cửa sổ này" in seen["conflict"]
    assert seen["kept"] is False, "personal words are not left in the browser"
    assert "Mật khẩu" in seen["refused"]
    assert "HSIL" in seen["outcome"]
    assert seen["presses"] <= 12
    assert "người đọc thứ hai phải là người khác" in seen["afterwards"]
    assert seen["formGone"] is True
    words, answers, entries = seen["secondSees"]
    assert "do not know the first result" in words
    assert (answers, entries) == ([], 0)
    assert seen["secondOutcome"] == "result"
    assert [line.partition(":")[0] for line in seen["history"]] == ["First reading", "Second reading"]
    assert seen["amendStart"] == ["satisfactory", "zone-present", "abnormal", "hsil"]
