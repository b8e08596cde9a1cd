"""Every page in both languages, light and dark: accessible (axe-core), translated, small, without complaint."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from bad_inputs import encode
from live_service import listening
from PIL import Image

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.datasets.synthetic import make_field
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.web import messages

REPOSITORY = Path(__file__).resolve().parents[2]
AXE = REPOSITORY / "node_modules/axe-core/axe.min.js"
MOST_BYTES = 300_000
MARK = "⟦"
NAMES = ["tamsoat", "Bethesda", "µm", "mm²", "VI", "EN", "CSV", "PDF", "SHA-256", "AI", "Ctrl+Enter", "Local"]
BOTH = [
    {"language": "vi", "theme": "light"},
    {"language": "en", "theme": "dark"},
]


def send_field(url: str) -> dict[str, Any]:
    """A generated field, as a slide that is screened."""
    image = Image.fromarray(make_field(seed=5, width_px=640, height_px=512, n_nuclei=24).image)
    response = httpx.post(
        f"{url}api/v1/slides", files={"image": ("a", encode(image, "JPEG", quality=92))}, data={"objective": "40"},
        headers={"Idempotency-Key": str(uuid.uuid4())}, timeout=120,
    )  # fmt: skip
    assert response.status_code == 202, response.text
    slide: dict[str, Any] = response.json()
    deadline_s = time.monotonic() + 180
    while httpx.get(f"{url}api/v1/cases/{slide['case_id']}", timeout=60).json()["state"] == "analysing":
        assert time.monotonic() < deadline_s, "the field was not screened"
        time.sleep(0.2)
    return slide


def pages_of(case_id: str) -> list[dict[str, Any]]:
    case = f"cases/{case_id}"
    return [
        {"name": "worklist", "path": "worklist?tab=facility", "wait": "table a"},
        {"name": "worklist-empty", "path": "worklist?tab=facility&q=no-such-case"},
        {"name": "case-findings", "path": case, "wait": "[role=option], [role=gridcell]"},
        {"name": "case-sign-out", "path": case, "wait": "[role=tab]", "click": ["[role=tab] >> nth=1"]},
        {"name": "case-discussion", "path": case, "wait": "[role=tab]", "click": ["[role=tab] >> nth=2"]},
        {"name": "model", "path": "model"},
        {"name": "quality", "path": "quality"},
        {"name": "review-settings", "path": "review-settings"},
        {"name": "account", "path": "account"},
        {"name": "administration", "path": "administration"},
        {"name": "webhooks", "path": "webhooks"},
        {"name": "help", "path": "help"},
        {"name": "verify", "path": "verify"},
    ]


WITH_TEXTS_OF_THEIR_OWN = [{"name": "upload", "path": "upload", "wait": "#form"}, {"name": "field", "path": "field"}]
"""Their texts are in TypeScript, where the compiler finds a missing one."""


def visit(chromium: str, url: str, folder: Path, pages: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    asked = {
        "executablePath": chromium,
        "url": url,
        "axe": str(AXE),
        "pages": pages,
        "screenshots": str(folder),
        **more,
    }
    done = subprocess.run(
        ["node", "tests/e2e/every_page.mjs", json.dumps(asked)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reports: list[dict[str, Any]] = json.loads(done.stdout)
    return reports


@pytest.fixture
def settings(tiny_bundle: Path, tmp_path: Path) -> Settings:
    return Settings(
        model=tiny_bundle, database_url=f"sqlite:///{tmp_path}/service.db", data_dir=tmp_path / "data", threads=1,
        log_level="warning", password_memory_mib=8, password_passes=1,
    )  # fmt: skip


def test_every_page_is_accessible_small_and_quiet(chromium: str, settings: Settings, tmp_path: Path) -> None:
    folder = Path(os.environ.get("TAMSOAT_SCREENSHOTS", tmp_path))
    with listening(settings) as (_, url):
        case_id = send_field(url)["case_id"]
        reports = visit(chromium, url, folder, pages_of(case_id) + WITH_TEXTS_OF_THEIR_OWN, runs=BOTH)
    named = [(f"{report['name']} {report['language']}", report) for report in reports]
    assert {name: report["errors"] for name, report in named if report["errors"]} == {}
    assert {name: report["violations"] for name, report in named if report["violations"]} == {}
    assert {name: report["bytes"] for name, report in named if report["bytes"] > MOST_BYTES} == {}
    assert [name for name, report in named if report["wide"]] == []
    assert all(report["bytes"] > 5_000 for _, report in named)


@pytest.fixture
def marked_catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every text of the catalogues stands between marks."""
    folder = tmp_path / "catalogues"
    folder.mkdir()
    for path in messages.FOLDER.glob("*.json"):
        texts = {key: f"{MARK}{text}⟧" for key, text in json.loads(path.read_text(encoding="utf-8")).items()}
        (folder / path.name).write_text(json.dumps(texts), encoding="utf-8")
    monkeypatch.setattr(messages, "FOLDER", folder)
    messages.catalogue.cache_clear()
    yield
    messages.catalogue.cache_clear()


@pytest.mark.usefixtures("marked_catalogues")
def test_every_text_comes_from_the_catalogue(chromium: str, settings: Settings, tmp_path: Path) -> None:
    with listening(settings) as (app, url):
        case_id = send_field(url)["case_id"]
        bundle = app.state.runtime.bundle
        label = httpx.get(f"{url}api/v1/cases/{case_id}").json()["label"]
        allowed = [category.value for category in AI_CATEGORIES] + [bundle.name, bundle.version, label, *NAMES]
        pages = [page for page in pages_of(case_id) if page["name"] != "model"]  # the card is a document of its own
        runs = [{"language": "vi", "theme": "light"}]
        reports = visit(chromium, url, tmp_path, pages, runs=runs, mark=MARK, allowed=allowed)
    assert {report["name"]: report["untranslated"] for report in reports if report["untranslated"]} == {}
    assert {report["name"]: report["errors"] for report in reports if report["errors"]} == {}
