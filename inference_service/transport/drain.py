"""The time between being asked to stop and closing the port."""

from __future__ import annotations

import threading


class Drain:
    """Whether the process is about to stop: ``/readyz`` then answers 503 and every answer closes its connection."""

    def __init__(self) -> None:
        self._begun = threading.Event()

    def begin(self) -> None:
        """From now on new requests belong elsewhere; those that come are still answered."""
        self._begun.set()

    @property
    def active(self) -> bool:
        return self._begun.is_set()
