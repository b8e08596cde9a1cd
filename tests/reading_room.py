"""Readers at a case: people who write, sign and confirm readings over HTTP, each with a browser of their own.

room = Room.at(client)                       # a facility of its own, with a ready case of one slide
lan = room.reader("lan", Role.PATHOLOGIST)
lan.write(HSIL)
signed = lan.sign()
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from people import code_of, make_account, make_facility, sign_in
from small_service import small_service
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.sessions import CSRF_HEADER, PLAIN_COOKIE
from tamsoat.inference_service.audit.reads import ReadLog
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import READY, FacilityReviewSettings
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.jobs.jobs import Jobs
from tamsoat.inference_service.reports import reading_endpoints
from tamsoat.inference_service.reviews import endpoints as reviews
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.uploads.tables import Slide

_codes = itertools.count(30_000)
EMPTY: dict[str, Any] = {
    "adequacy": None, "reasons": [], "quality": [], "zone": None, "general": None, "findings": [], "organisms": [],
    "reactive": [], "recommendations": [], "comment": "",
}  # fmt: skip
NEGATIVE = EMPTY | {"adequacy": "satisfactory", "zone": "zone-present", "general": "negative"}
ABNORMAL = NEGATIVE | {"general": "abnormal"}
ASC_US, LSIL, HSIL = (ABNORMAL | {"findings": [code]} for code in ("asc-us", "lsil", "hsil"))
UNSATISFACTORY = EMPTY | {"adequacy": "unsatisfactory", "reasons": ["scant-cells"]}


@contextmanager
def open_reading_service(url: str, folder: Path) -> Iterator[TestClient]:
    """A service without a model, with the endpoints of sign-out and review; one at a time in a process."""
    settings = Settings(
        database_url=url, data_dir=folder, log_level="warning", password_memory_mib=8, password_passes=1,
        database_wait_s=60,
    )  # fmt: skip
    with small_service(settings, [reading_endpoints.router, reviews.router]) as client:
        runtime: Any = client.app.state.runtime  # type: ignore[attr-defined]
        runtime.jobs = Jobs()
        runtime.read_log = ReadLog(Database(url, wait_s=60, pool_size=1))
        try:
            yield client
        finally:
            runtime.read_log.close()


@dataclass
class Reader:
    """One person with a session of their own; ``tag`` is the entity tag of what was read or saved last."""

    room: Room
    account_id: str
    password: str
    headers: dict[str, str]
    tag: str = ""

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """One request about the room's case (``path`` without a slash in front), or anything (with one)."""
        where = path if path.startswith("/") else f"/api/v1/cases/{self.room.case_id}/{path}"
        headers = {**self.headers, **content.pop("headers", {})}
        self.room.client.cookies.clear()
        response = self.room.client.request(method, where, headers=headers, **content)
        self.room.client.cookies.clear()
        return response

    def read(self) -> dict[str, Any]:
        """The form with all that stands beside it."""
        response = self.ask("GET", "reading")
        assert response.status_code == 200, response.text
        self.tag = response.headers["etag"]
        body: dict[str, Any] = response.json()
        return body

    def save(self, form: dict[str, Any]) -> httpx.Response:
        """Save over what was read last."""
        response = self.ask("PUT", "reading", json=form, headers={"If-Match": self.tag})
        self.tag = response.headers.get("etag", self.tag)
        return response

    def write(self, form: dict[str, Any]) -> dict[str, Any]:
        """Read what is there, save ``form`` over it."""
        self.read()
        response = self.save(form)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def proof(self, **more: Any) -> dict[str, Any]:
        """What a signature asks for."""
        return {"password": self.password, "code": code_of(self.room.database, self.account_id), **more}

    def send(self, what: str, **more: Any) -> httpx.Response:
        """Ask for a signature: ``sign``, ``amend`` or ``confirm``."""
        return self.ask("POST", what, json=self.proof(**more), headers={"If-Match": self.tag})

    def sign(self, what: str = "sign", **more: Any) -> dict[str, Any]:
        """A signature that is accepted."""
        response = self.send(what, **more)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def reads(self, form: dict[str, Any]) -> dict[str, Any]:
        """Write and sign."""
        self.write(form)
        return self.sign()

    def readings(self) -> dict[str, Any]:
        """The signed readings that this person may see."""
        response = self.ask("GET", "readings")
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body


@dataclass
class Room:
    """A facility with a case that waits to be read."""

    client: TestClient
    facility_id: str
    case_id: str = ""
    slide_id: str = ""
    people: list[Reader] = field(default_factory=list)

    @classmethod
    def at(
        cls, client: TestClient, *, ai: str | None = None, negative_share: float = 0.0, blind_first: bool = False
    ) -> Room:
        """A facility of its own; ``ai``: what the model says of its case."""
        encryption.install(client.app.state.runtime.keyring)  # type: ignore[attr-defined]
        database: Database = client.app.state.runtime.database  # type: ignore[attr-defined]
        room = cls(client, make_facility(database, str(next(_codes))))
        with database.write() as session:
            session.add(
                FacilityReviewSettings(
                    facility_id=room.facility_id,
                    blind_first=blind_first,
                    negative_share=negative_share,
                    disagreement_steps=2,
                    version=1,
                    updated_at=datetime.now(UTC),
                )
            )
        room.case_id = room.new_case(ai=ai)
        return room

    @property
    def database(self) -> Database:
        """The service's database."""
        database: Database = self.client.app.state.runtime.database  # type: ignore[attr-defined]
        return database

    def new_case(self, *, ai: str | None = None, order_id: str | None = None) -> str:
        """A ready case with one slide."""
        slide = Slide(
            id=str(uuid.uuid4()), facility_id=self.facility_id, sha256="ab" * 32, bytes=100, media_type="image/jpeg",
            mpp=0.25, width_px=320, height_px=256, order_id=order_id, created_by="local",
            created_at=datetime.now(UTC),
        )  # fmt: skip
        with self.database.write() as session:
            session.add(slide)
            self.slide_id = slide.id
            case = cases.take_slide(session, slide)
            cases.set_state(session, case, READY, ai_category=ai)
            return case.id

    def reader(self, *roles: Role, second_factor: bool = False) -> Reader:
        """Another person of the facility, signed in."""
        wanted = roles or (Role.PATHOLOGIST,)
        account_id, password = make_account(
            self.database, self.facility_id, wanted, second_factor=second_factor,
            display_name=f"Người Đọc {len(self.people) + 1}",
        )  # fmt: skip
        self.client.cookies.clear()
        sign_in(self.client, self.database, account_id, password)
        headers = {
            "Cookie": f"{PLAIN_COOKIE}={self.client.cookies[PLAIN_COOKIE]}",
            CSRF_HEADER: self.client.headers.pop(CSRF_HEADER),
        }
        self.client.cookies.clear()
        made = Reader(self, account_id, password, headers)
        self.people.append(made)
        return made

    def case(self) -> Any:
        """The row of the case as it is now."""
        with self.database.read() as session:
            return cases.get(session, self.facility_id, self.case_id)
