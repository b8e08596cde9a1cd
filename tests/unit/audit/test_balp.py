"""Exported events against what FHIR R4 (4.0.1) and the IHE BALP 1.1.4 profiles demand.

There is no FHIR validator here: the cardinalities, code systems and patterns of the profiles that are written are
spelled out below, from their published definitions.
"""

from __future__ import annotations

import base64
import json
import re
from itertools import product
from typing import Any

import pytest

from tamsoat.inference_service.audit import balp
from tamsoat.inference_service.audit.balp_events import KINDS, Pattern
from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.schemas import Action, canonical_json

DCM = "http://dicom.nema.org/resources/ontology/DCM"
ELEMENTS = {
    "resourceType", "id", "meta", "type", "subtype", "action", "recorded", "outcome", "agent", "source", "entity",
}  # fmt: skip
SYSTEMS = {
    "http://terminology.hl7.org/CodeSystem/audit-event-type", "http://hl7.org/fhir/restful-interaction", DCM,
    "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "urn:tamsoat:audit-action",
    "http://terminology.hl7.org/CodeSystem/audit-entity-type", "http://terminology.hl7.org/CodeSystem/object-role",
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "http://terminology.hl7.org/CodeSystem/security-source-type",
}  # fmt: skip
CLIENT_AND_SERVER = {
    "Create": ("110153", "110152"),
    "Update": ("110153", "110152"),
    "Query": ("110153", "110152"),
    "Read": ("110152", "110153"),
    "Delete": ("110150", "custodian"),
    "PrivacyDisclosure.Source": ("110152", "110153"),
}
USERS = {"Create": "AUT", "Update": "AUT", "Delete": "AUT", "Read": "IRCP", "Query": "IRCP"}
INTERACTIONS = {"Create": ("create", "C"), "Update": ("update", "U"), "Delete": ("delete", "D"),
                "Read": ("read", "R"), "Query": ("search", "E")}  # fmt: skip


def row(action: Action, subject: str, actor: str, details: dict[str, Any] | None) -> Row:
    digests = canonical_json({"image": "ab" * 32})
    return Row(
        7, "2026-01-31T08:00:00.123456Z", actor, action.value, subject, digests, "facility-1",
        canonical_json(details) if details else None, "0" * 64, "cd" * 32,
    )  # fmt: skip


SUBJECTS = (("patient:p1", None), ("order:o1", {"patient": "p2", "ok": True}), ("key:k1", None))
ACTORS = ("account:a1", "client:c1", "local", "system")


def check_coding(coding: dict[str, str]) -> None:
    assert set(coding) == {"system", "code", "display"}
    assert coding["system"] in SYSTEMS
    assert all(coding.values())


def check_base(event: dict[str, Any]) -> None:
    """AuditEvent of R4: type, recorded, agent (with requestor) and source.observer are required."""
    assert set(event) <= ELEMENTS
    assert event["resourceType"] == "AuditEvent"
    assert re.fullmatch(r"[A-Za-z0-9.-]{1,64}", event["id"])
    check_coding(event["type"])
    for coding in event["subtype"]:
        check_coding(coding)
    assert event["action"] in set("CRUDE")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["recorded"])
    assert event["outcome"] in {"0", "4", "8", "12"}
    assert event["source"]["observer"]
    assert event["agent"]
    assert sum(agent["requestor"] for agent in event["agent"]) == 1
    for agent in event["agent"]:
        assert isinstance(agent["requestor"], bool)
        assert set(agent) <= {"type", "who", "requestor", "network"}
    for entity in event["entity"]:
        # sev-1 of R4: an entity has a name or a query, not both.
        assert not ("name" in entity and "query" in entity)
        for detail in entity.get("detail", ()):
            assert detail["type"]
            assert detail["valueString"]


def agents_of(event: dict[str, Any], code: str) -> list[dict[str, Any]]:
    return [agent for agent in event["agent"] if agent["type"]["coding"][0]["code"] == code]


def check_profile(event: dict[str, Any], name: str) -> None:
    """The constraints of the profile, one by one."""
    patient = name.startswith("Patient")
    pattern = name.removeprefix("Patient")
    client, server = CLIENT_AND_SERVER[pattern]
    for code in (client, server):
        (agent,) = agents_of(event, code)
        assert agent["who"]
        assert agent["network"]
    assert event["outcome"] == "0"
    people = [entity for entity in event["entity"] if entity["type"]["code"] == "1"]
    things = [entity for entity in event["entity"] if entity["type"]["code"] == "2"]
    if patient or pattern == "PrivacyDisclosure.Source":
        (person,) = people
        assert person["role"]["code"] == "1"
        assert person["what"]["type"] == "Patient"
        assert len(event["entity"]) >= 2
    else:
        assert people == []
    (thing,) = things
    if pattern == "PrivacyDisclosure.Source":
        assert (event["type"]["system"], event["type"]["code"]) == (DCM, "110106")
        assert event["subtype"][0]["code"] == "disclose"
        assert event["action"] == "R"
        assert agents_of(event, "110153")[0]["who"] == event["source"]["observer"]
        return
    interaction, action = INTERACTIONS[pattern]
    assert event["type"]["code"] == "rest"
    assert event["subtype"][0]["code"] == interaction
    assert event["action"] == action
    assert all(not agent.get("network") for agent in agents_of(event, USERS[pattern]))
    if pattern == "Query":
        assert thing["role"]["code"] == "24"
        assert json.loads(base64.b64decode(thing["query"])) is not None
        assert not {"what", "lifecycle", "detail"} & set(thing)
    else:
        assert thing["role"]["code"] in {"3", "4", "20"}
        assert thing["what"]


@pytest.mark.parametrize("action", list(Action))
def test_event_meets_the_standard_and_its_profile(action: Action) -> None:
    for (subject, details), actor in product(SUBJECTS, ACTORS):
        event = balp.audit_event(row(action, subject, actor, details), "hospital.example/tamsoat")
        check_base(event)
        for profile in event.get("meta", {}).get("profile", ()):
            assert profile.startswith(balp.PROFILE)
            check_profile(event, profile.removeprefix(balp.PROFILE))
        if KINDS[action].pattern not in (Pattern.PLAIN, Pattern.DISCLOSURE):
            assert ("Patient" in event["meta"]["profile"][0]) == (subject != "key:k1")


def test_every_action_has_a_kind() -> None:
    assert set(KINDS) == set(Action)


def test_event_leads_back_to_its_entry() -> None:
    event = balp.audit_event(row(Action.ORDER_READ, "order:o1", "account:a1", {"results": 3}), "o")
    entry = event["entity"][-1]
    assert entry["what"]["identifier"] == {"system": "urn:tamsoat:audit-entry", "value": "7"}
    told = {detail["type"]: detail["valueString"] for detail in entry["detail"]}
    assert told == {"entry_hash": "cd" * 32, "sha256.image": "ab" * 32, "results": "3", "facility": "facility-1"}
