"""Whose data a page showed, and to whom: an event for each patient, written together."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases.schemas import CaseSummary
from tamsoat.inference_service.runtime import Runtime

AGAIN_S = 900.0
"""A worklist that stays open shows the same patients again and again: each is recorded once in this time for each
person (and process)."""
REMEMBERED_MOST = 100_000

_lock = threading.Lock()
_recorded: OrderedDict[tuple[int, str, str], float] = OrderedDict()


def record(runtime: Runtime, principal: Principal, shown: Sequence[CaseSummary]) -> None:
    """Record that the principal sees the patients of ``shown``, before they are shown. Blocks.

    Raises:
        DatabaseUnavailableError, StorageFullError: nothing may be shown.
    """
    patients = sorted({case.patient.patient_id for case in shown if case.patient is not None})
    keys = {patient: (id(runtime.read_log), principal.actor, patient) for patient in patients}
    now_s = time.monotonic()
    with _lock:
        due = [patient for patient in patients if now_s - _recorded.get(keys[patient], float("-inf")) > AGAIN_S]
    if not due:
        return
    details: dict[str, str | int | bool] = {"from": "worklist"}
    runtime.read_log.record_all(
        [
            Event(principal.actor, Action.PATIENT_READ, f"patient:{patient}", {}, principal.facility_id, details)
            for patient in due
        ]
    )
    with _lock:
        for patient in due:
            _recorded[keys[patient]] = now_s
            _recorded.move_to_end(keys[patient])
        while len(_recorded) > REMEMBERED_MOST:
            _recorded.popitem(last=False)
