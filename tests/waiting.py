"""Waiting for what happens sooner or later: tests depend on the order of events, never on the speed of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_S = 120.0
"""Long enough for a slow, busy machine; a test that passes hardly waits."""


def wait_until(true: Callable[[], object], wait_s: float = WAIT_S, what: Callable[[], object] | None = None) -> None:
    """Wait until ``true()`` holds; ``what`` says, at a failure, how things stand.

    Raises:
        AssertionError: it did not within ``wait_s`` seconds.
    """
    deadline_s = time.monotonic() + wait_s
    while not true():
        late = time.monotonic() > deadline_s
        assert not late, f"it did not come about in {wait_s:g} s" + (f": {what()}" if what else "")
        time.sleep(0.02)
