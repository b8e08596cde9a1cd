"""The operations guide, as it is typed: its tested blocks run in their order, in a clean folder."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
BLOCK = re.compile(r"^<!-- tested(?P<note>: install)? -->\n```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*, install: bool) -> list[str]:
    """The commands to run; installing takes minutes and is left out unless ``install``."""
    found = list(BLOCK.finditer(GUIDE.read_text(encoding="utf-8")))
    return [match["text"] for match in found if install or not match["note"]]


def run(script: str, folder: Path, **environment: str) -> str:
    """Run ``script`` in ``folder`` by bash, which stops at the first command that fails; what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAMSOAT_")}
    stop = "trap 'kill \"$(cat serve.pid 2>/dev/null)\" 2>/dev/null || true' EXIT\n"
    outcome = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", stop + script],
        cwd=folder,
        env={**kept, "PYTHONSAFEPATH": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    log = folder / "serve.log"
    shown = log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""
    assert outcome.returncode == 0, f"{outcome.stdout[-3000:]}\n{outcome.stderr[-3000:]}\n{shown}"
    return outcome.stdout


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@pytest.mark.timeout(960)
def test_the_guide_works_as_it_stands(tmp_path: Path, tiny_bundle: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("tamsoat", "python"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{Path(sys.executable).with_name(name)}" "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "tamsoat").symlink_to(GUIDE.parents[1])
    printed = run(
        "\n".join(blocks(install=False)),
        tmp_path,
        TAMSOAT_MODEL=str(tiny_bundle),
        TAMSOAT_PORT=_free_port(),
        TAMSOAT_THREADS="1",
    )
    assert "account lan.nguyen created in facility 79001" in printed
    assert "HIS: completed" in printed
    assert "backup whole" in printed
    assert "audit log whole" in printed
    assert (tmp_path / "result.json").read_bytes() == (tmp_path / "restored.json").read_bytes()


def test_every_part_of_the_guide_is_there() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert len(blocks(install=True)) >= 8
    for heading in ("Install", "Back up", "Restore", "Upgrade and roll back", "Calendar"):
        assert re.search(rf"^## \d+\. {heading}$", text, re.MULTILINE), heading
    for file in set(re.findall(r"`(deploy/[\w./-]+)`", text)):
        assert (GUIDE.parents[1] / file).exists(), file
