"""The viewer in Chromium: tiles, outlines, overlays, coverage, choosing, adding, both languages, no complaint."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter
from service_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parents[2]
VITE = REPOSITORY / "node_modules/.bin/vite"
WIDTH, HEIGHT = 4000, 3000


@pytest.fixture(scope="module")
def browser() -> str:
    """Path of Chromium; where it, or what drives it, is missing the test is skipped, but not in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None or shutil.which("node") is None or not VITE.exists():
        if os.environ.get("CI"):
            raise RuntimeError("install Chromium and Node.js 20.19, then run: make assets")
        pytest.skip("needs Chromium, Node.js and `make assets`")
    return str(found)


@pytest.fixture(scope="module")
def built(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The viewer alone, built with a page of its own."""
    folder = tmp_path_factory.mktemp("page")
    subprocess.run(
        [str(VITE), "build", "--config", "tests/viewer_page/vite.config.js"],
        cwd=REPOSITORY, env={**os.environ, "VIEWER_PAGE_OUT": str(folder)}, check=True, timeout=240,
    )  # fmt: skip
    return folder


def send(server: ServerProcess) -> dict[str, Any]:
    noise = np.random.default_rng(1).integers(120, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).resize((WIDTH, HEIGHT)))
    slide = io.BytesIO()
    tifffile.imwrite(slide, image, photometric="rgb", tile=(256, 256), compression="jpeg")
    response = httpx.post(
        f"{server.url}api/v1/slides", files={"image": ("a", slide.getvalue())},
        data={"objective": "40"}, headers={"Idempotency-Key": str(uuid.uuid4())}, timeout=120,
    )  # fmt: skip
    assert response.status_code == 202, response.text
    sent: dict[str, Any] = response.json()
    return sent


def test_the_viewer_shows_and_remembers(browser: str, built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    screenshots = os.environ.get("TAMSOAT_SCREENSHOTS", str(tmp_path))
    folder = tmp_path / "data"
    with ServerProcess(tiny_bundle, tmp_path / "a.db", data_dir=folder, threads=1, run_worker="false") as server:
        sent = send(server)
        slide = {"slide_id": sent["slide_id"], "width_px": WIDTH, "height_px": HEIGHT, "mpp": 0.25}
        asked = {"executablePath": browser, "url": server.url, "built": str(built), "slide": slide}
        asked["screenshots"] = screenshots
        done = subprocess.run(
            ["node", "tests/e2e/viewer.mjs", json.dumps(asked)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        path = f"{server.url}api/v1/cases/{sent['case_id']}/coverage/{sent['slide_id']}"
        kept = httpx.get(path).json()
    seen = json.loads(done.stdout)
    assert seen["errors"] == []
    assert seen["tables"] == [2000, 4000]
    assert seen["queries"] == ["", "?after_part=1", ""], "only what is new, then the whole with its final ranks"
    assert seen["tilePixels"] > 100
    assert seen["outlines"] > 2000
    assert (seen["outlinesOff"], seen["gridsOff"]) == (0, 0)
    assert seen["heatmap"] > 10_000
    assert seen["coverageAtFirst"] == 0
    assert seen["seenArea"] > 10_000
    assert seen["puts"] >= 1
    assert kept["share_of_slide"] > 0.2
    assert "µm" in seen["hud"]
    assert "10×" in seen["hud"]
    assert "30°" in seen["rotated"]
    assert seen["chosen"][0] == seen["chosen"][1]
    clicked, centre, clicked_at, centre_at = seen["added"]
    assert (clicked["x_px"], clicked["y_px"]) == pytest.approx((clicked_at["x"], clicked_at["y"]), abs=1)
    assert (centre["x_px"], centre["y_px"]) == pytest.approx((centre_at["x"], centre_at["y"]), abs=1)
    assert all(button["name"] and button["height"] >= 24 and button["width"] >= 24 for button in seen["buttons"])
    assert len(seen["buttons"]) >= 15
    assert seen["restored"][0] == seen["restored"][1] > 0
    assert seen["withoutAi"] is False
    assert "Đường viền" not in seen["vietnamese"], "nothing of the AI without an analysis"
    assert "Đã xem" in seen["vietnamese"]
    assert seen["left"] == 0
