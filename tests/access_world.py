"""Two facilities, one person per role and machine clients in each, and one object of every kind in the first.

Everything goes through the real endpoints of a service in this process. :class:`Caller` is whoever asks;
``World.objects`` maps the name of every path parameter to an object of the first facility.
"""

from __future__ import annotations

import base64
import io
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
from machine_clients import make_client
from people import make_account, make_facility, sign_in, username_of
from PIL import Image
from report_sample import write_report
from review_world import write_analysis, write_map
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import READERS, Role
from tamsoat.inference_service.accounts.sessions import CSRF_HEADER, PLAIN_COOKIE
from tamsoat.inference_service.audit import checkpoints
from tamsoat.inference_service.db.session import Database

PERSONS_ROLES = tuple(role for role in Role if role is not Role.INTEGRATOR)
"""A person never holds the role of a client system."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
UNLIMITED: dict[str, Any] = dict.fromkeys(
    ("rate_limit_per_minute", "anonymous_rate_limit_per_minute", "token_rate_limit_per_minute"), 100_000
)
"""Settings of a service that bears as many requests as a test sends."""

OWN, OTHER = "own", "other"


@dataclass
class Caller:
    """Whoever sends a request.

    Attributes:
        name: as the table of cells calls it.
        facility: ``own`` (where the objects are), ``other``; None without sign-in.
        role: of a person; ``integrator`` for a client; None without sign-in.
        kind: person, client, or the ways to be nobody.
        headers: what proves who it is.
    """

    name: str
    facility: str | None = None
    role: Role | None = None
    kind: str = "anonymous"
    headers: dict[str, str] = field(default_factory=dict)
    account: tuple[str, str] | None = None


@dataclass
class World:
    """The service with its people and objects; ``client`` carries no sign-in of its own."""

    client: TestClient
    facilities: dict[str, str]
    callers: list[Caller]
    machines: dict[str, Any]
    objects: dict[str, str]
    jpeg: bytes
    uploads: dict[Role, str] = field(default_factory=dict)
    """An upload belongs to who sends it: one of each role of the first facility that may."""

    _tokens: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        database: Database = self.client.app.state.runtime.database  # type: ignore[attr-defined]
        return database

    def send(self, caller: Caller, method: str, path: str, **content: Any) -> httpx.Response:
        """One request of ``caller``; nothing of the answer is remembered."""
        headers = {**content.pop("headers", {}), **caller.headers}
        response = self.client.request(method, path, headers=headers, follow_redirects=False, **content)
        self.client.cookies.clear()
        return response

    def objects_of(self, caller: Caller) -> dict[str, str]:
        """The objects that this caller asks for."""
        if caller.facility == OWN and caller.role in self.uploads:
            return {**self.objects, "upload_id": self.uploads[caller.role]}
        return self.objects

    def token(self, facility: str, scope: str) -> dict[str, str]:
        """The header with a token of the facility's client for ``scope``."""
        if (facility, scope) not in self._tokens:
            self._tokens[facility, scope] = dict(self.machines[facility].headers(self.client, scope))
        return self._tokens[facility, scope]

    def revive(self, caller: Caller) -> None:
        """Sign a person in again whose session a request has ended."""
        if caller.kind == "person" and self.send(caller, "GET", "/api/v1/session").status_code == 401:
            assert caller.account is not None
            caller.headers = self._sign_in(*caller.account)

    def _sign_in(self, account_id: str, password: str) -> dict[str, str]:
        sign_in(self.client, self.database, account_id, password)
        headers = {
            "Cookie": f"{PLAIN_COOKIE}={self.client.cookies[PLAIN_COOKIE]}",
            CSRF_HEADER: self.client.headers.pop(CSRF_HEADER),
        }
        self.client.cookies.clear()
        return headers


