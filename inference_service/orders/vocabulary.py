"""The words of an order: what may be asked for, how it may stand, what is told about the patient."""

from __future__ import annotations

from enum import StrEnum


class RequestedTest(StrEnum):
    """What is asked for; the SNOMED CT concept of each is in docs/patients.md."""

    CYTOLOGY = "cytology"
    PAP = "pap"
    LIQUID_BASED = "liquid-based-cytology"


class Priority(StrEnum):
    """How soon (FHIR request-priority without ``asap``)."""

    ROUTINE = "routine"
    URGENT = "urgent"
    STAT = "stat"


class OrderStatus(StrEnum):
    """Where an order stands."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    RESULTED = "resulted"
    CANCELLED = "cancelled"


OPEN = (OrderStatus.REQUESTED, OrderStatus.ACCEPTED, OrderStatus.IN_PROGRESS)
"""The states of an order that still waits for its result."""


class Preparation(StrEnum):
    """How the cells came onto the glass; decides which LOINC code the report carries."""

    CONVENTIONAL = "conventional"
    LIQUID_BASED = "liquid-based"


class SourceSite(StrEnum):
    """Where the cells were taken."""

    CERVIX = "cervix"
    ENDOCERVIX = "endocervix"
    VAGINA = "vagina"
    VAGINAL_VAULT = "vaginal-vault"


class SpecimenState(StrEnum):
    """Whether the glass is here."""

    EXPECTED = "expected"
    RECEIVED = "received"
    REJECTED = "rejected"


class HpvResult(StrEnum):
    """Outcome of the last HPV test."""

    NEGATIVE = "negative"
    POSITIVE_16_18 = "positive-16-18"
    POSITIVE_OTHER = "positive-other"
    POSITIVE = "positive-untyped"
    INVALID = "invalid"
    NOT_DONE = "not-done"


class Vaccination(StrEnum):
    """HPV vaccination."""

    NONE = "none"
    PARTIAL = "partial"
    COMPLETE = "complete"
    UNKNOWN = "unknown"


class History(StrEnum):
    """What happened before, as far as it changes how a smear is read."""

    ABNORMAL_CYTOLOGY = "abnormal-cytology"
    BIOPSY = "biopsy"
    COLPOSCOPY = "colposcopy"
    CONIZATION = "conization"
    HYSTERECTOMY = "hysterectomy"
    RADIOTHERAPY = "radiotherapy"
    CHEMOTHERAPY = "chemotherapy"
    CERVICAL_CANCER = "cervical-cancer"
    IMMUNOSUPPRESSION = "immunosuppression"
    ABNORMAL_BLEEDING = "abnormal-bleeding"
    POSTPARTUM = "postpartum"


class CancelReason(StrEnum):
    """Why an order was cancelled."""

    ENTERED_IN_ERROR = "entered-in-error"
    DUPLICATE = "duplicate"
    REQUESTER = "requester"
    PATIENT_REFUSED = "patient-refused"
    SPECIMEN_REJECTED = "specimen-rejected"


class RejectReason(StrEnum):
    """Why a specimen was rejected."""

    BROKEN = "broken"
    UNLABELLED = "unlabelled"
    MISMATCH = "label-mismatch"
    LEAKED = "leaked"
    EMPTY = "empty"
