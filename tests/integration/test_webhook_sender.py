"""Sending one message: limits in time, certificates."""

from __future__ import annotations

import ssl
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from webhook_receiver import Receiver

from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.webhooks import sender


@pytest.fixture
def settings() -> Settings:
    return Settings(webhook_networks="127.0.0.0/8", webhook_timeout_s=10)


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and self-signed certificate for the name ``localhost``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "his")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "his.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


def test_a_slow_receiver_costs_no_more_than_the_time_limit(settings: Settings) -> None:
    quick = settings.model_copy(update={"webhook_timeout_s": 0.3})
    with Receiver(silent=True) as receiver:
        outcome = sender.send(receiver.url, "{}", {}, quick)
        assert outcome.error == "timeout"


def test_certificates_are_verified(settings: Settings, certificate: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(HTTPServer(("127.0.0.1", 0), _Taker))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        stack.callback(server.shutdown)
        trusting = settings.model_copy(update={"webhook_ca_file": certificate})
        by_name = f"https://localhost:{server.server_port}/"
        by_address = f"https://127.0.0.1:{server.server_port}/"
        strict = settings.model_copy(update={"webhook_networks": "127.0.0.0/8,::1/128"})
        assert sender.send(by_name, "{}", {}, strict).error == "tls"
        lenient = trusting.model_copy(update={"webhook_networks": "127.0.0.0/8,::1/128"})
        assert sender.send(by_name, "{}", {}, lenient).status == 204
        assert sender.send(by_address, "{}", {}, lenient).error == "tls"