def make_world(client: TestClient) -> World:
    """Fill the empty service behind ``client``."""
    image = io.BytesIO()
    Image.effect_noise((320, 256), 60).convert("RGB").save(image, "JPEG")
    world = World(client, {}, [], {}, {}, image.getvalue())
    for facility, code in ((OWN, "79001"), (OTHER, "79002")):
        world.facilities[facility] = make_facility(world.database, code)
        for role in PERSONS_ROLES:
            account = make_account(world.database, world.facilities[facility], [role])
            headers = world._sign_in(*account)
            world.callers.append(Caller(f"{role.value} ({facility})", facility, role, "person", headers, account))
        world.machines[facility] = make_client(world.database, world.facilities[facility])
    world.callers.append(Caller("anonymous"))
    world.callers.append(Caller("forged token", headers={"Authorization": "Bearer e30.e30.AAAA"}))
    builder = make_account(world.database, world.facilities[OWN], PERSONS_ROLES)
    world.objects = _objects(world, Caller("builder", headers=world._sign_in(*builder)))
    senders = [caller for caller in world.callers if caller.facility == OWN and caller.role in READERS]
    senders.append(Caller("client", OWN, Role.INTEGRATOR, headers=world.token(OWN, "system/*.cruds")))
    world.uploads = {caller.role: _upload(world, caller) for caller in senders if caller.role}
    runtime = client.app.state.runtime  # type: ignore[attr-defined]
    checkpoints.make(world.database, runtime.keyring, runtime.settings)
    return world


def _objects(world: World, builder: Caller) -> dict[str, str]:
    def post(path: str, **content: Any) -> httpx.Response:
        content["headers"] = {"Idempotency-Key": str(uuid.uuid4()), **content.get("headers", {})}
        response = world.send(builder, "POST", f"/api/v1/{path}", **content)
        assert response.status_code < 300, (path, response.status_code, response.text)
        return response

    patient = post("patients", json={**example(world, "PatientIn")}).json()
    order = post("orders", json=example(world, "OrderIn")).json()
    slide = post(
        "slides",
        files={"image": ("field.jpg", world.jpeg, "image/jpeg")},
        data={"objective": "40", "order_id": order["order_id"]},
    ).json()
    found = world.send(builder, "POST", "/api/v1/cases/search", json={"q": slide["slide_id"]}).json()["items"][0]
    colleague, _ = make_account(world.database, world.facilities[OTHER], READERS)
    question = {**example(world, "ConsultationIn"), "case_id": found["case_id"]}
    question["consultant"] = username_of(world.database, colleague)
    consultation = post("consultations", json=question).json()
    write_analysis(world.database, slide["slide_id"])
    mark = {**example(world, "NewMarks"), "slide_id": slide["slide_id"], "analysis_id": slide["analysis_id"]}
    batch = post(f"cases/{found['case_id']}/marks", json=mark).json()["batch"]
    scale = {"objective": "40"}
    analysis = post("inference", files={"image": ("field.jpg", world.jpeg, "image/jpeg")}, data=scale).json()
    write_map(world.database, analysis["analysis_id"])
    webhook = post("webhooks", json=example(world, "NewWebhook")).json()
    delivery = post(f"webhooks/{webhook['webhook_id']}/test").json()
    account_id, _ = make_account(world.database, world.facilities[OWN], [Role.RESEARCHER])
    return {
        "patient_id": patient["patient_id"],
        "identifier_id": patient["identifiers"][0]["identifier_id"],
        "order_id": order["order_id"],
        "specimen_id": order["specimens"][0]["specimen_id"],
        "slide_id": slide["slide_id"],
        "case_id": found["case_id"],
        "consultation_id": consultation["consultation_id"],
        "report_id": write_report(world.database, found["case_id"]),
        "analysis_id": analysis["analysis_id"],
        "upload_id": _upload(world, builder),
        "webhook_id": webhook["webhook_id"],
        "delivery_id": delivery["delivery_id"],
        "account_id": account_id,
        "client_id": make_client(world.database, world.facilities[OWN]).client_id,
        "sequence": "3",
        "batch": batch,
        "rank": "0",
        "level": "8",
        "column": "0",
        "row": "0",
    }


def _upload(world: World, caller: Caller) -> str:
    """A begun upload of ``caller``."""
    metadata = f"objective {base64.b64encode(b'40').decode()}"
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(world.jpeg)), "Upload-Metadata": metadata}
    response = world.send(caller, "POST", "/api/v1/uploads", headers=headers)
    assert response.status_code == 201, response.text
    return str(response.headers["location"]).rstrip("/").rpartition("/")[2]


def example(world: World, schema: str) -> Any:
    """The example that the OpenAPI document gives for ``schema``: it must work."""
    return world.client.app.openapi()["components"]["schemas"][schema]["examples"][0]  # type: ignore[attr-defined]
