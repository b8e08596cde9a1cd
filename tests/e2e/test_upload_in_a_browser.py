"""The upload page in Chromium: a large image over a slow line, a reload in the middle, then the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bad_inputs import encode
from PIL import Image
from service_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parents[2]
SIDES_PX = (1600, 1200)
PART_BYTES = 4 * 2**20


@pytest.fixture(scope="module")
def browser() -> str:
    """Path of Chromium; where it, or what drives it, is missing the test is skipped, but not in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    built = (REPOSITORY / "inference_service/web/static/assets/upload.js").is_file()
    if found is None or shutil.which("node") is None or not built or not (REPOSITORY / "node_modules").is_dir():
        if os.environ.get("CI"):
            raise RuntimeError("install Chromium and Node.js 20.19, then run: make assets")
        pytest.skip("needs Chromium, Node.js and `make assets`")
    return str(found)


def test_upload_survives_a_reload_and_ends_with_the_result(browser: str, tiny_bundle: Path, tmp_path: Path) -> None:
    image = tmp_path / "NGUYEN THI A 1980.png"
    noise = np.random.default_rng(1).integers(0, 255, (SIDES_PX[1], SIDES_PX[0], 3), dtype=np.uint8)
    image.write_bytes(encode(Image.fromarray(noise), "PNG", compress_level=1))
    assert image.stat().st_size > PART_BYTES + 2**20
    screenshot = Path(os.environ.get("TAMSOAT_SCREENSHOTS", tmp_path)) / "upload.png"
    with ServerProcess(tiny_bundle, tmp_path / "a.db", data_dir=tmp_path / "data", threads=1) as server:
        done = subprocess.run(
            ["node", "tests/e2e/upload_page.mjs", browser, server.url, str(image), str(screenshot)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=540, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["errors"] == []
    assert seen["complaint"] == "Choose at least one file."
    assert " of 5.8 MB · " in seen["sending"]
    assert seen["unfinished"].startswith("1 unfinished upload")
    assert seen["offset"] == PART_BYTES, "it goes on where it stopped"
    assert "NGUYEN" not in seen["remembered"], "names of files may name patients"
    assert seen["finished"] == "Analysed"
    assert seen["forgotten"] == 0
    assert seen["landed"].startswith("/cases/")
