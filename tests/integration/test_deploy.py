"""The example units, proxies and alert rules fit the program."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_runner import run_cli
from starlette.testclient import TestClient

from tamsoat.inference_service.operations.tables import BackupRecord
from tamsoat.inference_service.settings import ENV_PREFIX, Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HARDENED = {
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "true",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "PrivateTmp": "true",
    "UMask": "0077",
    "User": "tamsoat",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
}


def _unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_every_unit_is_hardened_and_calls_a_command_that_exists(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = _unit(path)["Service"]
    assert {name: service.get(name) for name in HARDENED} == HARDENED
    words = service["ExecStart"].split()
    assert words[0] == "/opt/tamsoat/venv/bin/tamsoat"
    command = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
    outcome = run_cli(capsys, *command, "--help")
    assert outcome.exit_code == 0, outcome.stderr
    for option in (word for word in words if word.startswith("--")):
        assert option in outcome.stdout


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    for path in (DEPLOY / "systemd").iterdir():
        if path.suffix in (".service", ".socket", ".timer"):
            text = path.read_text(encoding="utf-8").replace("/opt/tamsoat/venv/bin/tamsoat", "/bin/true")
            (tmp_path / path.name).write_text(text, encoding="utf-8")
    names = [path.name for path in sorted(tmp_path.iterdir()) if "@" not in path.name]
    outcome = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names, "tamsoat-worker@1.service"],
        cwd=tmp_path,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in outcome.stderr.splitlines() if "tamsoat" in line]
    assert complaints == [], outcome.stderr


def test_the_example_environment_holds_settings_that_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "tamsoat.env").read_text(encoding="utf-8")
    named = set(re.findall(r"^#? ?(TAMSOAT_\w+)=", text, re.MULTILINE))
    assert named <= {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for name, value in re.findall(r"^(TAMSOAT_\w+)=(.*)$", text, re.MULTILINE):
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.secure
    assert not settings.listens_on_loopback


def test_the_alerts_name_metrics_that_exist(client: TestClient) -> None:
    runtime = client.app.state.runtime  # type: ignore[attr-defined]
    record = BackupRecord(
        id="1", name="tamsoat-x", moment=datetime.now(UTC), bytes=1, files=0, audit_size=0, manifest_sha256="0" * 64
    )
    with runtime.database.write() as session:
        session.add(record)
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"\btamsoat_[a-z_]+", rules))
    assert len(named) > 8
    exposed = client.get("/metrics").text
    known = set(re.findall(r"^# TYPE (\S+) ", exposed, re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    assert named - known == set()
    for line in (
        'tamsoat_jobs_waiting{state="queued"} 0.0',
        'tamsoat_webhook_deliveries_waiting{state="retrying"} 0.0',
        'tamsoat_database_connections{state="most"} 10.0',
    ):
        assert line in exposed
    states = set(re.findall(r'(tamsoat_\w+)\{state="(\w+)"\}', exposed))
    assert {("tamsoat_jobs_waiting", "queued"), ("tamsoat_database_connections", "used")} <= states


def test_promtool_accepts_the_alerts() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on this machine (Debian: apt-get install prometheus)")
    command = ["promtool", "check", "rules", str(DEPLOY / "prometheus" / "alerts.yml")]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
