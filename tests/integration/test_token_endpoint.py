"""The token endpoint: SMART Backend Services 2.2, and everything that it refuses."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from machine_clients import TestMachineClient, make_client, new_key
from people import make_facility
from small_service import small_service
from sqlalchemy import select, text
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import client_service, tokens
from tamsoat.inference_service.accounts.access import Principal, Role, allow
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

TOKEN_URL = "http://127.0.0.1/oauth2/token"
_codes = itertools.count()
SCOPES = ["system/ServiceRequest.cr", "system/Observation.rs"]


def probe() -> APIRouter:
    router = APIRouter()

    @router.get("/probe")
    def read(principal: Annotated[Principal, allow(Role.INTEGRATOR, scope="system/Observation.r")]) -> dict[str, Any]:
        return {"actor": principal.actor, "facility": principal.facility_id, "scopes": sorted(principal.scopes)}

    @router.post("/probe")
    def write(principal: Annotated[Principal, allow(Role.INTEGRATOR, scope="system/Patient.c")]) -> None:
        return None

    @router.delete("/probe")
    def never_clients(principal: Annotated[Principal, allow(Role.INTEGRATOR)]) -> None:
        return None

    return router


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("clients")
    return Settings(database_url=f"sqlite:///{folder}/clients.db", log_level="error", token_rate_limit_per_minute=0)


@pytest.fixture(scope="module")
def http(settings: Settings) -> Iterator[TestClient]:
    with small_service(settings, [probe()]) as http:
        yield http


@pytest.fixture(scope="module")
def database(http: TestClient) -> Database:
    database: Database = http.app.state.runtime.database  # type: ignore[attr-defined]
    return database


@pytest.fixture
def his(database: Database) -> TestMachineClient:
    return make_client(database, make_facility(database, f"7{next(_codes):04d}"), SCOPES)


def ask(http: httpx.Client, form: dict[str, str]) -> httpx.Response:
    return http.post("/oauth2/token", data=form)


def refused(answer: httpx.Response, code: str = "invalid_client") -> bool:
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error", "error_description"}
    return answer.status_code == 400 and answer.json()["error"] == code


def actions(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.execute(select(AuditEntry.action).order_by(AuditEntry.sequence)).scalars())


def test_token_opens_what_its_scopes_say(http: TestClient, his: TestMachineClient, database: Database) -> None:
    answer = ask(http, his.form(TOKEN_URL))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    granted = answer.json()
    assert (granted["token_type"], granted["expires_in"], granted["scope"]) == ("bearer", 300, " ".join(SCOPES))
    header = {"Authorization": f"Bearer {granted['access_token']}"}
    seen = http.get("/probe", headers=header).json()
    assert seen == {"actor": f"client:{his.client_id}", "facility": his.facility_id, "scopes": sorted(SCOPES)}
    assert http.post("/probe", headers=header).status_code == 403  # scope not held
    assert http.delete("/probe", headers=header).status_code == 403  # not for clients at all
    assert actions(database)[-1] == "client:token"


def test_rsa_keys_work_with_rs384(http: TestClient, database: Database) -> None:
    key = RSAKey.generate_key(2048, {"kid": "rsa"})
    client = make_client(database, "local", SCOPES, key=key)
    client.algorithm = "RS384"
    assert http.get("/probe", headers=client.headers(http)).status_code == 200


def test_a_narrower_scope_is_granted_and_a_wider_one_is_not(http: TestClient, his: TestMachineClient) -> None:
    narrow = ask(http, his.form(TOKEN_URL, "system/Observation.r")).json()
    assert narrow["scope"] == "system/Observation.r"
    for scope in ("system/Observation.cruds", "system/*.r", "system/Patient.r", "", "  ", "openid", "x " * 60):
        assert refused(ask(http, his.form(TOKEN_URL, scope)), "invalid_scope"), scope


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "http://127.0.0.1/oauth2/other"},
        {"aud": [TOKEN_URL, "https://elsewhere.example/token"]},
        {"aud": None},
        {"sub": "someone-else"},
        {"sub": None},
        {"iss": "no-such-client", "sub": "no-such-client"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 10**18},
        {"exp": True},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 300},
        {"jti": 7},
        {"nbf": 10**10},
        {"iat": 10**10},
    ],
    ids=str,
)
def test_wrong_claims_are_refused(http: TestClient, his: TestMachineClient, claims: dict[str, Any]) -> None:
    assert refused(ask(http, his.form(TOKEN_URL, **claims)))


def test_lifetime_is_at_most_five_minutes(http: TestClient, his: TestMachineClient) -> None:
    assert refused(ask(http, his.form(TOKEN_URL, exp=int(time.time()) + 310)))
    assert ask(http, his.form(TOKEN_URL, exp=int(time.time()) + 299)).status_code == 200


def segment(content: object) -> str:
    return segment_of(json.dumps(content).encode())


def segment_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_forged_signatures_are_refused(http: TestClient, his: TestMachineClient) -> None:
    good = his.assertion(TOKEN_URL)
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, his.key, algorithms=["ES384"]).claims
    public = his.key.as_pem(private=False)
    hmac_signed = f"{segment({'alg': 'HS384', 'kid': his.key.kid})}.{payload}"
    forged = [
        f"{segment({'alg': 'none', 'kid': his.key.kid})}.{payload}.",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-6]}AAAAAA",
        f"{header}.{segment({**claims, 'jti': 'other'})}.{signature}",
        f"{segment({'alg': 'RS384', 'kid': his.key.kid})}.{payload}.{signature}",
        f"{segment({'alg': 'ES384', 'kid': his.key.kid, 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        f"{hmac_signed}.{segment_of(hmac.digest(public, hmac_signed.encode(), 'sha384'))}",
        jwt.encode({"alg": "ES384", "kid": his.key.kid}, claims, new_key(), ["ES384"]),
        jwt.encode({"alg": "ES384", "kid": "unknown"}, claims, his.key, ["ES384"]),
        jwt.encode({"alg": "ES384"}, claims, ECKey.import_key(his.key.as_pem(private=True)), ["ES384"]),
        jwt.encode({"alg": "ES384", "kid": his.key.kid, "jku": "https://evil.example/"}, claims, his.key, ["ES384"]),
        "a.b.c",
        "",
        "x" * 9000,
        "ä.ö.ü",
        good + ".x",
    ]
    for assertion in forged:
        assert refused(ask(http, {**his.form(TOKEN_URL), "client_assertion": assertion})), assertion[:80]


def test_form_is_checked(http: TestClient, his: TestMachineClient) -> None:
    form = his.form(TOKEN_URL)
    assert refused(ask(http, {**form, "grant_type": "password"}), "unsupported_grant_type")
    assert refused(ask(http, {**form, "grant_type": ""}), "invalid_request")
    assert refused(ask(http, {**form, "client_assertion_type": "x"}))
    assert refused(ask(http, {**form, "client_id": "another"}))
    assert refused(http.post("/oauth2/token", json=form), "invalid_request")
    assert ask(http, form).status_code == 200


def test_a_large_form_is_not_read_into_memory(http: TestClient, his: TestMachineClient) -> None:
    answer = http.post("/oauth2/token", data={**his.form(TOKEN_URL), "scope": "x" * 2**21})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:tamsoat:problem:upload-too-large")


def test_an_assertion_is_used_once_over_all_processes(settings: Settings, postgresql_url: str) -> None:
    shared = settings.model_copy(update={"database_url": postgresql_url, "keys_file": settings.keys_path})
    with small_service(shared) as one, small_service(shared) as two:
        database = one.app.state.runtime.database  # type: ignore[attr-defined]
        form = make_client(database, "local", SCOPES).form(TOKEN_URL)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: ask((one, two)[number % 2], form), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        assert all(refused(answer) for answer in answers if answer.status_code != 200)
        assert actions(database).count("client:token") == 1


def test_used_assertions_are_forgotten_after_they_expired(
    http: TestClient, his: TestMachineClient, database: Database
) -> None:
    his.bearer(http)
    with database.write() as session:
        session.execute(text("UPDATE used_assertions SET expires_at = '2020-01-01 00:00:00.000000'"))
    his.bearer(http)
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM used_assertions")).scalar_one() == 1


def test_a_disabled_client_and_a_lost_scope_end_within_seconds(
    http: TestClient, his: TestMachineClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "CLIENT_BELIEVED_S", 0.2)
    header = his.headers(http)
    assert http.get("/probe", headers=header).status_code == 200
    with database.write() as session:
        client = client_service.get(session, his.facility_id, his.client_id)
        client_service.update(session, Settings(), client, scopes=["system/ServiceRequest.c"], actor="local")
    time.sleep(0.3)
    assert http.get("/probe", headers=header).status_code == 403
    with database.write() as session:
        client_service.disable(session, client_service.get(session, None, his.client_id), actor="local")
    time.sleep(0.3)
    assert http.get("/probe", headers=header).status_code == 401
    assert refused(ask(http, his.form(TOKEN_URL)))
    assert actions(database)[-3:] == ["client:update", "client:disable", "access:deny"]


def test_altered_and_foreign_access_tokens_are_refused(http: TestClient, his: TestMachineClient) -> None:
    issuer = http.app.state.runtime.tokens  # type: ignore[attr-defined]
    good = his.bearer(http)
    header, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["exp"] - claims["iat"] == 300
    for wrong in (
        f"{header}.{segment({**claims, 'facility': 'local'})}.{signature}",
        f"{segment({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        his.assertion(TOKEN_URL),  # the client's own signature is no access token
        jwt.encode({"alg": "Ed25519"}, claims, issuer._key, algorithms=["Ed25519"]),  # not typed as one
        jwt.encode({"alg": "Ed25519"}, {**claims, "exp": 1}, issuer._key, ["Ed25519"], default_type="at+jwt"),
        jwt.encode({"alg": "Ed25519"}, {**claims, "aud": "x"}, issuer._key, ["Ed25519"], default_type="at+jwt"),
        jwt.encode({"alg": "Ed25519"}, {**claims, "iss": "x"}, issuer._key, ["Ed25519"], default_type="at+jwt"),
        "x",
        "x" * 9000,
    ):
        answer = http.get("/probe", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert http.get("/probe", headers={"Authorization": f"Bearer {good}"}).status_code == 200


def test_discovery_names_the_address_that_was_called(http: TestClient) -> None:
    smart = http.get("/.well-known/smart-configuration").json()
    assert smart == http.get("/.well-known/oauth-authorization-server").json()
    assert smart["token_endpoint"] == TOKEN_URL
    assert smart["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert smart["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in smart["capabilities"]
    assert smart["scopes_supported"] == ["system/Observation.r", "system/Patient.c"]  # what the endpoints ask for


def test_public_address_is_the_audience(settings: Settings, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/public.db"
    public = settings.model_copy(
        update={"public_url": "https://tamsoat.example", "database_url": url, "keys_file": settings.keys_path}
    )
    with small_service(public, [probe()]) as http:
        his = make_client(http.app.state.runtime.database, "local", SCOPES)  # type: ignore[attr-defined]
        assert refused(ask(http, his.form(TOKEN_URL)))
        assert http.get("/probe", headers=his.headers(http)).status_code == 200


def test_an_unknown_client_is_not_told_from_a_wrong_one_by_the_log(http: TestClient, database: Database) -> None:
    before = len(actions(database))
    stranger = TestMachineClient(str(uuid.uuid4()), "local", tuple(SCOPES), new_key())
    assert refused(ask(http, stranger.form(TOKEN_URL)))
    assert len(actions(database)) == before  # a stranger cannot fill the log
