"""Which FHIR R4 AuditEvent each recorded action becomes: DICOM and FHIR event codes, IHE BALP patterns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tamsoat.inference_service.audit.schemas import Action

DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://hl7.org/fhir/restful-interaction"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"

Coding = tuple[str, str, str]
"""System, code, display."""
RESTFUL: Coding = (EVENT_TYPE, "rest", "Restful Operation")
SUCCESS, SERIOUS_FAILURE = "0", "8"


class Pattern(StrEnum):
    """The shape of agents and entities; the value is the part of the BALP profile's name after the prefix."""

    CREATE = "Create"
    READ = "Read"
    UPDATE = "Update"
    DELETE = "Delete"
    QUERY = "Query"
    DISCLOSURE = "PrivacyDisclosure.Source"
    PLAIN = ""
    """No BALP profile: an AuditEvent of FHIR R4 with DICOM codes."""


@dataclass(frozen=True)
class Kind:
    """``action`` is FHIR's: C, R, U, D or E."""

    pattern: Pattern
    action: str
    type: Coding
    subtype: Coding
    outcome: str = SUCCESS


def _rest(pattern: Pattern, action: str, interaction: str) -> Kind:
    return Kind(pattern, action, RESTFUL, (REST, interaction, interaction))


def _dicom(code: str, display: str, subtype: Coding, action: str = "E", outcome: str = SUCCESS) -> Kind:
    return Kind(Pattern.PLAIN, action, (DCM, code, display), subtype, outcome)


