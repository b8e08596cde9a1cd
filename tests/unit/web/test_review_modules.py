"""The case page's modules that need no browser, by Node.js; the keys that the guide lists are those of the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tamsoat.inference_service.web.case_pages import LIKELIHOODS
from tamsoat.inference_service.web.messages import catalogue

REPOSITORY = Path(__file__).resolve().parents[3]
TESTS = "tests/unit/web/review.mjs"
GUIDE = REPOSITORY / "docs" / "review.md"
SIGNS = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓", " ": "Space", "Escape": "Esc"}


def run(*arguments: str) -> str:
    if shutil.which("node") is None or not (REPOSITORY / "node_modules").is_dir():
        if os.environ.get("CI"):
            raise RuntimeError("install Node.js 20.19, then run: npm ci")
        pytest.skip("needs Node.js and its packages (npm ci)")
    done = subprocess.run(
        ["node", TESTS, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_modules_of_the_case_page() -> None:
    assert re.search(r"# pass (\d+)", run())


def shown(key: str) -> str:
    held, _, last = key.rpartition("+") if len(key) > 1 else ("", "", key)
    name = SIGNS.get(last, last.upper() if len(last) == 1 else last)
    return f"`{held.replace('Control', 'Ctrl') + ' + ' if held else ''}{name}`"


def test_the_guide_lists_every_key_with_its_meaning() -> None:
    table = GUIDE.read_text(encoding="utf-8").partition("## Keys")[2]
    rows = dict(re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE))
    texts = catalogue("en")
    keys = json.loads(run("--keys"))
    assert rows == {" ".join(map(shown, item["keys"])): texts[f"case.key.{item['id']}"] for item in keys}
    assert {f"case.keys.{item['group']}" for item in keys} <= set(texts)


def test_words_for_probabilities_are_the_same_in_page_and_script() -> None:
    source = (REPOSITORY / "inference_service/web/src/review/likelihood.ts").read_text(encoding="utf-8")
    found = [(float(limit), code) for limit, code in re.findall(r"\[([\d.]+), \"([a-z-]+)\"\]", source)]
    assert tuple(found) == LIKELIHOODS
    assert {f"case.likelihood.{code}" for code in [*dict(found).values(), "very-likely"]} <= set(catalogue("vi"))
