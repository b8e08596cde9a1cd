"""The browser of the tests in this folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; where it, or what drives it, is missing the test is skipped, but not in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    built = (REPOSITORY / "inference_service/web/static/assets/case.js").is_file()
    if found is None or shutil.which("node") is None or not built or not (REPOSITORY / "node_modules").is_dir():
        if os.environ.get("CI"):
            raise RuntimeError("install Chromium and Node.js 20.19, then run: make assets")
        pytest.skip("needs Chromium, Node.js and `make assets`")
    return str(found)
