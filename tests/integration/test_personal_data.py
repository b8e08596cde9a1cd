"""Marker names and numbers go in through every door; afterwards they are in nothing that was written.

A real service process, its SQLite files (searched byte by byte, while it runs and after it ended), its log at the
level debug, its metrics, its traces as a collector receives them, its folders, the export of the audit log, and what
it answers to other people.
"""

from __future__ import annotations

import base64
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_process import ServerProcess
from typer.testing import CliRunner

from tamsoat.inference_service.cli.audit import app as audit_cli
from tamsoat.inference_service.cli.keys import app as keys_cli
from tamsoat.inference_service.db.keyring import read_keyring

WORDS = ("Zxqname", "Zxqaddress", "Zxqhistory", "Zxqdoctor", "Zxqfile", "Zxqquery", "Zxqheader", "Zxqfield", "Zxquser")
NUMBERS = {"national_id": "079190975318", "citizen_id": "975318642", "insurance_number": "GD4799753186420",
           "patient-internal-id": "ZXQBN-97531864", "passport_number": "ZXQ97531"}  # fmt: skip
PHONE = "0975318642"
NAME = "Nguyễn Thị Zxqname"

PRELUDE = """
from tamsoat.inference_service.patients import search
def faulty(facility_id, name, real=search.name_tokens):
    if "boom" in (name or ""):
        raise ValueError(f"cannot handle {name!r}")
    return real(facility_id, name)
search.name_tokens = faulty
"""
"""A fault of the program whose message repeats what was sent."""


class _Collector(BaseHTTPRequestHandler):
    """Takes traces as an OpenTelemetry collector does."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Address of a collector, and what it was sent."""
    bodies: list[bytes] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Collector,), {"bodies": bodies}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


def _markers() -> list[bytes]:
    """What must not appear: the words in any case, the numbers, and what base64 makes of them."""
    plain = [word.lower().encode() for word in (*WORDS, *NUMBERS.values(), NUMBERS["insurance_number"][-10:], PHONE)]
    encoded = []
    for word in (*WORDS, *NUMBERS.values(), PHONE):
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + word.encode()).decode().rstrip("=")
            inner = text[2 if shift else 0 : -1]
            encoded.append(inner[2 if shift else 0 :].lower().encode())
    return plain + [item for item in encoded if len(item) >= 8]


def _leaks(content: bytes) -> list[bytes]:
    lowered = content.lower()
    return [marker for marker in _markers() if marker in lowered]


def _patient() -> dict[str, Any]:
    identifiers = [{"system": system, "value": value} for system, value in NUMBERS.items()]
    return {"name": NAME, "birth_date": "1990", "sex": "female", "phone": PHONE, "address": "12 Zxqaddress, Quận 1",
            "identifiers": identifiers}  # fmt: skip


