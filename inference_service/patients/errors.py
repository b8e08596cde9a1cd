"""What can be wrong with a patient, an identifier or a merge."""

from __future__ import annotations

from tamsoat.inference_service.errors import EXIT_INPUT, TamsoatError


class PatientNotFoundError(TamsoatError):
    """There is no such patient in this facility."""

    status = 404
    title = "Patient not found"
    slug = "patient-not-found"
    exit_code = EXIT_INPUT


class PatientExistsError(TamsoatError):
    """An identifier already belongs to another patient of this facility, whose id the answer names."""

    status = 409
    title = "Patient exists already"
    slug = "patient-exists"

    def __init__(self, patient_id: str) -> None:
        super().__init__(
            f"an identifier belongs to patient {patient_id} already: use that one, or correct the identifier"
        )
        self.patient_id = patient_id

    def members(self) -> dict[str, object]:
        return {"patient_id": self.patient_id}


class PatientAmbiguousError(TamsoatError):
    """The identifiers belong to different patients of this facility; merge them or correct the identifiers."""

    status = 409
    title = "Identifiers of different patients"
    slug = "patient-ambiguous"

    def __init__(self, patient_ids: list[str]) -> None:
        super().__init__("the identifiers belong to different patients: merge them, or correct the identifiers")
        self.patient_ids = patient_ids

    def members(self) -> dict[str, object]:
        return {"patient_ids": self.patient_ids}


class PatientInactiveError(TamsoatError):
    """The patient was merged into another or erased; nothing of it changes any more."""

    status = 409
    title = "Patient is not active"
    slug = "patient-inactive"


class IdentifierInvalidError(TamsoatError):
    """The identifier does not have the form that its system demands."""

    status = 422
    title = "Identifier is not valid"
    slug = "identifier-invalid"


class IdentifierNeedsConfirmationError(TamsoatError):
    """Something does not agree with the rest; send it again with the named codes in ``confirm`` if it is right."""

    status = 409
    title = "Please confirm"
    slug = "identifier-needs-confirmation"

    def __init__(self, codes: list[str]) -> None:
        super().__init__(f"please check, and send it again with `confirm` if it is right: {', '.join(codes)}")
        self.codes = codes

    def members(self) -> dict[str, object]:
        return {"confirm": self.codes}


class IdentifierNotFoundError(TamsoatError):
    """The patient has no such identifier."""

    status = 404
    title = "Identifier not found"
    slug = "identifier-not-found"


class MergeRefusedError(TamsoatError):
    """The two cannot be merged, or the merge cannot be undone."""

    status = 409
    title = "Merge refused"
    slug = "merge-refused"


class ErasureRefusedError(TamsoatError):
    """The law, a legal hold or unfinished work forbids to erase this patient now."""

    status = 409
    title = "Erasure refused"
    slug = "erasure-refused"


class CardUnreadableError(TamsoatError):
    """The text is not that of a CCCD card's QR code."""

    status = 422
    title = "Card cannot be read"
    slug = "card-unreadable"
