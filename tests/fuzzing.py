"""Schemathesis against a service in a process of its own, as different callers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from access_world import PERSONS_ROLES, UNLIMITED
from machine_clients import make_client
from people import make_account, make_facility, open_database, sign_in
from service_process import ServerProcess

from tamsoat.inference_service.accounts.sessions import CSRF_HEADER, PLAIN_COOKIE

TESTS = str(Path(__file__).parent)
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
ENDS_THE_CALLER = (
    *("delete_session", "delete_sessions", "change_password", "begin_totp", "confirm_totp", "renew_recovery_codes"),
    *("update_account", "disable_account", "reset_password", "reset_totp", "sign_out", "update_client"),
    "disable_client",
)
"""Operations that may end the caller's own sign-in, and with it the sense of everything that follows."""

PEOPLE, MACHINE, NOBODY = "people", "machine", "nobody"


def start(bundle: Path, folder: Path) -> ServerProcess:
    """A service with quick passwords and without limits on the number of requests."""
    return ServerProcess(
        bundle,
        folder / "service.db",
        threads=1,
        log_level="error",
        password_memory_mib=8,
        password_passes=1,
        lockout_attempts=100,
        token_lifetime_s=300,
        run_worker="false",
        **UNLIMITED,
    )


def callers(server: ServerProcess, folder: Path, code: str = "79009") -> dict[str, dict[str, str]]:
    """In a new facility, the headers of a person with all roles, of a client with all scopes, and of nobody."""
    with (
        open_database(f"sqlite:///{folder}/service.db", folder / "keys.json") as database,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        facility_id = make_facility(database, code)
        account = make_account(database, facility_id, PERSONS_ROLES)
        sign_in(client, database, *account)
        person = {"Cookie": f"{PLAIN_COOKIE}={client.cookies[PLAIN_COOKIE]}", CSRF_HEADER: client.headers[CSRF_HEADER]}
        machine = make_client(database, facility_id)
        client.headers.pop(CSRF_HEADER)
        client.cookies.clear()
        return {PEOPLE: person, MACHINE: machine.headers(client, "system/*.cruds"), NOBODY: {}}


def fuzz(
    server: ServerProcess,
    headers: dict[str, str],
    *,
    examples: int,
    phases: str = "examples,coverage,fuzzing,stateful",
    workers: int = 1,
    exclude: tuple[str, ...] = (),
    limit_s: float = 3000,
    seed: int = 1,
    arguments: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with all checks; exit status 0: nothing found."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
    command += [f"{server.url}openapi.json", "--checks", "all", "--phases", phases, "--max-examples", str(examples)]
    command += ["--workers", str(workers), "--seed", str(seed), "--no-color", "--request-timeout", "20"]
    command += [
        "--suppress-health-check",
        "all",
        "--generation-database",
        "none",
        "--generation-with-security-parameters",
        "false",
        "--warnings",
        "off",
    ]
    for name, value in headers.items():
        command += ["--header", f"{name}:{value}"]
    for name in exclude:
        command += ["--exclude-operation-id", name]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": TESTS}
    with tempfile.TemporaryDirectory() as folder:  # schemathesis leaves its notes where it runs
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=environment,
            cwd=folder,
            check=False,
        )