def _plant(http: httpx.Client, folder: Path, field_jpeg: bytes) -> list[httpx.Response]:
    """Send the markers through every door; returns what other people would see of it afterwards."""
    patients, orders = "/api/v1/patients", "/api/v1/orders"
    keyed = {"Idempotency-Key": "zxqheader-1", "User-Agent": "Zxqheader", "X-Request-ID": "Zxqheader!",
             "Cookie": "tamsoat-session=Zxqheader", "Referer": f"https://x/{NUMBERS['national_id']}",
             "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "zxqheader=975318642"}  # fmt: skip
    created = http.post(patients, json=_patient(), headers=keyed)
    assert created.status_code == 201, created.text
    patient_id = created.json()["patient_id"]
    assert http.post(patients, json=_patient(), headers=keyed).headers["idempotency-replayed"] == "true"
    order = {
        "number": "P-1", "patient": _patient(), "requester": "BS. Zxqdoctor",
        "context": {"history_text": "Zxqhistory, chồng là Zxqname", "last_period": "2026-01-01"},
    }  # fmt: skip
    placed = http.post(orders, json=order, headers={"Idempotency-Key": "zxqheader-2"})
    assert placed.status_code == 201, placed.text
    order_id = placed.json()["order_id"]
    others = [
        http.post(patients, json={"identifiers": [{"system": system, "value": value}]})
        for system, value in NUMBERS.items()
    ]
    assert {answer.status_code for answer in others} == {409}
    for body in (
        {"name": "Zxqname"},
        {"identifier": NUMBERS["national_id"]},
        {"identifier": PHONE},
        {"name": "zxqquery"},
    ):
        assert http.post(f"{patients}/search", json=body).status_code in (200, 422)
    assert http.get(f"{patients}/{patient_id}").json()["name"] == NAME
    assert http.get(f"{patients}/{patient_id}/export").status_code == 200
    tag = http.get(f"{patients}/{patient_id}").headers["etag"]
    http.patch(
        f"{patients}/{patient_id}", json={"address": "Zxqaddress 2"}, headers={"If-Match": tag}
    ).raise_for_status()
    http.patch(f"{patients}/{patient_id}", json={"name": NAME}, headers={"If-Match": '"Zxqheader"'})
    card = f"{NUMBERS['national_id']}|{NUMBERS['citizen_id']}|{NAME}|03051990|Nữ|Zxqaddress|01062021"
    assert http.post(f"{patients}/card", json={"text": card}).status_code == 200
    assert http.post(f"{patients}/card", json={"text": card.replace("|", "~")}).status_code == 422
    _plant_bad_requests(http, order_id)
    _plant_files(http, order_id, field_jpeg)
    boom = http.post(patients, json={"name": f"{NAME} boom", "phone": PHONE})
    assert boom.status_code == 500, boom.text
    others.append(boom)
    with sqlite3.connect(folder / "service.db") as database:
        database.execute("ALTER TABLE patient_tokens RENAME TO elsewhere")
        others.append(http.post(f"{patients}/search", json={"name": "Zxqname"}))
        others.append(http.post(patients, json={"name": NAME}))
        database.execute("ALTER TABLE elsewhere RENAME TO patient_tokens")
        database.execute("BEGIN IMMEDIATE")
        others.append(http.post(patients, json={"name": NAME}))
        database.execute("ROLLBACK")
    assert [answer.status_code for answer in others[-3:]] == [500, 500, 503]
    others.append(http.get("/metrics"))
    return others


def _plant_bad_requests(http: httpx.Client, order_id: str) -> None:
    """4xx with markers in paths, queries, members, methods and malformed bodies."""
    number = NUMBERS["national_id"]
    expected = {400, 401, 403, 404, 405, 409, 413, 415, 422, 428}
    for answer in (
        http.get(f"/api/v1/patients/{number}"),
        http.get(f"/api/v1/patients/Zxqquery?name={NAME}"),
        http.get(f"/api/v1/orders?patient_id={number}&number=Zxqquery&unknown={NAME}"),
        http.get(f"/api/v1/orders?status=Zxqquery&limit={number}"),
        http.get(f"/Zxqquery/{number}"),
        http.post("/api/v1/patients", json={"name": ["Zxqname"], "sex": "Zxqname", NAME: number}),
        http.post("/api/v1/patients", content=b'{"name": "Zxqname', headers={"Content-Type": "application/json"}),
        http.post("/api/v1/patients", json={"identifiers": [{"system": "national_id", "value": f"{number}Zxqname"}]}),
        http.post("/api/v1/orders", json={"number": NAME, "patient_id": number}),
        http.post(f"/api/v1/orders/{order_id}/cancel", json={"reason": "Zxqname"}),
        http.request("ZXQNAME", f"/api/v1/patients/{number}"),
        http.post("/api/v1/session", json={"username": "Zxquser", "password": "Zxquser", "code": number[:6]}),
        http.get("/api/v1/orders", headers={"Authorization": f"Bearer Zxqheader.{number}.x"}),
        http.post("/oauth2/token", data={"grant_type": "Zxqfield", "client_assertion": NAME, "scope": number}),
        http.get("/oidc/callback?state=Zxqquery&code=Zxqquery&error=Zxqquery"),
        http.get(f"/api/v1/analyses?triage=Zxqquery&before={number}"),
    ):
        assert answer.status_code in expected | {200, 302, 303}, (answer.request.url, answer.status_code, answer.text)


def _plant_files(http: httpx.Client, order_id: str, field_jpeg: bytes) -> None:
    """File names, fields of forms and tus metadata."""
    name = f"{NAME} {NUMBERS['national_id']} Zxqfile.jpg"
    screened = http.post(
        "/api/v1/inference", files={"image": (name, field_jpeg)}, data={"objective": "40", "Zxqfield": NAME}
    )
    assert screened.status_code == 200, screened.text
    for content, fields in (
        (field_jpeg, {"objective": "40", "order_id": order_id}),
        (b"no image Zxqfile", {"mpp": "0.25"}),
    ):
        sent = http.post(
            "/api/v1/slides", files={"image": (name, content)}, data={**fields, "Zxqfield": NAME, "note": NAME}
        )
        assert sent.status_code in (200, 201, 202, 415, 422), sent.text
    http.post("/api/v1/slides", files={"Zxqfield": (name, field_jpeg)}, data={"priority": "Zxqfield", "order_id": NAME})
    plain = {"filename": name, "objective": "40", "patient": NAME, "Zxqfield": "Zxqfield"}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in plain.items())
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(field_jpeg) + 8), "Upload-Metadata": metadata}
    begun = http.post("/api/v1/uploads", headers=tus)
    assert begun.status_code == 201, begun.text
    more = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    http.patch(begun.headers["location"], headers=more, content=field_jpeg)


