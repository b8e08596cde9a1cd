"""What many tests need: a small real bundle, generated fields, and the CRIC fields where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from postgresql_cluster import Cluster, programs, running_cluster

REPOSITORY = Path(__file__).resolve().parent.parent

# Without a deadline per example: a busy machine is no fault. In CI the examples are the same at every run.
settings.register_profile(
    "busy-machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("busy-machine")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command run inside a test points structlog at the test's captured stderr, which is closed afterwards."""
    import structlog

    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def cric() -> Path:
    """Folder of the real CRIC fields: ``TAMSOAT_CRIC``, ``data/cric`` or ``../shared/data/cric``."""
    candidates = [os.environ.get("TAMSOAT_CRIC"), REPOSITORY / "data/cric", REPOSITORY.parent / "shared/data/cric"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "cells.csv").is_file():
            return Path(candidate)
    pytest.skip("the CRIC fields are not on this machine (see docs/datasets.md)")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the real graph and random weights of the ``tiny`` network; scores are spread so peaks appear."""
    import torch

    from tamsoat.models.bundle import OperatingPoints
    from tamsoat.models.detector import build_detector
    from tamsoat.models.export import Calibration, TileGeometry
    from tamsoat.models.write import write_bundle

    torch.manual_seed(7)
    detector = build_detector("tiny")
    with torch.no_grad():
        detector.head.weight.mul_(20.0)
        detector.head.bias[0] = -1.0
        detector.head.weight[1:3].mul_(0.01)
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    points = OperatingPoints(0.2, (1.0, 1.5, 1.5, 2.0, 2.0, 2.0), 0.5, 0.0, 1.0, 0.5, 0.6)
    write_bundle(
        folder,
        detector,
        name="tiny-random",
        version="0.0.1",
        mpp=0.25,
        calibration=Calibration(1.2, (0.0,) * 6),
        points=points,
        provenance={"data": "none (random weights, for tests)", "synthetic": "true"},
        evaluation={},
        geometry=TileGeometry(256, 64, 64),
    )
    return folder


@pytest.fixture(scope="session")
def synthetic_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small generated fields with their manifest."""
    from tamsoat.datasets.synthetic import write_dataset

    folder = tmp_path_factory.mktemp("synthetic")
    write_dataset(folder, 8, seed=3, n_folds=2, width_px=320, height_px=256)
    return folder


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[Cluster]:
    """A private PostgreSQL; only where its programs are missing, and not in CI, its tests are skipped."""
    folder = programs()
    if folder is None:
        if os.environ.get("CI"):
            raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with running_cluster(folder) as cluster:
        yield cluster


@pytest.fixture
def postgresql_url(postgresql_cluster: Cluster) -> str:
    """URL of an empty PostgreSQL database."""
    return postgresql_cluster.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url
