"""A service in this process, and the picture that is sent to it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_log import write_log
from desk import Desk, open_service
from PIL import Image
from starlette.testclient import TestClient

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.settings import Settings

BASE_URL = "http://127.0.0.1"


@pytest.fixture(scope="session")
def field_jpeg() -> bytes:
    """A generated field of 320 x 256 px as JPEG."""
    from tamsoat.datasets.synthetic import make_field

    stream = io.BytesIO()
    Image.fromarray(make_field(seed=5, width_px=320, height_px=256, n_nuclei=12).image).save(stream, "JPEG", quality=92)
    return stream.getvalue()


@pytest.fixture
def service_settings(tiny_bundle: Path, tmp_path: Path) -> Settings:
    """Settings of a small service with its own database; jobs are worked on only with ``run_worker`` switched on."""
    return Settings(
        run_worker=False,
        model=tiny_bundle,
        database_url=f"sqlite:///{tmp_path}/service.db",
        threads=1,
        max_upload_mib=4,
        log_level="warning",
        password_memory_mib=8,
        password_passes=1,
    )


@pytest.fixture
def client(service_settings: Settings) -> Iterator[TestClient]:
    """A client of a service that is open for the test; faults of the program are answered, not raised."""
    with TestClient(create_app(service_settings), base_url=BASE_URL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def working_client(service_settings: Settings) -> Iterator[TestClient]:
    """As ``client``, of a service that also works on jobs."""
    settings = service_settings.model_copy(update={"run_worker": True})
    with TestClient(create_app(settings), base_url=BASE_URL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def written_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a whole audit log; tests work on copies."""
    path = tmp_path_factory.mktemp("audit") / "log.db"
    write_log(path)
    return path


@pytest.fixture
def audit_db(written_log: Path, tmp_path: Path) -> Path:
    """A copy of the log to do something to."""
    copy = tmp_path / "log.db"
    shutil.copy(written_log, copy)
    return copy


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_service(
    request: pytest.FixtureRequest, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """One service on each database for the tests of a module; they must not open another."""
    folder = tmp_path_factory.mktemp("service")
    url = f"sqlite:///{folder}/test.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_cluster").new_database()
    with open_service(tiny_bundle, folder, url) as client:
        yield client


@pytest.fixture
def desk(shared_service: TestClient) -> Desk:
    """Someone signed in at a facility of its own."""
    return Desk.at(shared_service)