def _search(folder: Path, stage: str) -> dict[str, list[bytes]]:
    """Names of the files whose content or name holds a marker; the images themselves are what was sent, not text."""
    found = {}
    for path in sorted(folder.rglob("*")):
        leaks = _leaks(path.name.encode()) + (_leaks(path.read_bytes()) if path.is_file() else [])
        if leaks:
            found[f"{stage}: {path.relative_to(folder)}"] = leaks
    return found


def test_nothing_personal_is_written(
    tiny_bundle: Path,
    tmp_path: Path,
    field_jpeg: bytes,
    collector: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    address, traces = collector
    settings = {"log_level": "debug", "otlp_endpoint": address, "database_wait_s": 3, "threads": 1}
    with ServerProcess(tiny_bundle, folder / "service.db", prelude=PRELUDE, **settings) as server:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            others = _plant(http, folder, field_jpeg)
            while_running = _search(folder, "running")
            searched = {path.name for path in folder.rglob("*")}
            assert searched >= {"service.db", "service.db-wal", "service.jobs.db", "keys.json"}
            own = http.post("/api/v1/patients/search", json={"name": "zxqname"})
            assert len(_leaks(own.content)) >= len(NUMBERS), "the search finds what is there"
            monkeypatch.setenv("TAMSOAT_DATABASE_URL", f"sqlite:///{folder}/service.db")
            rotated = CliRunner().invoke(keys_cli, ["rotate"], catch_exceptions=False)
            assert rotated.exit_code == 0, rotated.output
            search = http.post("/api/v1/patients/search", json={"identifier": NUMBERS["insurance_number"][-10:]})
            assert search.json()["items"][0]["name"] == NAME, "the running service has noticed the new key"
            active = read_keyring(folder / "keys.json").active
            http.post("/api/v1/patients", json={"name": "Sau khi đổi khoá"}).raise_for_status()
        server.stop()
        log = server.output
    with sqlite3.connect(folder / "service.db") as database:
        stored = database.execute("SELECT name FROM patients").fetchall()
        assert {value.partition(":")[0] for (value,) in stored} == {active}
    export = tmp_path / "audit.ndjson"
    assert CliRunner().invoke(audit_cli, ["export", "--out", str(export)]).exit_code == 0
    assert while_running | _search(folder, "ended") == {}
    assert _leaks(log.encode()) == [], [line for line in log.splitlines() if _leaks(line.encode())]
    assert "ValueError" in log, "a fault is still logged, with its place"
    assert "faulty" in log
    assert len(traces) >= 1
    assert b"/api/v1/patients" in b"".join(traces)
    assert _leaks(b"".join(traces)) == []
    assert len(export.read_text().splitlines()) > 20
    assert _leaks(export.read_bytes()) == []
    for answer in others:
        assert _leaks(answer.content) == [], (answer.request.url, answer.text)
