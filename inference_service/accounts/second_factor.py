"""The second factor: time-based codes (RFC 6238), and recovery codes for a lost telephone."""

from __future__ import annotations

import hmac
import secrets
import time

import pyotp
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository
from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.db.encryption import search_hash

STEP_S = 30
DRIFT_STEPS = 1
"""Codes of one step before and after are accepted too."""
RECOVERY_CODES = 10
ISSUER = "tamsoat"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_HASH_CONTEXT = "recovery_codes.code"


def new_secret() -> str:
    """A random secret of 160 bits, base32."""
    return pyotp.random_base32(32)


def otpauth_uri(secret: str, username: str) -> str:
    """What the QR code says to an authenticator application."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=username, issuer_name=ISSUER)


def matching_step(secret: str, code: str, now_s: float | None = None) -> int | None:
    """The time step whose code this is, within the drift; None where it is of none of them."""
    digits = code.replace(" ", "")
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        return None
    totp = pyotp.TOTP(secret, interval=STEP_S)
    now = int((time.time() if now_s is None else now_s) // STEP_S)
    steps = range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1)
    found = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), digits)]
    return found[-1] if found else None


def accept(session: Session, account: Account, code: str) -> str | None:
    """Use ``code`` up in the caller's transaction: ``totp`` or ``recovery``, or None where it is not valid.

    A code is accepted once; a code of the same or an older time step is refused afterwards.
    """
    if account.totp_secret is None:
        return None
    step = matching_step(account.totp_secret, code)
    if step is not None:
        return "totp" if repository.use_step(session, account.id, step) else None
    return "recovery" if repository.use_recovery_code(session, account.id, _hash(account.id, code)) else None


def new_recovery_codes(session: Session, account: Account) -> list[str]:
    """Ten fresh codes in the place of the old ones; shown once, stored as keyed hashes."""
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(3)) for _ in range(RECOVERY_CODES)
    ]
    repository.replace_recovery_codes(session, account.id, [_hash(account.id, code) for code in codes])
    return codes


def _hash(account_id: str, code: str) -> str:
    plain = "".join(letter for letter in code.lower() if letter.isalnum())[:64]
    return search_hash(f"{account_id} {plain}", _HASH_CONTEXT)
