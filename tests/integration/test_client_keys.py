"""Public keys fetched from a client's address: a real server on loopback, and what must never be asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from machine_clients import TestMachineClient, new_key, public_jwks
from small_service import small_service
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import client_service, key_fetch
from tamsoat.inference_service.accounts.key_fetch import ClientKeys, KeyAddressError, KeyFetchError, fetch
from tamsoat.inference_service.settings import Settings

SCOPES = ("system/Observation.rs",)


class KeyServer:
    """Publishes keys; ``misbehave`` answers instead of it."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.hosts: list[str] = []
        self.encodings: list[str] = []
        self.jwks: dict[str, Any] = {}
        self.asked = 0
        self.misbehave: Callable[[BaseHTTPRequestHandler], None] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.hosts.append(self.headers["Host"])
                outer.encodings.append(self.headers["Accept-Encoding"])
                if outer.misbehave is not None:
                    outer.misbehave(self)
                    return
                body = json.dumps(outer.jwks).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/keys.db", log_level="error", client_key_timeout_s=30.0)


@pytest.fixture
def http(settings: Settings) -> Iterator[TestClient]:
    with small_service(settings) as http:
        yield http


def register(http: TestClient, url: str, *keys: Any) -> TestMachineClient:
    runtime = http.app.state.runtime  # type: ignore[attr-defined]
    with runtime.database.write() as session:
        client = client_service.create(
            session, runtime.settings, facility_id="local", name="x", scopes=SCOPES, jwks_url=url, actor="local"
        )
        return TestMachineClient(client.id, "local", SCOPES, keys[0])


def status(http: TestClient, client: TestMachineClient) -> int:
    return http.post("/oauth2/token", data=client.form("http://127.0.0.1/oauth2/token")).status_code


def test_keys_are_cached_and_an_unknown_kid_is_looked_up_once_more(
    http: TestClient, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_key("first"), new_key("second")
    server.jwks = public_jwks(first)
    client = register(http, server.url, first)
    assert [status(http, client) for _ in range(3)] == [200] * 3
    assert server.asked == 1
    client.key = second
    assert status(http, client) == 400
    assert server.asked == 1  # a moment ago: an attacker cannot make the service ask again and again
    monkeypatch.setattr(key_fetch, "REFETCH_PAUSE_S", 0.0)
    server.jwks = public_jwks(first, second)
    assert status(http, client) == 200
    assert server.asked == 2
    client.key = first
    assert status(http, client) == 200
    assert server.asked == 2


def test_a_jku_header_must_be_the_registered_address(http: TestClient, server: KeyServer) -> None:
    key = new_key()
    server.jwks = public_jwks(key)
    client = register(http, server.url, key)
    form = client.form("http://127.0.0.1/oauth2/token", header={"jku": server.url})
    assert http.post("/oauth2/token", data=form).status_code == 200
    form = client.form("http://127.0.0.1/oauth2/token", header={"jku": server.url + "?"})
    assert http.post("/oauth2/token", data=form).json()["error"] == "invalid_client"


over = threading.Event()
"""The test is over: the server stops misbehaving."""


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/jwks.json")
    handler.end_headers()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 4096)
    except OSError:
        return


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while not over.wait(0.1):
            handler.wfile.write(b" ")
            handler.wfile.flush()
    except OSError:
        return


def silent(_: BaseHTTPRequestHandler) -> None:
    over.wait()


def nested(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"[" * 60_000)


def empty(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b'{"keys": []}')


@pytest.mark.parametrize("misbehaviour", [redirect, endless, drip, silent, nested, empty])
def test_hostile_key_servers(server: KeyServer, settings: Settings, misbehaviour: Any) -> None:
    """None of them ends by itself: the time limit does it."""
    server.misbehave = misbehaviour
    over.clear()
    try:
        with pytest.raises(KeyFetchError):
            fetch(server.url, settings.model_copy(update={"client_key_timeout_s": 1.0}))
    finally:
        over.set()


def test_a_failure_is_believed_for_a_while(server: KeyServer, settings: Settings) -> None:
    server.misbehave = redirect
    keys = ClientKeys(settings)
    for _ in range(5):
        with pytest.raises(KeyFetchError):
            keys.find(server.url, "k")
    assert server.asked == 1


PRIVATE = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]
EMBEDDED = ["::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"]


@pytest.mark.parametrize("address", PRIVATE + EMBEDDED)
def test_private_addresses_are_never_asked(settings: Settings, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    public = settings.model_copy(update={"public_url": "https://tamsoat.example"})
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("8.8.8.8", 443)), *found])
    monkeypatch.setattr(key_fetch, "_download", lambda *_: pytest.fail("asked"))
    with pytest.raises(KeyAddressError, match="TAMSOAT_CLIENT_KEY_NETWORKS"):
        fetch("https://his.example/jwks.json", public)


def test_a_network_of_the_settings_is_asked_at_the_checked_address(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = settings.model_copy(update={"public_url": "https://tamsoat.example", "client_key_networks": "10.1.0.0/16"})
    asked: list[tuple[str, str]] = []

    def download(url: Any, address: str, *_: object) -> bytes:
        asked.append((url.host, address))
        return json.dumps(public_jwks(new_key("k"))).encode()

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("10.1.2.3", 443))])
    monkeypatch.setattr(key_fetch, "_download", download)
    assert list(fetch("https://his.example/jwks.json", public)) == ["k"]
    assert asked == [("his.example", "10.1.2.3")]


def test_plain_http_is_for_loopback_only(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": "https://tamsoat.example"})
    for url, used in (("http://127.0.0.1:9/x", public), ("http://his.example/x", settings)):
        with pytest.raises(KeyAddressError):
            fetch(url, used)


def certificate(folder: Path, name: str) -> Path:
    """A certificate for ``name`` that vouches for itself; the file holds its key too."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return path


def test_the_certificate_must_be_that_of_the_name(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the checked address, and the certificate is judged by the name of the URL."""
    server = KeyServer(certificate(tmp_path, "his.example"))
    server.jwks = public_jwks(new_key("k"))
    port = httpx.URL(server.url).port
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))])
    trusting = settings.model_copy(update={"outgoing_ca_file": tmp_path / "his.example.pem"})
    try:
        assert list(fetch(f"https://his.example:{port}/jwks.json", trusting)) == ["k"]
        assert server.hosts == [f"his.example:{port}"]
        assert server.encodings == ["identity"]
        for url, used in ((f"https://other.example:{port}/", trusting), (f"https://his.example:{port}/", settings)):
            with pytest.raises(KeyFetchError):
                fetch(url, used)
        assert server.asked == 1
    finally:
        server.close()
