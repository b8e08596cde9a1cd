"""One's own account and an administrator's work over HTTP."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from people import actions, change_account, code_of, make_account, make_facility, row_of, sign_in, username_of
from small_service import small_service
from sqlalchemy import update
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import admin_endpoints, endpoints, review
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.tables import Facility
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

ACCOUNTS = "/api/v1/accounts"
NEW = "mèo tím hát ca trù"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path}/service.db"
    return Settings(database_url=url, log_level="warning", password_memory_mib=8, password_passes=1)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with small_service(settings, [endpoints.router, admin_endpoints.router]) as client:
        yield client


@pytest.fixture
def database(client: TestClient) -> Database:
    database: Database = client.app.state.runtime.database  # type: ignore[attr-defined]
    return database


@pytest.fixture
def facility(database: Database) -> str:
    return make_facility(database, "79001", "Bệnh viện Từ Dũ")


@pytest.fixture
def administrator(client: TestClient, database: Database, facility: str) -> str:
    account_id, password = make_account(database, facility, [Role.ADMINISTRATOR], username="admin.one")
    sign_in(client, database, account_id, password)
    return account_id


def slug(response: Any) -> str:
    return str(response.json()["type"]).rsplit(":", 1)[-1]


def create(client: TestClient, username: str, *roles: str) -> dict[str, Any]:
    sent = {"username": username, "display_name": "Trần Văn Bình", "roles": roles or ["pathologist"]}
    response = client.post(ACCOUNTS, json=sent)
    assert response.status_code == 201, response.text
    return dict(response.json())


def enter(client: TestClient, username: str, password: str, code: str = "") -> dict[str, Any]:
    """Sign in, whatever has to be done first."""
    client.headers.pop("X-CSRF-Token", None)
    response = client.post("/api/v1/session", json={"username": username, "password": password, "code": code})
    assert response.status_code == 200, response.text
    client.headers["X-CSRF-Token"] = response.json()["csrf_token"]
    return dict(response.json())


def test_a_new_administrator_chooses_a_password_and_enrols_before_anything_else(
    client: TestClient, administrator: str, database: Database
) -> None:
    made = create(client, "admin.two", "administrator")
    one_time = made["one_time_password"]
    person = enter(client, "admin.two", one_time)
    assert person["pending"] == "change-password"
    refused = client.get(ACCOUNTS)
    assert (refused.status_code, slug(refused)) == (403, "account-setup")
    weak = client.post("/api/v1/account/password", json={"old_password": one_time, "new_password": "admin.two12345"})
    assert (weak.status_code, slug(weak)) == (422, "password-weak")
    before = client.cookies["tamsoat-session"]
    person = client.post("/api/v1/account/password", json={"old_password": one_time, "new_password": NEW}).json()
    client.headers["X-CSRF-Token"] = person["csrf_token"]
    assert client.cookies["tamsoat-session"] != before
    assert person["pending"] == "enrol-second-factor"
    assert slug(client.get(ACCOUNTS)) == "account-setup"
    assert client.post("/api/v1/account/totp", json={"password": "wrong"}).status_code == 403
    enrolment = client.post("/api/v1/account/totp", json={"password": NEW}).json()
    assert enrolment["otpauth_uri"].startswith("otpauth://totp/tamsoat:admin.two?secret=" + enrolment["secret"])
    assert enrolment["qr_svg"].startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    wrong = client.post("/api/v1/account/totp/confirm", json={"code": "000000"})
    assert (wrong.status_code, slug(wrong)) == (409, "code-refused")
    code = pyotp.TOTP(enrolment["secret"]).now()
    confirmed = client.post("/api/v1/account/totp/confirm", json={"code": code}).json()
    client.headers["X-CSRF-Token"] = confirmed["csrf_token"]
    assert len(set(confirmed["recovery_codes"])) == 10
    assert client.get(ACCOUNTS).status_code == 200
    stored = row_of(database, made["account_id"])
    assert (stored.must_change_password, stored.password_expires_at, stored.totp_pending) == (False, None, None)


def test_a_recovery_code_works_once_and_new_ones_replace_the_old(
    client: TestClient, database: Database, facility: str
) -> None:
    account_id, password = make_account(database, facility, second_factor=True)
    name = username_of(database, account_id)
    enter(client, name, password, code_of(database, account_id))
    proof = {"password": password, "code": code_of(database, account_id)}
    codes = client.post("/api/v1/account/totp/recovery-codes", json=proof).json()["recovery_codes"]
    assert enter(client, name, password, codes[0].upper().replace("-", " "))["recovery_codes_left"] == 9
    again = client.post("/api/v1/session", json={"username": name, "password": password, "code": codes[0]})
    assert again.status_code == 401
    proof = {"password": password, "code": codes[1]}
    fresh = client.post("/api/v1/account/totp/recovery-codes", json=proof).json()["recovery_codes"]
    assert not set(fresh) & set(codes)
    old = client.post("/api/v1/session", json={"username": name, "password": password, "code": codes[2]})
    assert old.status_code == 401


def test_changing_the_password_signs_out_everywhere_else(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility)
    elsewhere = enter(client, username_of(database, account_id), password)
    cookie = client.cookies["tamsoat-session"]
    client.cookies.clear()
    enter(client, username_of(database, account_id), password)
    wrong = client.post("/api/v1/account/password", json={"old_password": "wrong", "new_password": NEW})
    assert (wrong.status_code, slug(wrong)) == (403, "reauthentication-failed")
    same = client.post("/api/v1/account/password", json={"old_password": password, "new_password": password})
    assert (same.status_code, slug(same)) == (422, "password-weak")
    assert client.post("/api/v1/account/password", json={"old_password": password, "new_password": NEW}).is_success
    assert client.get("/api/v1/session").status_code == 200
    client.cookies.clear()
    headers = {"Cookie": f"tamsoat-session={cookie}", "X-CSRF-Token": elsewhere["csrf_token"]}
    assert client.get("/api/v1/session", headers=headers).status_code == 401


def test_sign_out_everywhere(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility)
    enter(client, username_of(database, account_id), password)
    first = client.cookies["tamsoat-session"]
    client.cookies.clear()
    enter(client, username_of(database, account_id), password)
    assert client.delete("/api/v1/account/sessions").status_code == 204
    client.cookies.clear()
    assert client.get("/api/v1/session", headers={"Cookie": f"tamsoat-session={first}"}).status_code == 401


def test_accounts_are_listed_by_name_filtered_and_paged(client: TestClient, administrator: str) -> None:
    for number in range(3):
        create(client, f"path{number}", "pathologist")
    create(client, "aud", "auditor", "researcher")
    names = [item["username"] for item in client.get(ACCOUNTS).json()["items"]]
    assert names == ["admin.one", "aud", "path0", "path1", "path2"]
    page = client.get(ACCOUNTS, params={"limit": 2, "after": "admin.one"}).json()
    assert ([item["username"] for item in page["items"]], page["next_after"]) == (["aud", "path0"], "path0")
    assert client.get(ACCOUNTS, params={"limit": 2, "after": "path0"}).json()["next_after"] is None
    assert len(client.get(ACCOUNTS, params={"role": "researcher"}).json()["items"]) == 1
    assert len(client.get(ACCOUNTS, params={"username": "PATH"}).json()["items"]) == 3
    assert client.get(ACCOUNTS, params={"username": "%"}).json()["items"] == []
    assert client.get(ACCOUNTS, params={"username": "\x00"}).status_code == 422
    assert client.get(ACCOUNTS, params={"status": "disabled"}).json()["items"] == []


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"username": "a", "display_name": "x", "roles": ["auditor"]}, "account-invalid"),
        ({"username": "Bình Trần", "display_name": "x", "roles": ["auditor"]}, "account-invalid"),
        ({"username": "binh.tran", "display_name": " ", "roles": ["auditor"]}, "account-invalid"),
        ({"username": "binh.tran", "display_name": "a\u202eb", "roles": ["auditor"]}, "account-invalid"),
        ({"username": "binh.tran", "display_name": "x", "roles": []}, "account-invalid"),
        ({"username": "binh.tran", "display_name": "x", "roles": ["integrator"]}, "account-invalid"),
        ({"username": "binh.tran", "display_name": "x", "roles": ["root"]}, "request-invalid"),
        ({"username": "ADMIN.one", "display_name": "x", "roles": ["auditor"]}, "name-taken"),
        ({"username": "binh.tran", "display_name": "a\x00b", "roles": ["auditor"]}, "request-invalid"),
        ({"username": "binh.tran", "display_name": "a\ud800", "roles": ["auditor"]}, "request-invalid"),
        (
            {"username": "binh.tran", "display_name": "x", "roles": ["auditor"], "facility_id": "local"},
            "request-invalid",
        ),
    ],
)
def test_accounts_that_cannot_be_made(
    client: TestClient, administrator: str, sent: dict[str, Any], problem: str
) -> None:
    body = json.dumps(sent).encode("ascii")
    assert slug(client.post(ACCOUNTS, content=body, headers={"content-type": "application/json"})) == problem


def test_another_facilitys_accounts_do_not_exist(client: TestClient, database: Database, administrator: str) -> None:
    stranger, _ = make_account(database, make_facility(database, "79002"), username="stranger")
    assert "stranger" not in client.get(ACCOUNTS).text
    assert "stranger" not in client.get("/api/v1/access-review").text
    answers = [
        client.get(f"{ACCOUNTS}/{stranger}"),
        client.patch(f"{ACCOUNTS}/{stranger}", json={"roles": ["auditor"]}),
    ]
    verbs = ("disable", "enable", "unlock", "sign-out", "reset-password", "reset-totp")
    answers += [client.post(f"{ACCOUNTS}/{stranger}/{verb}") for verb in verbs]
    assert {(answer.status_code, slug(answer)) for answer in answers} == {(404, "account-not-found")}
    assert row_of(database, stranger).status == "active"


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.ADMINISTRATOR, Role.INTEGRATOR)])
def test_only_administrators_administer(client: TestClient, database: Database, facility: str, role: Role) -> None:
    sign_in(client, database, *make_account(database, facility, [role]))
    answers = [client.get(ACCOUNTS), client.post(ACCOUNTS, json={}), client.get("/api/v1/access-review")]
    assert {answer.status_code for answer in answers} == {403}


def test_the_last_administrator_stays(client: TestClient, database: Database, administrator: str) -> None:
    for answer in (
        client.post(f"{ACCOUNTS}/{administrator}/disable"),
        client.patch(f"{ACCOUNTS}/{administrator}", json={"roles": ["pathologist"]}),
    ):
        assert (answer.status_code, slug(answer)) == (409, "last-administrator")
    second = create(client, "admin.two", "administrator")["account_id"]
    assert client.post(f"{ACCOUNTS}/{second}/disable").json()["status"] == "disabled"
    assert client.post(f"{ACCOUNTS}/{administrator}/disable").status_code == 409
    assert client.post(f"{ACCOUNTS}/{second}/enable").json()["status"] == "active"
    assert client.post(f"{ACCOUNTS}/{administrator}/disable").status_code == 200
    assert client.get("/api/v1/session").status_code == 401


def test_changes_count_from_the_next_request(client: TestClient, database: Database, administrator: str) -> None:
    facility = row_of(database, administrator).facility_id
    account_id, password = make_account(database, facility, [Role.RESEARCHER])
    admin_cookie, admin_token = client.cookies["tamsoat-session"], client.headers["X-CSRF-Token"]
    client.cookies.clear()
    sign_in(client, database, account_id, password)
    person = {"Cookie": f"tamsoat-session={client.cookies['tamsoat-session']}"}
    client.cookies.clear()
    admin = {"Cookie": f"tamsoat-session={admin_cookie}", "X-CSRF-Token": admin_token}
    assert client.get("/api/v1/session", headers=person).json()["roles"] == ["researcher"]
    sent = {"roles": ["auditor", "researcher"], "display_name": "Lê  Hoàng"}
    changed = client.patch(f"{ACCOUNTS}/{account_id}", json=sent, headers=admin).json()
    assert (changed["roles"], changed["display_name"]) == (["auditor", "researcher"], "Lê Hoàng")
    assert client.get("/api/v1/session", headers=person).json()["roles"] == ["auditor", "researcher"]
    reset = client.post(f"{ACCOUNTS}/{account_id}/reset-password", headers=admin).json()
    assert client.get("/api/v1/session", headers=person).status_code == 401
    entered = enter(client, username_of(database, account_id), reset["one_time_password"])
    assert entered["pending"] == "change-password"


def test_a_lost_telephone_and_a_locked_account(client: TestClient, database: Database, administrator: str) -> None:
    facility = row_of(database, administrator).facility_id
    account_id, _ = make_account(database, facility, second_factor=True)
    change_account(database, account_id, locked_until=datetime.now(UTC) + timedelta(hours=1), failed_attempts=9)
    assert client.get(f"{ACCOUNTS}/{account_id}").json()["locked_until"] is not None
    assert client.post(f"{ACCOUNTS}/{account_id}/unlock").json()["locked_until"] is None
    assert client.post(f"{ACCOUNTS}/{account_id}/reset-totp").json()["second_factor"] == "none"
    assert row_of(database, account_id).totp_secret is None


def test_the_first_account_ends_work_without_sign_in_and_must_be_an_administrator(
    client: TestClient, database: Database
) -> None:
    assert client.get("/api/v1/session").json()["kind"] == "local"
    assert slug(client.post("/api/v1/account/totp", json={"password": "x"})) == "no-account"
    sent = {"username": "first.one", "display_name": "Ai", "roles": ["pathologist"]}
    assert slug(client.post(ACCOUNTS, json=sent)) == "first-account"
    made = create(client, "first.one", "administrator", "pathologist")
    assert client.get("/api/v1/session").status_code == 401
    assert client.get(ACCOUNTS).status_code == 401
    assert enter(client, "first.one", made["one_time_password"])["facility_id"] == "local"


def test_over_https_everybody_needs_a_second_factor(settings: Settings) -> None:
    secure = settings.model_copy(update={"public_url": "https://tamsoat.hospital.example"})
    with small_service(secure, [endpoints.router, admin_endpoints.router]) as client:
        client.base_url = "https://tamsoat.hospital.example"  # type: ignore[assignment]
        database = client.app.state.runtime.database  # type: ignore[attr-defined]
        account_id, password = make_account(database, make_facility(database, "79001"))
        assert enter(client, username_of(database, account_id), password)["pending"] == "enrol-second-factor"
        assert client.get("/api/v1/session", headers={"Host": "127.0.0.1"}).status_code == 200


def test_the_access_review_is_a_safe_file_and_its_date_is_kept(
    client: TestClient, database: Database, administrator: str, settings: Settings
) -> None:
    facility = row_of(database, administrator).facility_id
    for number, name in enumerate(("=HYPERLINK(1)", "+84", "-1", "@x", "＝1", "ok=1")):
        make_account(database, facility, username=f"user{number}", display_name=name)
    response = client.get("/api/v1/access-review")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert [row["name"] for row in rows[1:]] == ["'=HYPERLINK(1)", "'+84", "'-1", "'@x", "'＝1", "ok=1"]
    assert rows[0]["roles_or_scopes"] == "administrator"
    assert (rows[0]["second_factor"], rows[1]["second_factor"]) == ("enrolled", "none")
    with database.read() as session:
        assert review.state(session, settings, facility).done_at is None
    with database.write() as session:
        session.execute(update(Facility).values(created_at=datetime.now(UTC) - timedelta(days=183)))
    with database.read() as session:
        assert review.state(session, settings, facility).overdue
    assert client.post("/api/v1/access-review").json()["overdue"] is False
    with database.read() as session:
        assert not review.state(session, settings, facility).overdue
    assert [name for name, _ in actions(database)][-2:] == ["access:review", "access:review"]
