"""Growing delays after failed sign-ins, for an account and for a network address."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.tables import Account, SignInSource
from tamsoat.inference_service.db.encryption import search_hash
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import Settings

LONGEST_S = 3600
FORGOTTEN_AFTER = timedelta(hours=24)
"""Failures of an address that has been quiet for so long no longer count."""
IPV6_NETWORK_BITS = 64


class TooManySignInsError(TamsoatError):
    """Too many sign-ins failed from this network address; it has to wait."""

    status = 429
    title = "Too many failed sign-ins"
    slug = "too-many-sign-ins"

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many sign-ins failed from this network address: try again in {wait_s} s")
        self.wait_s = wait_s

    def http_headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.wait_s)}


def delay_s(failures: int, allowed: int, first_s: int) -> int:
    """Seconds to wait after ``failures`` of which ``allowed`` cost nothing: doubled each time, an hour at most."""
    over = failures - allowed
    return 0 if over < 0 else min(LONGEST_S, first_s * 2 ** min(over, 20))


def is_locked(account: Account, now: datetime) -> bool:
    """Whether sign-ins to ``account`` are refused for the time being."""
    return account.locked_until is not None and account.locked_until > now


def count_failure(account: Account, settings: Settings, now: datetime) -> bool:
    """Count one failure of a locked row; True where it locks the account."""
    account.failed_attempts += 1
    wait_s = delay_s(account.failed_attempts, settings.lockout_attempts, settings.lockout_s)
    if wait_s:
        account.locked_until = now + timedelta(seconds=wait_s)
    return wait_s > 0


def clear(account: Account) -> None:
    """Forget the failures after a success, or because an administrator says so."""
    account.failed_attempts, account.locked_until = 0, None


def check_source(session: Session, address: str, now: datetime) -> None:
    """Let an address pass, or raise TooManySignInsError."""
    source = session.get(SignInSource, address_hash(address))
    if source is not None and source.blocked_until is not None and source.blocked_until > now:
        raise TooManySignInsError(max(1, int((source.blocked_until - now).total_seconds()) + 1))


def count_source_failure(session: Session, address: str, settings: Settings, now: datetime) -> None:
    """Count one failure of an address; the row is locked, so that failures at the same time all count."""
    key = address_hash(address)
    session.execute(delete(SignInSource).where(SignInSource.last_failure_at < now - FORGOTTEN_AFTER))
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"address_hash": key, "failures": 0, "last_failure_at": now}
    session.execute(insert(SignInSource).values(row).on_conflict_do_nothing())
    query = select(SignInSource).where(SignInSource.address_hash == key).with_for_update()
    source = session.scalars(query.execution_options(populate_existing=True)).one()
    source.failures += 1
    source.last_failure_at = now
    wait_s = delay_s(source.failures, settings.lockout_source_attempts, settings.lockout_s)
    if wait_s:
        source.blocked_until = now + timedelta(seconds=wait_s)
    session.flush()


def address_hash(address: str) -> str:
    """Keyed hash of a network address; of the /64 network for IPv6, which one machine owns as a whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return search_hash(address or "unknown", "sign_in_sources.address")
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        network = ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False)
        return search_hash(str(network.network_address), "sign_in_sources.address")
    plain = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else parsed
    return search_hash(str(plain), "sign_in_sources.address")
