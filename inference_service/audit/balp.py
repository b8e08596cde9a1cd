"""Entries of the log as FHIR R4 AuditEvent resources, after IHE Basic Audit Log Patterns (BALP 1.1.4).

Everything is taken from the entry: identifiers, codes and digests, nothing personal. The network addresses that the
patterns ask for are not in the log, so they are marked as unknown (``data-absent-reason``).
"""

from __future__ import annotations

import base64
import json
from typing import Any

from tamsoat.inference_service.audit.balp_events import DCM, FHIR_TYPES, KINDS, RESTFUL, Coding, Kind, Pattern
from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.schemas import Action, canonical_json

PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_SOURCE: Coding = (DCM, "110153", "Source Role ID")
_DESTINATION: Coding = (DCM, "110152", "Destination Role ID")
_APPLICATION: Coding = (DCM, "110150", "Application")
_CUSTODIAN: Coding = (PARTICIPANT, "custodian", "Custodian")
_RECIPIENT: Coding = (PARTICIPATION, "IRCP", "information recipient")
_AUTHOR: Coding = (PARTICIPATION, "AUT", "author (originator)")
_ROLES: dict[Pattern, tuple[Coding, Coding, Coding]] = {
    Pattern.CREATE: (_SOURCE, _DESTINATION, _AUTHOR),
    Pattern.UPDATE: (_SOURCE, _DESTINATION, _AUTHOR),
    Pattern.DELETE: (_APPLICATION, _CUSTODIAN, _AUTHOR),
    Pattern.READ: (_DESTINATION, _SOURCE, _RECIPIENT),
    Pattern.QUERY: (_SOURCE, _DESTINATION, _RECIPIENT),
    Pattern.DISCLOSURE: (_DESTINATION, _SOURCE, _RECIPIENT),
    Pattern.PLAIN: (_SOURCE, _DESTINATION, _RECIPIENT),
}
"""What client, server and user are called; reading names them the other way round."""


def audit_event(row: Row, origin: str) -> dict[str, Any]:
    """The AuditEvent of one entry; ``origin`` names the installation."""
    kind = KINDS[Action(row.action)]
    details: dict[str, Any] = {} if row.details is None else json.loads(row.details)
    patient = _patient(row, details)
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"audit-{row.sequence}",
        "type": _coding(kind.type),
        "subtype": [_coding(kind.subtype), *([_own_action(row)] if kind.type == RESTFUL else [])],
        "action": kind.action,
        "recorded": f"{row.occurred_at[:23]}Z",
        "outcome": kind.outcome,
        "agent": _agents(row, kind, origin),
        "source": {
            "site": origin,
            "observer": _server(origin),
            "type": [_coding((SOURCE_TYPE, "4", "Application Server"))],
        },
        "entity": _entities(row, kind, details, patient),
    }
    profile = _profile(kind, patient)
    return {**event, "meta": {"profile": [profile]}} if profile else event


def _profile(kind: Kind, patient: str | None) -> str | None:
    if kind.pattern is Pattern.PLAIN:
        return None
    if kind.pattern is Pattern.DISCLOSURE:
        return f"{PROFILE}{kind.pattern}" if patient else None
    return f"{PROFILE}{'Patient' if patient else ''}{kind.pattern}"


def _patient(row: Row, details: dict[str, Any]) -> str | None:
    """Identifier of the one patient whom the event is about, where the entry names her."""
    noun, _, identifier = row.subject.partition(":")
    if noun == "patient":
        return identifier
    named = details.get("patient")
    return named if isinstance(named, str) and named else None


def _agents(row: Row, kind: Kind, origin: str) -> list[dict[str, Any]]:
    client_type, server_type, user_type = _ROLES[kind.pattern]
    noun, _, identifier = row.actor.partition(":")
    person = noun == "account"
    client: dict[str, Any] = (
        _reference("Device", "client", identifier) if noun == "client" else {"display": "web browser or command line"}
    )
    if noun == "system":
        client = _server(origin)
    agents = [
        _agent(client_type, client, requestor=not person, network=True),
        _agent(server_type, _server(origin), requestor=False, network=True),
    ]
    if person:
        agents.append(_agent(user_type, _reference("Practitioner", noun, identifier), requestor=True, network=False))
    return agents


def _agent(kind: Coding, who: dict[str, Any], *, requestor: bool, network: bool) -> dict[str, Any]:
    agent: dict[str, Any] = {"type": {"coding": [_coding(kind)]}, "who": who, "requestor": requestor}
    if network:
        agent["network"] = {"_address": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}}
    return agent


def _entities(row: Row, kind: Kind, details: dict[str, Any], patient: str | None) -> list[dict[str, Any]]:
    noun, _, identifier = row.subject.partition(":")
    entities: list[dict[str, Any]] = []
    if patient is not None:
        person = _coding((ENTITY_TYPE, "1", "Person"))
        role = _coding((OBJECT_ROLE, "1", "Patient"))
        entities.append({"what": _reference("Patient", "patient", patient), "type": person, "role": role})
    thing = _coding((ENTITY_TYPE, "2", "System Object"))
    if kind.pattern is Pattern.QUERY:
        asked = base64.b64encode(canonical_json(details).encode()).decode("ascii")
        entities.append({"type": thing, "role": _coding((OBJECT_ROLE, "24", "Query")), "query": asked})
    else:
        what = _reference(FHIR_TYPES.get(noun), noun, identifier)
        entities.append({"what": what, "type": thing, "role": _coding((OBJECT_ROLE, "4", "Domain Resource"))})
    entities.append(_log_entry(row, details))
    return entities


def _log_entry(row: Row, details: dict[str, Any]) -> dict[str, Any]:
    """Leads back to the entry: its number, hash, digests and details."""
    told = {"entry_hash": row.entry_hash, **{f"sha256.{name}": text for name, text in json.loads(row.digests).items()}}
    told |= {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in details.items()}
    if row.facility is not None:
        told["facility"] = row.facility
    return {
        "what": {"identifier": {"system": "urn:tamsoat:audit-entry", "value": str(row.sequence)}},
        "type": _coding((ENTITY_TYPE, "4", "Other")),
        "detail": [{"type": name, "valueString": value} for name, value in told.items() if value],
    }


def _reference(resource: str | None, noun: str, identifier: str) -> dict[str, Any]:
    logical: dict[str, Any] = {"identifier": {"system": f"urn:tamsoat:{noun}", "value": identifier or "-"}}
    return {"type": resource, **logical} if resource else logical


def _server(origin: str) -> dict[str, Any]:
    return {"type": "Device", "identifier": {"system": "urn:tamsoat:installation", "value": origin}}


def _own_action(row: Row) -> dict[str, str]:
    return _coding(("urn:tamsoat:audit-action", row.action, row.action))


def _coding(coding: Coding) -> dict[str, str]:
    system, code, display = coding
    return {"system": system, "code": code, "display": display}
