"""The parts of the viewer that need no browser, tested by Node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
VITE = REPOSITORY / "node_modules/.bin/vite"


def test_grid_coverage_scale_and_transforms(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not VITE.exists():
        if os.environ.get("CI"):
            raise RuntimeError("install Node.js 20.19, then run: make assets")
        pytest.skip("needs Node.js and `make assets`")
    environment = {**os.environ, "VIEWER_PAGE": "logic.test", "VIEWER_PAGE_OUT": str(tmp_path)}
    command = [str(VITE), "build", "--config", "tests/viewer_page/vite.config.js"]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, timeout=240)
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(tmp_path / "logic.test.js")],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "\n# pass 12\n" in done.stdout
