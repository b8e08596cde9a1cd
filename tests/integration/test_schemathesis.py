"""Schemathesis over the OpenAPI document, all checks, as a person, as a machine client and as nobody.

The short run takes a part of the operations with few examples; the long one takes everything:
``pytest -m long -s tests/integration/test_schemathesis.py`` (``FUZZ_EXAMPLES``: cases per operation, 40).
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import fuzzing
import httpx
import pytest
from service_process import ServerProcess

SHORT = ("--include-tag", "orders", "--include-tag", "webhooks")
LONG_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))


def verdict(who: str, done: subprocess.CompletedProcess[str]) -> str:
    """One line: what was run and what was found."""
    cases = re.search(r"(\d+) generated", done.stdout)
    operations = re.search(r"Tested: (\d+)", done.stdout)
    return (
        f"{who}: {operations.group(1) if operations else 0} operations, {cases.group(1) if cases else 0} cases, "
        f"{'nothing found' if done.returncode == 0 else 'FAILURES'}"
    )


def run(server: ServerProcess, who: str, headers: dict[str, str], examples: int, phases: str, *arguments: str) -> None:
    only = "--include-operation-id" in arguments
    exclude = () if who == fuzzing.NOBODY or only else fuzzing.ENDS_THE_CALLER
    done = fuzzing.fuzz(server, headers, examples=examples, phases=phases, exclude=exclude, arguments=arguments)
    print(verdict(who, done))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_a_short_run_finds_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    with fuzzing.start(tiny_bundle, tmp_path) as server:
        headers = fuzzing.callers(server, tmp_path)
        run(server, fuzzing.PEOPLE, headers[fuzzing.PEOPLE], 2, "examples,fuzzing", *SHORT)
        run(server, fuzzing.NOBODY, {}, 1, "fuzzing")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("who", [fuzzing.PEOPLE, fuzzing.MACHINE, fuzzing.NOBODY])
def test_a_long_run_finds_nothing(tiny_bundle: Path, tmp_path: Path, who: str) -> None:
    with fuzzing.start(tiny_bundle, tmp_path) as server:
        headers = fuzzing.callers(server, tmp_path)[who]
        if who == fuzzing.MACHINE:
            # A token lives five minutes: one run for each phase and a fresh token before it.
            for number, phase in enumerate(("examples", "coverage", "fuzzing", "stateful")):
                fresh = fuzzing.callers(server, tmp_path, f"7901{number}")[who]
                run(server, who, fresh, LONG_EXAMPLES // 2, phase)
            return
        run(server, who, headers, LONG_EXAMPLES, "examples,coverage,fuzzing,stateful")
        if who == fuzzing.PEOPLE:
            alive = httpx.get(f"{server.url}api/v1/session", headers=headers, timeout=60)
            assert alive.status_code == 200, "the caller was signed out on the way: what followed proves nothing"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_ends_the_caller_finds_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    with fuzzing.start(tiny_bundle, tmp_path) as server:
        for number, name in enumerate(fuzzing.ENDS_THE_CALLER):
            headers = fuzzing.callers(server, tmp_path, f"7902{chr(ord('A') + number)}")[fuzzing.PEOPLE]
            only = ("--include-operation-id", name)
            run(server, name, headers, LONG_EXAMPLES, "examples,coverage,fuzzing", *only)
