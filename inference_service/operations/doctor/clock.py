"""Is the clock right? Tokens, second factors, checkpoints and the order of events depend on it."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import time
from datetime import UTC, datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.operations.doctor.finding import Context, Finding, fail, graded, ok, reading, warn

WARN_S, FAIL_S = 2.0, 30.0
NTP_PORT, NTP_EPOCH_S = 123, 2_208_988_800
TIMEOUT_S = 3.0
ACTION = "set up time synchronisation (systemd-timesyncd or chrony) on every machine; second factors fail without it"


def check_clock(context: Context) -> list[Finding]:
    """Against the newest audit entry, PostgreSQL, the system's own synchronisation and, where set, a time server."""
    findings = reading(context, _against_database) + _timedatectl()
    if context.settings.ntp_server:
        findings.append(_against_ntp(context.settings.ntp_server))
    return findings


def _against_database(session: Session) -> list[Finding]:
    findings = []
    newest = session.scalar(select(AuditEntry.occurred_at).order_by(AuditEntry.sequence.desc()).limit(1))
    if newest is not None:
        ahead_s = datetime.fromisoformat(newest).timestamp() - time.time()
        name = "clock-log"
        if ahead_s > WARN_S:
            message = f"the newest audit entry is {ahead_s:.0f} s in the future: the clock was set back, or is wrong"
            findings.append(fail(name, message, ACTION))
        else:
            findings.append(ok(name, "not before the newest audit entry"))
    if session.get_bind().dialect.name == "postgresql":
        start_s = time.time()
        server: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        findings.append(_graded("clock-database", "PostgreSQL", server.timestamp() - (start_s + time.time()) / 2))
    return findings


def _graded(name: str, other: str, offset_s: float) -> Finding:
    message = f"{abs(offset_s):.2f} s {'behind' if offset_s > 0 else 'ahead of'} {other}"
    return graded(name, message, ACTION, failing=abs(offset_s) > FAIL_S, warning=abs(offset_s) > WARN_S)


def _timedatectl() -> list[Finding]:
    """What systemd says; nothing where it does not run."""
    program = shutil.which("timedatectl")
    if program is None:
        return []
    try:
        outcome = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return []
    answer = outcome.stdout.strip()
    if answer == "yes":
        return [ok("clock-synchronised", "systemd says that the clock is synchronised")]
    if answer == "no":
        return [warn("clock-synchronised", "systemd says that the clock is not synchronised", ACTION)]
    return []


def _against_ntp(server: str) -> Finding:
    """One question by SNTP (RFC 4330)."""
    name = "clock-ntp"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(TIMEOUT_S)
            host, _, port = server.partition(":")
            sent_s = time.time()
            asking.sendto(b"\x23" + 47 * b"\0", (host, int(port or NTP_PORT)))
            answer = asking.recv(128)
            received_s = time.time()
        seconds, fraction = struct.unpack("!II", answer[40:48])
    except (OSError, ValueError, struct.error):
        return warn(name, f"{server} does not answer", "check TAMSOAT_NTP_SERVER and the firewall (UDP 123)")
    offset_s = seconds - NTP_EPOCH_S + fraction / 2**32 - (sent_s + received_s) / 2
    return _graded(name, f"{server} ({datetime.now(UTC):%Y-%m-%d})", offset_s)
