"""A service on SQLite or PostgreSQL that several tests share, each test at the desk of a facility of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from people import make_account, make_facility, sign_in
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

BASE_URL = "http://127.0.0.1"
PATIENTS, ORDERS = "/api/v1/patients", "/api/v1/orders"
_codes = itertools.count(10_000)


@contextmanager
def open_service(bundle: Path, folder: Path, database_url: str) -> Iterator[TestClient]:
    """The service in this process; one at a time, because the keys belong to the process."""
    settings = Settings(
        model=bundle, database_url=database_url, data_dir=folder, threads=1, log_level="warning",
        password_memory_mib=8, password_passes=1, run_worker=False, database_wait_s=60,
    )  # fmt: skip
    with TestClient(create_app(settings), base_url=BASE_URL, raise_server_exceptions=False) as client:
        yield client


@dataclass
class Desk:
    """Someone signed in at a facility where nothing was entered yet."""

    client: TestClient
    facility_id: str

    @classmethod
    def at(cls, client: TestClient, roles: Iterable[Role] = (Role.CYTOTECHNOLOGIST, Role.ADMINISTRATOR)) -> Desk:
        """A new facility, and a person with ``roles`` who signs in there."""
        database: Database = client.app.state.runtime.database  # type: ignore[attr-defined]
        encryption.install(client.app.state.runtime.keyring)  # type: ignore[attr-defined]
        desk = cls(client, make_facility(database, str(next(_codes))))
        desk.sit_down(roles)
        return desk

    @property
    def database(self) -> Database:
        """The service's database."""
        database: Database = self.client.app.state.runtime.database  # type: ignore[attr-defined]
        return database

    def sit_down(self, roles: Iterable[Role]) -> None:
        """Another person of the facility takes over."""
        account_id, password = make_account(self.database, self.facility_id, roles)
        sign_in(self.client, self.database, account_id, password)

    def patient(self, data: dict[str, Any], status: int = 201) -> dict[str, Any]:
        """Enter a patient; the answer's body."""
        return self.post(PATIENTS, data, status)

    def order(self, data: dict[str, Any], status: int = 201) -> dict[str, Any]:
        """Place an order; the answer's body."""
        return self.post(ORDERS, data, status)

    def found(self, **wanted: Any) -> list[str]:
        """Identifiers of the patients that a search finds."""
        return [item["patient_id"] for item in self.post(f"{PATIENTS}/search", wanted)["items"]]

    def post(self, path: str, data: dict[str, Any], status: int = 200) -> dict[str, Any]:
        """Post and check the status; the answer's body."""
        response = self.client.post(path, json=data)
        assert response.status_code == status, response.text
        body: dict[str, Any] = response.json()
        return body

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        """Get and check the status; the answer's body."""
        response = self.client.get(path)
        assert response.status_code == status, response.text
        body: dict[str, Any] = response.json()
        return body


def named(name: str, *numbers: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A patient to enter, with pairs of system and number."""
    return {"name": name, "identifiers": [{"system": system, "value": value} for system, value in numbers], **more}
