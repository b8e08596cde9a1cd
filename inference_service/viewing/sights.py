"""Which slides a caller may look at: asked of the database once in a few seconds, not for every tile."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases.service import CaseNotFoundError
from tamsoat.inference_service.consultations import access as consultations
from tamsoat.inference_service.slides.deep_zoom import DeepZoom
from tamsoat.inference_service.uploads.intent import is_identifier
from tamsoat.inference_service.uploads.service import SlideNotFoundError, get
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.inference_service.viewing import repository

VALID_S = 5.0
"""How long a slide that was deleted, or a consultation that ended, may still be looked at; as sessions, see
:mod:`tamsoat.inference_service.accounts.cache`."""
RECORDED_S = 3600.0
"""Tiles that are fetched within this time of a recorded reading of the slide are part of it."""
MOST_SIGHTS = 10_000


@dataclass(frozen=True)
class Sight:
    """A slide that a caller may look at. ``slide`` belongs to no session any more."""

    slide: Slide
    zoom: DeepZoom
    best_plane: int

    @property
    def sha256(self) -> str:
        """Digest of the file that is read: the built pyramid, else the original."""
        return self.slide.pyramid_sha256 or self.slide.sha256


_Key = tuple[str, str, str]


class Sights:
    """What was found a moment ago, and whose reading was recorded within the hour. Thread-safe, of one process."""

    def __init__(self) -> None:
        self._found: dict[_Key, tuple[float, Sight]] = {}
        self._recorded: dict[_Key, float] = {}
        self._lock = threading.Lock()

    def recent(self, principal: Principal, slide_id: str) -> Sight | None:
        """The sight, where it was found a moment ago."""
        found_at_s, sight = self._found.get(_key(principal, slide_id), (float("-inf"), None))
        return sight if time.monotonic() - found_at_s < VALID_S else None

    def put(self, principal: Principal, sight: Sight) -> None:
        """Remember what was found just now."""
        with self._lock:
            if len(self._found) >= MOST_SIGHTS:
                self._found.clear()
            self._found[_key(principal, sight.slide.id)] = (time.monotonic(), sight)

    def is_recorded(self, principal: Principal, slide_id: str) -> bool:
        """Whether a reading of the slide by this caller is in the audit log, not long ago."""
        recorded_at_s = self._recorded.get(_key(principal, slide_id), float("-inf"))
        return time.monotonic() - recorded_at_s < RECORDED_S

    def recorded(self, principal: Principal, slide_id: str) -> None:
        """A reading was recorded just now."""
        with self._lock:
            if len(self._recorded) >= MOST_SIGHTS:
                self._recorded.clear()
            self._recorded[_key(principal, slide_id)] = time.monotonic()


def find_slide(session: Session, principal: Principal, slide_id: str) -> Slide:
    """A slide of the caller's facility, or of a case about which a colleague has asked the caller.

    Raises:
        SlideNotFoundError: neither.
    """
    asked = repository.slide_of_any_facility(session, slide_id) if is_identifier(slide_id) else None
    if asked is None or asked.facility_id == principal.facility_id or asked.case_id is None:
        return get(session, principal.facility_id, slide_id)
    try:
        consultations.may_view(session, principal, asked.case_id)
    except CaseNotFoundError:
        raise SlideNotFoundError("there is no slide with this identifier") from None
    return asked


def _key(principal: Principal, slide_id: str) -> _Key:
    return principal.actor, principal.facility_id, slide_id
