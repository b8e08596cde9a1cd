"""A service that takes slides, in this process, and what tests ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bad_inputs import encode, field_pixels
from PIL import Image
from starlette.testclient import TestClient

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import repository as audit_repository
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.local import LocalStore

URL = "/api/v1/slides"


def settings_for(bundle: Path, folder: Path, url: str, **more: Any) -> Settings:
    return Settings(
        model=bundle, database_url=url, data_dir=folder, threads=1, log_level="warning", run_worker=False,
        password_memory_mib=8, password_passes=1, **more,
    )  # fmt: skip


def opened(settings: Settings) -> TestClient:
    return TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False)


def runtime_of(client: TestClient) -> Runtime:
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    return runtime


def send(client: TestClient, data: bytes, *, name: str = "a.jpg", headers: dict[str, str] | None = None, **form: str):  # type: ignore[no-untyped-def]
    fields = form if "mpp" in form else {"objective": "40", **form}
    return client.post(URL, files={"image": (name, data)}, data=fields, headers=headers)


def image(seed: int) -> bytes:
    """A small field of its own."""
    return encode(Image.fromarray(np.roll(field_pixels(), seed, axis=1)), "JPEG", quality=90)


def files_of(client: TestClient) -> list[Path]:
    store = runtime_of(client).store
    assert isinstance(store, LocalStore)
    return [path for path in store.folder.rglob("*") if path.is_file()]


def audited(client: TestClient, subject: str) -> list[str]:
    with runtime_of(client).database.read() as session:
        return [row.action for row in audit_repository.find_by_subject(session, subject)]
