"""Certificates and the servers that this one depends on."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from tamsoat.inference_service.operations.doctor.finding import Context, Finding, fail, graded, ok, warn

TIMEOUT_S = 5.0
WARN_DAYS, FAIL_DAYS = 30, 7


def check_certificates(context: Context) -> list[Finding]:
    """The certificate that browsers see, the authorities for webhooks, the hospital's identity provider."""
    settings, findings = context.settings, []
    if settings.secure:
        findings.append(_public_certificate(settings.public_url))
    if settings.webhook_ca_file is not None:
        findings.append(_authorities(settings.webhook_ca_file))
    if settings.oidc_issuer:
        findings.append(_issuer(settings.oidc_issuer))
    return findings


def _public_certificate(url: str) -> Finding:
    name, parts = "certificate", urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=TIMEOUT_S) as raw,
            ssl.create_default_context().wrap_socket(raw, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        message = f"{url}: browsers refuse the certificate ({error.verify_message})"
        return fail(name, message, "renew it, or install the authority that issued it on this machine")
    except (OSError, ssl.SSLError) as error:
        message = f"{url} cannot be reached from here ({error.strerror or type(error).__name__})"
        return warn(name, message, "check the proxy and the name, also from another machine")
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    return _expiry(name, url, expires)


def _authorities(path: Path) -> Finding:
    name = "webhook-authorities"
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        message = f"{path}: cannot be read as PEM certificates"
        return fail(name, message, "correct TAMSOAT_WEBHOOK_CA_FILE; no webhook to a private authority is sent")
    return _expiry(name, str(path), min(certificate.not_valid_after_utc for certificate in certificates))


def _issuer(issuer: str) -> Finding:
    name, url = "identity-provider", f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    action = "nobody can sign in through the hospital until it answers; local accounts still can"
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, follow_redirects=False)
        named = answer.json().get("issuer") if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        return fail(name, f"{issuer} does not answer ({type(error).__name__})", action)
    if named != issuer:
        return fail(name, f"{url} answers {answer.status_code} and names another issuer", "check TAMSOAT_OIDC_ISSUER")
    return ok(name, f"{issuer} answers")


def _expiry(name: str, what: str, expires: datetime) -> Finding:
    days = (expires - datetime.now(UTC)).total_seconds() / 86400
    message = f"{what}: valid until {expires:%Y-%m-%d}, {days:.0f} days"
    action = "renew it; automatic renewal (certbot, Caddy) has stopped working"
    return graded(name, message, action, failing=days < FAIL_DAYS, warning=days < WARN_DAYS)
