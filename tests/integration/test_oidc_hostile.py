"""A hostile OpenID provider: whatever it answers, nobody is signed in by an answer that does not hold."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from people import make_account, make_facility
from small_service import small_service
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import oidc
from tamsoat.inference_service.settings import Settings

NO_ACCOUNT = "/sign-in?problem=oidc-no-account"
REFUSED = "/sign-in?problem=oidc-refused"
UNAVAILABLE = "/sign-in?problem=oidc-unavailable"
SECRET = "s" * 32
Answer = Callable[["Provider", dict[str, Any]], Any]


class Provider:
    """Discovery, keys and tokens; ``make`` decides what ID token the next code gets."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1"})
        self.nonce = ""
        self.make: Answer = lambda provider, claims: provider.sign(claims)
        self.metadata: dict[str, Any] = {}
        self.refuse = False
        self.seen: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys = KeySet([outer.key]).as_dict(private=False)
                self.answer(200, outer.described() if "openid-configuration" in self.path else keys)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.seen = {name: values[0] for name, values in parse_qs(body).items()}
                if outer.refuse:
                    self.answer(400, {"error": "invalid_grant"})
                    return
                token = outer.make(outer, outer.claims())
                self.answer(200, {"access_token": "a", "token_type": "Bearer", "id_token": token})

            def answer(self, status: int, content: object) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        } | self.metadata

    def claims(self) -> dict[str, Any]:
        now_s = int(time.time())
        return {
            "iss": self.issuer, "sub": "p1", "aud": "tamsoat", "iat": now_s, "exp": now_s + 60, "nonce": self.nonce,
            "preferred_username": "lan.nguyen",
        }  # fmt: skip

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        named = {"alg": "RS256", "kid": "k1", **header}
        return jwt.encode(named, claims, self.key, algorithms=[named["alg"]])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def started() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provider(started: Provider) -> Provider:
    started.make = lambda provider, claims: provider.sign(claims)
    started.metadata, started.refuse = {}, False
    return started


@pytest.fixture(scope="module")
def service(started: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text(SECRET)
    settings = Settings(
        database_url=f"sqlite:///{folder}/oidc.db", log_level="error", oidc_issuer=started.issuer,
        oidc_client_id="tamsoat", oidc_client_secret_file=folder / "secret", password_memory_mib=8, password_passes=1,
    )  # fmt: skip
    with small_service(settings) as http:
        database = http.app.state.runtime.database  # type: ignore[attr-defined]
        make_account(database, make_facility(database, "79001"), username="lan.nguyen")
        yield http


@pytest.fixture
def http(service: TestClient, provider: Provider) -> TestClient:
    """A new browser, and nothing known about the provider yet."""
    service.cookies.clear()
    state = service.app.state  # type: ignore[attr-defined]
    state.oidc = oidc.OidcProvider(state.settings)
    return service


def sign_in(http: TestClient, provider: Provider, **changes: str) -> str:
    """Come back from the provider with a code; ``changes`` replace what it sends along."""
    begun = http.get("/oidc/sign-in", follow_redirects=False)
    if begun.headers["location"] == UNAVAILABLE:
        return UNAVAILABLE
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    provider.nonce = asked["nonce"]
    sent = {"code": "c1", "state": asked["state"], **changes}
    target = http.get("/oidc/callback", params=sent, follow_redirects=False).headers["location"]
    assert (http.get("/api/v1/session").status_code == 200) == (target == "/")
    if provider.seen and target == "/":
        challenge = hashlib.sha256(provider.seen["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() == asked["code_challenge"]
    return str(target)


def test_an_honest_answer_signs_in(http: TestClient, provider: Provider) -> None:
    assert sign_in(http, provider) == "/"
    assert sign_in(http, provider, iss=provider.issuer) == "/"


def altered(provider: Provider, claims: dict[str, Any]) -> str:
    header, _, signature = provider.sign(claims).split(".")
    payload = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "p2"}).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}.{signature}"


def unsigned(provider: Provider, claims: dict[str, Any]) -> str:
    _, payload, _ = provider.sign(claims).split(".")
    return f"{base64.urlsafe_b64encode(json.dumps({'alg': 'none'}).encode()).decode().rstrip('=')}.{payload}."


def with_the_secret(_: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])


def with_another_key(_: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, RSAKey.generate_key(2048), algorithms=["RS256"])


def with_its_own_key_inside(_: Provider, claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "kid": "k1", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=["RS256"])


