"""Codes of reasons: why patients are merged, erased, or kept from being erased."""

from __future__ import annotations

from enum import StrEnum


class MergeReason(StrEnum):
    """Why two rows are one person."""

    ENTERED_TWICE = "entered-twice"
    TEMPORARY_IDENTIFIED = "temporary-identified"
    NUMBER_REISSUED = "number-reissued"


class EraseReason(StrEnum):
    """Why a patient's personal data are erased."""

    PATIENT_REQUEST = "patient-request"
    COURT_ORDER = "court-order"
    ENTERED_IN_ERROR = "entered-in-error"
    RETENTION_ENDED = "retention-ended"


class HoldReason(StrEnum):
    """Why nothing may be erased."""

    LITIGATION = "litigation"
    INVESTIGATION = "investigation"
    INSURANCE_DISPUTE = "insurance-dispute"
