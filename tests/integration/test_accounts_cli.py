"""``tamsoat admin``: facilities, accounts and the access review on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_runner import Ran, run_cli

from tamsoat.inference_service.db.session import Database


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TAMSOAT_DATABASE_URL", f"sqlite:///{tmp_path}/admin.db")
    monkeypatch.setenv("TAMSOAT_PASSWORD_MEMORY_MIB", "8")
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: run_cli(capsys, "admin", *words)


def create(run, username: str, *roles: str, facility: str = "79001") -> Ran:  # type: ignore[no-untyped-def]
    options = [word for role in roles for word in ("--role", role)]
    ran: Ran = run("account", "create", username, "--facility", facility, "--name", "Nguyễn [Thị] Lan", *options)
    return ran


def test_facilities(run) -> None:  # type: ignore[no-untyped-def]
    assert (
        run("facility", "create", "79001", "Bệnh viện [Từ Dũ]").stdout == "facility 79001 created: Bệnh viện [Từ Dũ]\n"
    )
    again = run("facility", "create", "79001", "x")
    assert (again.exit_code, again.stderr) == (2, "error: facility 79001 exists already\n")
    assert run("facility", "create", "7900", "x").exit_code == 2
    assert run("facility", "rename", "79001", "Từ Dũ").exit_code == 0
    assert run("facility", "rename", "11111", "Từ Dũ").exit_code == 2
    assert re.search(r"79001\s+Từ Dũ\s+never", run("facility", "list").stdout)


def test_accounts(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("facility", "create", "79001", "Từ Dũ")
    assert "no accounts yet" in run("account", "list").stdout
    made = create(run, "lan.nguyen", "administrator", "pathologist")
    password = re.search(r"one-time password: (\S{23})\n", made.stdout)
    assert password
    assert create(run, "lan.nguyen", "auditor").exit_code == 2
    assert create(run, "binh", "integrator").exit_code == 2
    assert create(run, "binh", "auditor", facility="22222").exit_code == 2
    listed = run("account", "list").stdout
    assert "Nguyễn [Thị] Lan" in listed
    assert "administrator, pathologist" in listed
    last = run("account", "disable", "lan.nguyen", "--yes")
    assert (last.exit_code, "last active administrator" in last.stderr) == (2, True)
    assert run("account", "roles", "lan.nguyen", "--role", "auditor").exit_code == 2
    create(run, "binh.tran", "administrator")
    assert run("account", "disable", "LAN.nguyen", "--yes").exit_code == 0
    assert "disabled (administrator)" in run("account", "list", "--facility", "79001").stdout
    assert run("account", "enable", "lan.nguyen").exit_code == 0
    assert run("account", "unlock", "lan.nguyen").exit_code == 0
    assert run("account", "roles", "lan.nguyen", "--role", "auditor").stdout == "roles of lan.nguyen: auditor\n"
    reset = run("account", "reset-password", "lan.nguyen", "--yes").stdout
    assert re.search(r"one-time password: (\S{23})\n", reset)
    assert password[1] not in reset
    assert run("account", "reset-totp", "lan.nguyen", "--yes").exit_code == 0
    assert run("account", "enable", "nobody.here").exit_code == 2
    assert password[1].encode() not in (tmp_path / "admin.db").read_bytes()


@pytest.mark.parametrize("command", ["disable", "reset-password", "reset-totp"])
def test_what_cannot_be_undone_asks_first(run, command: str) -> None:  # type: ignore[no-untyped-def]
    run("facility", "create", "79001", "Từ Dũ")
    create(run, "lan.nguyen", "pathologist")
    unanswered = run("account", command, "lan.nguyen")
    assert unanswered.exit_code != 0
    assert "active" in run("account", "list").stdout


def test_access_review(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("facility", "create", "79001", "Từ Dũ")
    create(run, "lan.nguyen", "pathologist")
    assert "lan.nguyen" in run("access-review").stdout
    out = tmp_path / "review.csv"
    assert run("access-review", "--facility", "79001", "--out", out).exit_code == 0
    assert out.read_text(encoding="utf-8-sig").startswith("facility,kind,")
    assert run("access-review", "--out", out).exit_code == 5
    assert run("access-review", "--done").exit_code == 2
    assert "recorded" in run("access-review", "--done", "--facility", "79001").stdout
    assert re.search(r"79001\s+Từ Dũ\s+\d{4}-", run("facility", "list").stdout)
    with Database(f"sqlite:///{tmp_path}/admin.db").read() as session:
        events = session.connection().exec_driver_sql("SELECT action, actor FROM audit_entries").all()
    assert [tuple(row) for row in events if row[0] == "access:review"] == [("access:review", "local")] * 3
