"""Machine clients as their administrator handles them: over HTTP, and on the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from machine_clients import TestMachineClient, make_client, new_key, public_jwks
from people import make_account, make_facility, sign_in
from small_service import small_service
from sqlalchemy import select
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import client_endpoints, client_service
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.key_fetch import KeyAddressError
from tamsoat.inference_service.accounts.public_keys import PublicKeysError
from tamsoat.inference_service.accounts.scopes import ScopeError
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

CLIENTS = "/api/v1/clients"
SCOPES = ["system/ServiceRequest.cr"]
TOKEN_URL = "http://127.0.0.1/oauth2/token"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("administration")
    settings = Settings(
        database_url=f"sqlite:///{folder}/a.db", log_level="error", password_memory_mib=8, password_passes=1
    )
    with small_service(settings, [client_endpoints.router]) as http:
        yield http


@pytest.fixture(scope="module")
def database(service: TestClient) -> Database:
    database: Database = service.app.state.runtime.database  # type: ignore[attr-defined]
    return database


@pytest.fixture(scope="module")
def admin(service: TestClient, database: Database) -> TestClient:
    assert service.post(CLIENTS, json=wanted()).json()["type"] == "urn:tamsoat:problem:first-client"
    account = make_account(database, make_facility(database, "79001"), [Role.ADMINISTRATOR])
    sign_in(service, database, *account)
    return service


def wanted(**changes: object) -> dict[str, object]:
    return {"name": "HIS", "scopes": SCOPES, "jwks": public_jwks(new_key()), **changes}


def token(http: httpx.Client, client: TestMachineClient) -> int:
    return http.post("/oauth2/token", data=client.form(TOKEN_URL)).status_code


def test_a_client_from_its_registration_to_its_end(admin: TestClient, database: Database) -> None:
    first, second = new_key("first"), new_key("second")
    created = admin.post(CLIENTS, json=wanted(jwks=public_jwks(first)))
    assert created.status_code == 201
    client_id = created.json()["client_id"]
    assert created.headers["location"] == f"{CLIENTS}/{client_id}"
    his = TestMachineClient(client_id, "", tuple(SCOPES), first)
    assert token(admin, his) == 200
    read = admin.get(f"{CLIENTS}/{client_id}")
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"]
    assert admin.get(f"{CLIENTS}/{client_id}", headers={"If-None-Match": read.headers["etag"]}).status_code == 304
    changed = admin.patch(
        f"{CLIENTS}/{client_id}",
        json={"jwks": public_jwks(second), "scopes": ["system/Media.c"]},
        headers={"If-Match": read.headers["etag"]},
    )
    assert (changed.status_code, changed.json()["scopes"], changed.json()["name"]) == (200, ["system/Media.c"], "HIS")
    late = admin.patch(f"{CLIENTS}/{client_id}", json={"name": "x"}, headers={"If-Match": read.headers["etag"]})
    assert late.status_code == 412
    assert token(admin, his) == 400
    his.key, his.scopes = second, ("system/Media.c",)
    assert token(admin, his) == 200
    ended = [admin.post(f"{CLIENTS}/{client_id}/disable") for _ in range(2)]
    assert [(answer.status_code, answer.json()["state"]) for answer in ended] == [(200, "disabled")] * 2
    assert token(admin, his) == 400
    assert admin.patch(f"{CLIENTS}/{client_id}", json={"name": "x"}).status_code == 409
    assert client_id in [item["client_id"] for item in admin.get(CLIENTS).json()["items"]]
    with database.read() as session:
        rows = session.execute(select(AuditEntry).where(AuditEntry.subject == f"client:{client_id}")).scalars()
        actions = [(row.action, row.actor.partition(":")[0]) for row in rows]
    assert [name for name, _ in actions] == [
        "client:create", "client:token", "client:update", "access:deny", "client:token", "client:disable",
        "access:deny",
    ]  # fmt: skip
    assert {actor for name, actor in actions if name in ("client:create", "client:update")} == {"account"}


def test_another_facility_sees_nothing(admin: TestClient, database: Database) -> None:
    other = make_client(database, make_facility(database, "79002"))
    assert other.client_id not in str(admin.get(CLIENTS).json())
    for answer in (
        admin.get(f"{CLIENTS}/{other.client_id}"),
        admin.patch(f"{CLIENTS}/{other.client_id}", json={"name": "x"}),
        admin.post(f"{CLIENTS}/{other.client_id}/disable"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:tamsoat:problem:client-not-found")
    assert token(admin, other) == 200


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"jwks": None}, "client-keys-invalid"),
        ({"jwks_url": "https://his.example/jwks.json"}, "client-keys-invalid"),  # both
        ({"jwks": {"keys": [new_key().as_dict(private=True)]}}, "client-keys-invalid"),
        (
            {"jwks": {"keys": [{"kty": "EC", "crv": "P-384", "kid": "\u0000", "x": "a", "y": "b"}]}},
            "client-keys-invalid",
        ),
        ({"jwks": None, "jwks_url": "http://10.0.0.1/jwks.json"}, "key-address-refused"),
        ({"scopes": ["patient/Patient.r"]}, "scope-invalid"),
        ({"scopes": []}, "request-invalid"),
        ({"name": "\u0000"}, "request-invalid"),
        ({"name": "   "}, "request-invalid"),
        ({"unknown": 1}, "request-invalid"),
    ],
)
def test_what_cannot_be_registered(admin: TestClient, changes: dict[str, object], slug: str) -> None:
    answer = admin.post(CLIENTS, json=wanted(**changes))
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:tamsoat:problem:{slug}")


def test_keys_that_cannot_be_registered(database: Database) -> None:
    good = public_jwks(new_key("a"))
    weak = {"keys": [RSAKey.generate_key(1024, {"kid": "w"}).as_dict(private=False)]}
    for jwks in (
        {"keys": [new_key("p").as_dict(private=True)]},
        {"keys": [{**good["keys"][0], "kid": ""}]},
        {"keys": [{**good["keys"][0], "use": "enc"}]},
        {"keys": [{**good["keys"][0], "x": 5}]},
        {"keys": [ECKey.generate_key("P-256", {"kid": "c"}).as_dict(private=False)]},
        {"keys": [OctKey.generate_key(256, {"kid": "o"}).as_dict(private=True)]},
        {"keys": []},
        {"keys": ["x"]},
        {},
        weak,
    ):
        with pytest.raises(PublicKeysError), database.write() as session:
            client_service.create(
                session, Settings(), facility_id="local", name="x", scopes=SCOPES, jwks=jwks, actor="local"
            )
    for url in (
        "http://his.example/jwks", "https://user:pw@his.example/", "https://his.example/#x", "file:///etc/passwd",
        "https://" + "a" * 600, "no url", "",
    ):  # fmt: skip
        with pytest.raises(KeyAddressError), database.write() as session:
            client_service.create(
                session, Settings(), facility_id="local", name="x", scopes=SCOPES, jwks_url=url, actor="local"
            )


def test_scopes_that_cannot_be_registered(database: Database) -> None:
    for scopes in ([], ["system/*.sdurc"], ["patient/Patient.r"], ["system/Patient."], ["system/Patient.read"], ["*"]):
        with pytest.raises(ScopeError), database.write() as session:
            client_service.create(
                session,
                Settings(),
                facility_id="local",
                name="x",
                scopes=scopes,
                jwks=public_jwks(new_key()),
                actor="local",
            )


def test_only_administrators(admin: TestClient, database: Database) -> None:
    somebody = TestClient(admin.app, base_url="http://127.0.0.1")
    assert somebody.get(CLIENTS).status_code == 401
    sign_in(somebody, database, *make_account(database, "local", [Role.PATHOLOGIST, Role.AUDITOR]))
    assert somebody.get(CLIENTS).status_code == 403
    assert somebody.post(CLIENTS, json=wanted()).status_code == 403
    client = make_client(database, "local")
    assert somebody.get(CLIENTS, headers=client.headers(somebody)).status_code == 403


def test_the_command_line(tmp_path: Path) -> None:
    """Every command in a process of its own, as an administrator types it."""
    url = f"sqlite:///{tmp_path}/cli.db"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAMSOAT_")}
    environment |= {"TAMSOAT_DATABASE_URL": url, "TAMSOAT_DATA_DIR": str(tmp_path)}
    script = (
        "import sys, json\nfrom tamsoat.inference_service.cli.main import main\nfor line in json.load(sys.stdin):\n"
    )
    script += "    sys.argv = ['tamsoat', 'admin', *line]\n    try:\n        main()\n    except SystemExit as end:\n"
    script += "        print('exit', end.code)\n"
    keys, private = tmp_path / "jwks.json", tmp_path / "private.json"
    keys.write_text(json.dumps(public_jwks(new_key("k"))))
    private.write_text(json.dumps({"keys": [new_key("p").as_dict(private=True)]}))

    def run(*lines: list[str]) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script], input=json.dumps(lines), env=environment, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
        return done.stdout + done.stderr

    create = ["client", "create", "HIS", "--facility", "79001", "--scope", "system/ServiceRequest.cr"]
    said = run(
        ["facility", "create", "79001", "Bệnh viện"],
        ["client", "list"],
        [*create, "--jwks", str(keys)],
        [*create, "--jwks", str(private)],
        [*create],
    )
    assert "no clients yet" in said
    assert "a private key" in said
    assert "exactly one of" in said
    client_id = re.search(r"client (\S+) created in facility 79001: system/ServiceRequest.cr", said)
    assert client_id, said
    said = run(
        ["client", "rotate", client_id[1], "--jwks-url", "https://his.example/jwks.json"],
        ["client", "rotate", client_id[1]],
        ["client", "list"],
        ["client", "disable", client_id[1]],
        ["client", "list", "--facility", "79001"],
        ["client", "disable", "none"],
    )
    assert "has new keys" in said
    assert "exactly one of --jwks-url and --jwks" in said
    assert "https://his.example/jwks.json" in said
    assert said.count("enabled") == 1
    assert re.search(rf"{client_id[1]}\s+HIS\s+disabled", said)
    assert "there is no client with this identifier" in said
