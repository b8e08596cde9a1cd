"""The log over HTTP: an auditor sees her facility's entries and the installation's, with proofs that hold."""

from __future__ import annotations

import pytest
from people import make_account, make_facility, sign_in
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.audit import checkpoints, notes, proofs, service
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.runtime import Runtime


@pytest.fixture
def auditor(client: TestClient) -> TestClient:
    """A signed-in auditor of facility 79001; facility 79002 has an entry too."""
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    own, other = make_facility(runtime.database, "79001"), make_facility(runtime.database, "79002")
    account_id, password = make_account(runtime.database, own, [Role.AUDITOR])
    with runtime.database.write() as session:
        for facility in (own, other, None):
            service.append_all(
                session, [Event("account:x", Action.ORDER_CREATE, f"order:{facility}", {}, facility, {"n": 1})]
            )
    sign_in(client, runtime.database, account_id, password)
    return client


def test_entries_are_those_of_the_facility_and_the_installation(auditor: TestClient) -> None:
    page = auditor.get("/api/v1/audit/entries", params={"action": "order:create"}).json()
    (own, shared) = sorted(page["items"], key=lambda item: item["facility"] is None)
    assert own["subject"] == f"order:{own['facility']}"
    assert own["details"] == {"n": 1}
    assert shared["facility"] is None
    alone = auditor.get("/api/v1/audit/entries", params={"action": "order:create", "installation": False}).json()
    assert [item["sequence"] for item in alone["items"]] == [own["sequence"]]
    read = auditor.get("/api/v1/audit/entries", params={"action": "audit:read"}).json()["items"]
    assert [item["details"] for item in read] == [{"found": 1}, {"found": 2}]


def test_pages_follow_each_other(auditor: TestClient) -> None:
    whole = auditor.get("/api/v1/audit/entries", params={"installation": False}).json()["items"]
    seen: list[int] = []
    before: int | None = whole[0]["sequence"] + 1
    while before is not None:
        parameters = {"limit": 2, "before": before, "installation": False}
        page = auditor.get("/api/v1/audit/entries", params=parameters).json()
        seen += [item["sequence"] for item in page["items"]]
        before = page["next_before"]
    assert seen == [item["sequence"] for item in whole]
    moment = whole[-1]["occurred_at"]
    assert auditor.get("/api/v1/audit/entries", params={"until": moment, "installation": False}).json()["items"] == []
    assert auditor.get("/api/v1/audit/entries", params={"since": "2026-01-01"}).status_code == 422


def test_proof_holds_and_another_facility_has_none(auditor: TestClient) -> None:
    runtime: Runtime = auditor.app.state.runtime  # type: ignore[attr-defined]
    page = auditor.get("/api/v1/audit/entries", params={"action": "order:create", "installation": False}).json()
    number = page["items"][0]["sequence"]
    early = auditor.get(f"/api/v1/audit/entries/{number}/proof")
    assert early.status_code == 409
    assert early.json()["type"].endswith("audit-not-covered")
    made = checkpoints.make(runtime.database, runtime.keyring, runtime.settings)
    assert made is not None
    answer = auditor.get(f"/api/v1/audit/entries/{number}/proof")
    assert answer.status_code == 200
    key = notes.read_public_key(auditor.get("/.well-known/tamsoat-audit-key").text)
    proof, checkpoint = proofs.check(answer.text, key)
    assert (proof.entry.sequence, checkpoint.size) == (number, made.size)
    assert auditor.get(f"/api/v1/audit/entries/{number + 1}/proof").status_code == 404
    assert auditor.get("/api/v1/audit/entries/999999/proof").status_code == 404
    (listed,) = auditor.get("/api/v1/audit/checkpoints").json()["items"]
    assert listed == made._asdict()


def test_others_are_refused(auditor: TestClient) -> None:
    runtime: Runtime = auditor.app.state.runtime  # type: ignore[attr-defined]
    facility = make_facility(runtime.database, "79003")
    account_id, password = make_account(runtime.database, facility, [Role.PATHOLOGIST])
    sign_in(auditor, runtime.database, account_id, password)
    for path in ("entries", "entries/1/proof", "checkpoints"):
        assert auditor.get(f"/api/v1/audit/{path}").status_code == 403
