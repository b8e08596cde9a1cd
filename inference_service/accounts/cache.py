"""What one process remembers about sign-in for a few seconds, and how a change makes it forget at once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import event
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal

VALID_S = 5.0
"""How long another process may go on believing in a session that was revoked here."""
NOBODY_VALID_S = 1.0
"""How long the absence of any account is believed."""
MOST_SESSIONS = 10_000

_lock = threading.Lock()
_changes = 0


@dataclass(frozen=True)
class LiveSession:
    """A session as it was when it was read.

    ``csrf_token`` belongs to the cookie; ``method`` is how the person signed in.
    """

    session_id: str
    account_id: str
    principal: Principal
    method: str
    csrf_token: str
    last_seen_at: datetime
    expires_at: datetime


def changes() -> int:
    """A number that grows whenever something about accounts or sessions was changed in this process."""
    return _changes


def forget_after_commit(session: Session) -> None:
    """Make every cache of this process forget once the transaction of ``session`` is committed."""
    event.listen(session, "after_commit", _forget, once=True)


def _forget(_session: Session) -> None:
    global _changes
    with _lock:
        _changes += 1


class AccessCache:
    """Sessions that were looked up within the last seconds, and whether anyone has to sign in. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[float, int, LiveSession]] = {}
        self._anyone: tuple[float, int, bool] = (float("-inf"), 0, False)

    def get(self, token_sha256: str) -> LiveSession | None:
        """The session, where it was read a moment ago and nothing has changed since."""
        read_at_s, seen, live = self._sessions.get(token_sha256, (float("-inf"), 0, None))
        return live if time.monotonic() - read_at_s < VALID_S and seen == _changes else None

    def put(self, token_sha256: str, live: LiveSession, seen: int) -> None:
        """Remember what was read after :func:`changes` said ``seen``."""
        with _lock:
            if len(self._sessions) >= MOST_SESSIONS:
                self._sessions.clear()
            self._sessions[token_sha256] = (time.monotonic(), seen, live)

    def anyone(self) -> bool | None:
        """Whether an account or client exists; None where that must be asked again. True stays true."""
        read_at_s, seen, exists = self._anyone
        if exists or (time.monotonic() - read_at_s < NOBODY_VALID_S and seen == _changes):
            return exists
        return None

    def put_anyone(self, exists: bool, seen: int) -> None:
        """Remember the answer read after :func:`changes` said ``seen``."""
        self._anyone = (time.monotonic(), seen, exists)
