"""The token endpoint: SMART Backend Services 2.2, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from machine_clients import TestMachineClient, make_client
from starlette.testclient import TestClient

TOKEN_URL = "http://127.0.0.1/oauth2/token"


@pytest.fixture
def his(client: TestClient) -> Iterator[TestMachineClient]:
    yield make_client(client.app.state.runtime.database, "local", ["system/Observation.cruds"])  # type: ignore[attr-defined]


def test_token_opens_the_api(client: TestClient, his: TestMachineClient) -> None:
    assert client.get("/api/v1/analyses").status_code == 401
    answer = client.get("/api/v1/analyses", headers=his.headers(client))
    assert answer.status_code == 200, answer.text