def changed(**changes: Any) -> Answer:
    def make(provider: Provider, claims: dict[str, Any]) -> str:
        kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return provider.sign(kept)

    return make


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(altered, id="altered"),
        pytest.param(unsigned, id="unsigned"),
        pytest.param(with_the_secret, id="signed with the client secret"),
        pytest.param(with_another_key, id="another key"),
        pytest.param(with_its_own_key_inside, id="key in the header"),
        pytest.param(changed(nonce="other"), id="wrong nonce"),
        pytest.param(changed(nonce=None), id="no nonce"),
        pytest.param(changed(iss="https://evil.example"), id="wrong issuer"),
        pytest.param(changed(iss=None), id="no issuer"),
        pytest.param(changed(aud="another-client"), id="wrong audience"),
        pytest.param(changed(aud=["another", "tamsoat"]), id="two audiences without azp"),
        pytest.param(changed(aud=["another", "tamsoat"], azp="another"), id="for another party"),
        pytest.param(changed(aud=None), id="no audience"),
        pytest.param(changed(exp=int(time.time()) - 120), id="expired"),
        pytest.param(changed(exp=None), id="never expires"),
        pytest.param(changed(nbf=int(time.time()) + 9000), id="not valid yet"),
        pytest.param(changed(sub=None), id="nobody"),
        pytest.param(changed(sub=""), id="empty subject"),
        pytest.param(changed(sub=7), id="number as subject"),
        pytest.param(changed(at_hash="AAAA"), id="another access token"),
        pytest.param(lambda *_: None, id="no ID token"),
        pytest.param(lambda *_: "x.y", id="no JWT"),
        pytest.param(lambda *_: {"a": 1}, id="no text"),
    ],
)
def test_answers_that_do_not_hold(http: TestClient, provider: Provider, make: Answer) -> None:
    provider.make = make
    assert sign_in(http, provider) == REFUSED


def test_state_and_issuer_of_the_answer(http: TestClient, provider: Provider) -> None:
    assert sign_in(http, provider, state="other") == REFUSED
    assert sign_in(http, provider, state="") == REFUSED
    assert sign_in(http, provider, code="") == REFUSED
    assert sign_in(http, provider, iss="https://evil.example") == REFUSED
    provider.refuse = True
    assert sign_in(http, provider) == REFUSED


def test_an_issuer_that_promises_iss_must_send_it(http: TestClient, provider: Provider) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    assert sign_in(http, provider) == REFUSED
    assert sign_in(http, provider, iss=provider.issuer) == "/"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_metadata_that_does_not_hold(http: TestClient, provider: Provider, metadata: dict[str, Any]) -> None:
    provider.metadata = metadata
    assert sign_in(http, provider) == UNAVAILABLE


def test_letters_that_look_alike_are_somebody_else(http: TestClient, provider: Provider) -> None:
    database = http.app.state.runtime.database  # type: ignore[attr-defined]
    make_account(database, "local", username="kim.anh")
    for name, target in (("\u212aim.anh", NO_ACCOUNT), ("kim.anh ", NO_ACCOUNT), ("Kim.Anh", "/")):
        provider.make = changed(sub="p9", preferred_username=name)
        http.cookies.clear()
        assert sign_in(http, provider) == target


def test_only_a_verified_address_counts(http: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = http.app.state.runtime  # type: ignore[attr-defined]
    monkeypatch.setattr(runtime, "settings", runtime.settings.model_copy(update={"oidc_username_claim": "email"}))
    make_account(runtime.database, "local", username="mai@hospital.example")
    for verified, target in ((None, NO_ACCOUNT), (False, NO_ACCOUNT), ("true", NO_ACCOUNT), (True, "/")):
        provider.make = changed(sub="p10", email="mai@hospital.example", email_verified=verified)
        http.cookies.clear()
        assert sign_in(http, provider) == target


def test_a_new_key_is_found(http: TestClient, provider: Provider) -> None:
    assert sign_in(http, provider) == "/"
    provider.key = RSAKey.generate_key(2048, {"kid": "k2"})
    provider.make = lambda provider, claims: provider.sign(claims, kid="k2")
    assert sign_in(http, provider) == "/"
    provider.key = RSAKey.generate_key(2048, {"kid": "k1"})


def test_a_slow_person_begins_again(http: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "SIGN_IN_S", -1)
    assert sign_in(http, provider) == REFUSED


def test_without_a_provider_there_is_nothing(tmp_path: Path) -> None:
    with small_service(Settings(database_url=f"sqlite:///{tmp_path}/none.db", log_level="error")) as http:
        for path in ("/oidc/sign-in", "/oidc/callback"):
            assert http.get(path, follow_redirects=False).json()["type"] == "urn:tamsoat:problem:oidc-not-configured"
        assert http.get("/oidc/sign-out", follow_redirects=False).headers["location"] == "/sign-in"
