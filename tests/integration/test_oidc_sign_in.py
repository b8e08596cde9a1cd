"""Sign-in at a real OpenID provider on loopback: there, back, linked, out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from openid_provider import SECRET, running_provider, sign_in_there
from people import make_account, make_facility
from small_service import small_service
from sqlalchemy import select
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import repository
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

BACK = "http://127.0.0.1/oidc/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider(BACK, "http://127.0.0.1/sign-in") as issuer:
        yield issuer


@contextmanager
def serving(folder: Path, issuer: str, **changes: object) -> Iterator[TestClient]:
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    settings = Settings(
        database_url=f"sqlite:///{folder}/oidc.db", log_level="error", oidc_issuer=issuer, oidc_client_id="tamsoat",
        oidc_client_secret_file=secret, password_memory_mib=8, password_passes=1,
    )  # fmt: skip
    with small_service(settings.model_copy(update=changes)) as http:
        yield http


def database_of(http: TestClient) -> Database:
    database: Database = http.app.state.runtime.database  # type: ignore[attr-defined]
    return database


def sign_in(http: TestClient, name: str, target: str = "/account") -> str:
    """Sign in with a browser; where it ends up."""
    begun = http.get("/oidc/sign-in", params={"next": target}, follow_redirects=False)
    assert begun.status_code == 303
    back = sign_in_there(begun.headers["location"], name, BACK)
    done = http.get(back, follow_redirects=False)
    assert done.status_code == 303, done.text
    return str(done.headers["location"])


def last_events(database: Database, count: int) -> list[tuple[str, str | None]]:
    with database.read() as session:
        rows = session.execute(select(AuditEntry.action, AuditEntry.details).order_by(AuditEntry.sequence.desc()))
        return [(row.action, row.details) for row in rows.fetchmany(count)][::-1]


def test_there_and_back_and_out(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer) as http:
        database = database_of(http)
        facility = make_facility(database, "79001")
        account_id, _ = make_account(database, facility, [Role.PATHOLOGIST], username="lan.nguyen")
        begun = http.get("/oidc/sign-in?next=/account", follow_redirects=False)
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["response_type"] == ["code"]
        assert {"state", "nonce", "code_challenge"} <= set(asked)
        cookie = begun.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert asked["state"][0] not in cookie
        back = sign_in_there(begun.headers["location"], "lan.nguyen", BACK)
        done = http.get(back, follow_redirects=False)
        assert (done.status_code, done.headers["location"]) == (303, "/account")
        person = http.get("/api/v1/session").json()
        assert (person["account_id"], person["roles"], person["pending"]) == (account_id, ["pathologist"], None)
        assert last_events(database, 2) == [
            ("account:update", '{"linked":true}'), ("account:sign-in", '{"method":"oidc"}')
        ]  # fmt: skip
        assert http.get(back, follow_redirects=False).headers["location"] == "/sign-in?problem=oidc-refused"
        gone = http.delete("/api/v1/session", headers={"X-CSRF-Token": person["csrf_token"]})
        assert gone.status_code == 204
        out = http.get("/oidc/sign-out", follow_redirects=False)
        assert out.headers["location"].startswith(f"{issuer}/session/end?")
        hints = parse_qs(urlsplit(out.headers["location"]).query)
        assert hints["post_logout_redirect_uri"] == ["http://127.0.0.1/sign-in"]
        assert hints["id_token_hint"][0].count(".") == 2
        assert http.get("/oidc/sign-out", follow_redirects=False).headers["location"] == "/sign-in"
        assert sign_in(http, "lan.nguyen") == "/account"  # linked by issuer and subject now
        assert last_events(database, 1) == [("account:sign-in", '{"method":"oidc"}')]


def test_nobody_gets_an_account_or_a_role_from_the_provider(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer) as http:
        database = database_of(http)
        facility = make_facility(database, "79001")
        make_account(database, facility, username="somebody")
        assert sign_in(http, "a.stranger") == "/sign-in?problem=oidc-no-account"
        assert last_events(database, 1) == [("account:sign-in-fail", '{"method":"oidc","reason":"unknown"}')]
        account_id, _ = make_account(database, facility, username="left.us")
        with database.write() as session:
            account = repository.by_id(session, account_id)
            assert account is not None
            account.status = "disabled"
        assert sign_in(http, "left.us") == "/sign-in?problem=oidc-no-account"
        assert http.get("/api/v1/session").status_code == 401


def test_a_linked_account_is_not_taken_over_by_the_same_name(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer) as http:
        database = database_of(http)
        account_id, _ = make_account(database, make_facility(database, "79001"), username="lan.nguyen")
        with database.write() as session:
            account = repository.by_id(session, account_id)
            assert account is not None
            account.external_issuer, account.external_subject = "https://former.example", "7"
        assert sign_in(http, "lan.nguyen") == "/sign-in?problem=oidc-no-account"


def test_names_are_not_matched_where_the_settings_say_so(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer, oidc_username_claim="") as http:
        database = database_of(http)
        make_account(database, make_facility(database, "79001"), username="lan.nguyen")
        assert sign_in(http, "lan.nguyen") == "/sign-in?problem=oidc-no-account"


def test_another_browser_cannot_finish_a_sign_in(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer) as http:
        database = database_of(http)
        make_account(database, make_facility(database, "79001"), username="mallory")
        begun = http.get("/oidc/sign-in", follow_redirects=False)
        back = sign_in_there(begun.headers["location"], "mallory", BACK)
        refused = "/sign-in?problem=oidc-refused"
        victim = TestClient(http.app, base_url="http://127.0.0.1")
        assert victim.get(back, follow_redirects=False).headers["location"] == refused  # no cookie: not begun here
        victim.get("/oidc/sign-in", follow_redirects=False)
        assert victim.get(back, follow_redirects=False).headers["location"] == refused  # another state
        assert victim.get("/api/v1/session").status_code == 401


def test_targets_stay_on_this_service(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer) as http:
        database = database_of(http)
        make_account(database, make_facility(database, "79001"), username="lan.nguyen")
        for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "/sign-in"):
            assert sign_in(http, "lan.nguyen", target) == "/"


def test_passwords_can_be_switched_off(issuer: str, tmp_path: Path) -> None:
    with serving(tmp_path, issuer, local_passwords=False) as http:
        database = database_of(http)
        account_id, password = make_account(database, make_facility(database, "79001"), username="lan.nguyen")
        answer = http.post("/api/v1/session", json={"username": "lan.nguyen", "password": password})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:tamsoat:problem:passwords-off")
        assert sign_in(http, "lan.nguyen") == "/account"
        assert http.get("/api/v1/session").json()["account_id"] == account_id