CREATED = _rest(Pattern.CREATE, "C", "create")
READ = _rest(Pattern.READ, "R", "read")
UPDATED = _rest(Pattern.UPDATE, "U", "update")
DELETED = _rest(Pattern.DELETE, "D", "delete")
SEARCHED = _rest(Pattern.QUERY, "E", "search")
DISCLOSED = Kind(
    Pattern.DISCLOSURE, "R", (DCM, "110106", "Export"), (LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")
)
_LOGIN, _LOGOUT = (DCM, "110122", "Login"), (DCM, "110123", "Logout")
_SECURITY = (DCM, "110129", "Security Configuration")
_USER_SECURITY = (DCM, "110137", "User Security Attributes Changed")


def _authentication(subtype: Coding, outcome: str = SUCCESS) -> Kind:
    return _dicom("110114", "User Authentication", subtype, outcome=outcome)


def _own(name: str) -> Coding:
    return ("urn:tamsoat:audit-action", name, name)


def _activity(action: Action, subtype: Coding | None = None) -> Kind:
    return _dicom("110100", "Application Activity", subtype or _own(action.value))


KINDS: dict[Action, Kind] = {
    Action.ACCESS_DENY: _dicom("110113", "Security Alert", _own("access:deny"), outcome=SERIOUS_FAILURE),
    Action.ACCESS_REVIEW: READ,
    Action.ACCOUNT_CREATE: CREATED,
    Action.ACCOUNT_DISABLE: UPDATED,
    Action.ACCOUNT_ENABLE: UPDATED,
    Action.ACCOUNT_LOCK: _dicom("110113", "Security Alert", _USER_SECURITY),
    Action.ACCOUNT_PASSWORD: UPDATED,
    Action.ACCOUNT_SECOND_FACTOR: UPDATED,
    Action.ACCOUNT_SIGN_IN: _authentication(_LOGIN),
    Action.ACCOUNT_SIGN_IN_FAIL: _authentication(_LOGIN, SERIOUS_FAILURE),
    Action.ACCOUNT_SIGN_OUT: _authentication(_LOGOUT),
    Action.ACCOUNT_UPDATE: UPDATED,
    Action.ANALYSIS_CREATE: CREATED,
    Action.ANALYSIS_READ: READ,
    Action.AUDIT_CHECKPOINT: _activity(Action.AUDIT_CHECKPOINT),
    Action.AUDIT_EXPORT: _dicom("110101", "Audit Log Used", _own("audit:export"), "R"),
    Action.AUDIT_READ: _dicom("110101", "Audit Log Used", _own("audit:read"), "R"),
    Action.BACKUP_CREATE: _dicom("110106", "Export", _own("backup:create"), "R"),
    Action.BACKUP_RESTORE: _dicom("110107", "Import", _own("backup:restore"), "C"),
    Action.CASE_ASSIGN: UPDATED,
    Action.CASE_CREATE: CREATED,
    Action.CASE_READ: READ,
    Action.CLIENT_CREATE: CREATED,
    Action.CLIENT_DISABLE: UPDATED,
    Action.CLIENT_TOKEN: _authentication((DCM, "110126", "Node Authentication")),
    Action.CLIENT_UPDATE: UPDATED,
    Action.CONSULTATION_ANSWER: UPDATED,
    Action.CONSULTATION_CREATE: DISCLOSED,
    Action.CONSULTATION_END: UPDATED,
    Action.CONSULTATION_READ: READ,
    Action.DISCUSSION_WRITE: CREATED,
    Action.FACILITY_CREATE: CREATED,
    Action.FACILITY_UPDATE: UPDATED,
    Action.KEYS_ROTATE: _dicom("110113", "Security Alert", _SECURITY),
    Action.MARK_CREATE: CREATED,
    Action.MARK_WITHDRAW: UPDATED,
    Action.ORDER_CANCEL: UPDATED,
    Action.ORDER_CREATE: CREATED,
    Action.ORDER_READ: READ,
    Action.ORDER_UPDATE: UPDATED,
    Action.PATIENT_CREATE: CREATED,
    Action.PATIENT_ERASE: DELETED,
    Action.PATIENT_EXPORT: DISCLOSED,
    Action.PATIENT_MERGE: UPDATED,
    Action.PATIENT_READ: READ,
    Action.PATIENT_SEARCH: SEARCHED,
    Action.PATIENT_UPDATE: UPDATED,
    Action.QUALITY_EXPORT: _dicom("110106", "Export", _own("quality:export"), "R"),
    Action.READING_AMEND: UPDATED,
    Action.READING_READ: READ,
    Action.READING_SIGN: UPDATED,
    Action.REPORT_CREATE: CREATED,
    Action.REPORT_READ: READ,
    Action.REPORT_VERIFY: READ,
    Action.RETENTION_DELETE: DELETED,
    Action.REVIEW_SETTINGS: UPDATED,
    Action.REVIEW_START: UPDATED,
    Action.SCREENING_CANCEL: UPDATED,
    Action.SCREENING_FAIL: UPDATED,
    Action.SCREENING_REQUEST: CREATED,
    Action.SCREENING_RETRY: UPDATED,
    Action.SERVICE_START: _activity(Action.SERVICE_START, (DCM, "110120", "Application Start")),
    Action.SLIDE_CREATE: CREATED,
    Action.SLIDE_DELETE: DELETED,
    Action.SLIDE_READ: READ,
    Action.SLIDE_UPDATE: UPDATED,
    Action.UPLOAD_DISCARD: DELETED,
    Action.WEBHOOK_CREATE: CREATED,
    Action.WEBHOOK_DELETE: DELETED,
    Action.WEBHOOK_DELIVER: _dicom("110106", "Export", _own("webhook:deliver"), "R"),
    Action.WEBHOOK_RESEND: UPDATED,
    Action.WEBHOOK_UPDATE: UPDATED,
    Action.WORKER_TAKEOVER: _activity(Action.WORKER_TAKEOVER),
}
"""Every action has one; a test says so."""

FHIR_TYPES = {
    "account": "Practitioner",
    "analysis": "Observation",
    "client": "Device",
    "facility": "Organization",
    "order": "ServiceRequest",
    "patient": "Patient",
    "screening": "Task",
    "slide": "Media",
    "webhook": "Subscription",
}
"""Nouns of subjects that are resources of FHIR; the others are named by an identifier alone."""
