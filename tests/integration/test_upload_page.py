"""The upload page is served where its assets were built, and says what to do where they were not."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tamsoat.inference_service.web import endpoints


@pytest.mark.parametrize("built", [True, False])
def test_upload_page(client: TestClient, built: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "upload.js"
    if built:
        module.write_text("")
    monkeypatch.setattr(endpoints, "UPLOAD_MODULE", module)
    page = client.get("/upload", params={"language": "en"})
    assert page.status_code == 200
    assert ("/static/assets/upload.js" in page.text) == built
    assert ("make assets" in page.text) != built
