"""What goes over the wire about sign-in and accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.accounts.access import Pending, Role
from tamsoat.inference_service.accounts.sessions import needs_second_factor
from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport.text import Text

Password = Annotated[Text, Field(max_length=1024, description="Password")]
Code = Annotated[
    Text, Field(max_length=64, description="Six digits of the authenticator application, or a recovery code")
]


PERSON_EXAMPLE: dict[str, Any] = {
    "account_id": "5b0c2f0e-3d3c-4f7e-9a43-5d1c9d8f2b11",
    "username": "lan.nguyen",
    "display_name": "Nguyễn Thị Lan",
    "roles": ["pathologist"],
}
SESSION_EXAMPLE: dict[str, Any] = {
    "kind": "account",
    **PERSON_EXAMPLE,
    "facility_id": "8d8f8a6e-6a0b-4a53-9d6a-0b1f3c5a7e21",
    "facility_name": "Bệnh viện Từ Dũ",
    "pending": None,
    "second_factor": True,
    "recovery_codes_left": 10,
    "csrf_token": "Qiw1tlRxPuzD_XLptD6oDOjL5-5eQFnKGGtHiFvzN3s",
    "expires_at": "2026-11-23T05:10:33Z",
}
ACCOUNT_EXAMPLE: dict[str, Any] = {
    **PERSON_EXAMPLE,
    "status": "active",
    "disabled_reason": None,
    "locked_until": None,
    "second_factor": "enrolled",
    "must_change_password": False,
    "created_at": "2026-11-02T01:30:00Z",
    "last_active_at": "2026-11-22T17:10:33Z",
}
SECRET_EXAMPLE = "KDKXAWBVAFTYS7V4XDB67FLGJII5AAUF2"  # noqa: S105 - an example


def _example(example: dict[str, Any], *, strict: bool = False) -> ConfigDict:
    """An example for the OpenAPI document; ``strict`` refuses unknown members of a request."""
    config = ConfigDict(json_schema_extra={"examples": [example]})
    if strict:
        config["extra"] = "forbid"
    return config


class SignInRequest(BaseModel):
    """Name and password, and the code where the account has a second factor."""

    model_config = _example(
        {"username": "lan.nguyen", "password": "con mèo ngồi hát ca trù", "code": "492039"}, strict=True
    )

    username: Text = Field(max_length=256, description="Sign-in name", examples=["lan.nguyen"])
    password: Password
    code: Code = ""


class SessionAnswer(BaseModel):
    """Who is signed in."""

    model_config = _example(SESSION_EXAMPLE)

    kind: Literal["account", "local"] = Field(description="`local`: this machine works without sign-in so far")
    account_id: str | None = Field(description="null without sign-in")
    username: str | None
    display_name: str | None
    facility_id: str
    facility_name: str
    roles: list[Role]
    pending: Pending | None = Field(description="What has to be done before anything else works")
    second_factor: bool = Field(description="Whether a second factor is enrolled")
    recovery_codes_left: int
    csrf_token: str | None = Field(description="Send it as `X-CSRF-Token` with every change made with the cookie")
    expires_at: datetime | None = Field(description="When the session ends at the latest")


class PasswordChange(BaseModel):
    """The old password proves who asks."""

    model_config = _example(
        {"old_password": "k7w2x-9fhqa-ubn3e-z5mtd", "new_password": "con mèo ngồi hát ca trù"}, strict=True
    )

    old_password: Password
    new_password: Password


class Proof(BaseModel):
    """The password once more, and the code where a second factor is enrolled."""

    model_config = _example({"password": "con mèo ngồi hát ca trù", "code": "492039"}, strict=True)

    password: Password
    code: Code = ""


class CodeOnly(BaseModel):
    """A code of the authenticator application that is being enrolled."""

    model_config = _example({"code": "492039"}, strict=True)

    code: Code


class Enrolment(BaseModel):
    """What an authenticator application needs; shown once."""

    model_config = _example(
        {
            "secret": SECRET_EXAMPLE,
            "otpauth_uri": f"otpauth://totp/tamsoat:lan.nguyen?secret={SECRET_EXAMPLE}&issuer=tamsoat",
            "qr_svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        }
    )

    secret: str = Field(description="Base32, to type where no camera is at hand")
    otpauth_uri: str
    qr_svg: str = Field(description="The same as a QR code, SVG")


class RecoveryCodes(BaseModel):
    """Each replaces the second factor once; shown once."""

    model_config = _example({"recovery_codes": ["fqcdb-nu4hy-rupfc"], "csrf_token": None})

    recovery_codes: list[str]
    csrf_token: str | None = Field(description="Of the new session that takes the place of the old one")


class NewAccount(BaseModel):
    """A person of the administrator's own facility."""

    model_config = _example({key: PERSON_EXAMPLE[key] for key in ("username", "display_name", "roles")}, strict=True)

    username: Text = Field(
        max_length=64, description="Sign-in name: 3 to 64 of a-z, digits, . _ @ -", examples=["lan.nguyen"]
    )
    display_name: Text = Field(max_length=200, description="The person's name", examples=["Nguyễn Thị Lan"])
    roles: list[Role] = Field(max_length=6, examples=[["pathologist"]])


class AccountChange(BaseModel):
    """What to change; what is absent stays."""

    model_config = _example({"roles": ["cytotechnologist", "researcher"]}, strict=True)

    display_name: Text | None = Field(None, max_length=200)
    roles: list[Role] | None = Field(None, max_length=6)


class AccountAnswer(BaseModel):
    """One account, as an administrator sees it."""

    model_config = _example(ACCOUNT_EXAMPLE)

    account_id: str
    username: str
    display_name: str
    roles: list[Role]
    status: Literal["active", "disabled"]
    disabled_reason: Literal["administrator", "idle"] | None
    locked_until: datetime | None
    second_factor: Literal["enrolled", "required", "none", "provider"] = Field(
        description="`required`: must be enrolled at the next sign-in; `provider`: the hospital's identity provider"
    )
    must_change_password: bool
    created_at: datetime
    last_active_at: datetime | None


class CreatedAccount(AccountAnswer):
    """A new account or one with a new password."""

    model_config = _example({**ACCOUNT_EXAMPLE, "one_time_password": "k7w2x-9fhqa-ubn3e-z5mtd"})

    one_time_password: str | None = Field(description="Shown once; has to be changed at the first sign-in")


class AccountPage(BaseModel):
    """Accounts by sign-in name."""

    model_config = _example({"items": [ACCOUNT_EXAMPLE], "next_after": None})

    items: list[AccountAnswer]
    next_after: str | None = Field(description="Pass as `after` for the next page; null on the last one")


class ReviewAnswer(BaseModel):
    """When the facility's accounts were last reviewed."""

    model_config = _example({"done_at": "2026-11-22T17:10:33Z", "due_at": "2027-05-23T17:10:33Z", "overdue": False})

    done_at: datetime | None
    due_at: datetime
    overdue: bool


def second_factor_state(account: Account, settings: Settings) -> Literal["enrolled", "required", "none", "provider"]:
    """Whether a second factor protects the account."""
    if account.totp_secret is not None:
        return "enrolled"
    if account.password_hash is None and account.external_subject is not None:
        return "provider"
    return "required" if needs_second_factor({row.role for row in account.role_rows}, settings) else "none"


def describe_account(account: Account, settings: Settings) -> AccountAnswer:
    """The account without its secrets."""
    return AccountAnswer.model_validate(
        {
            "account_id": account.id,
            "username": account.username,
            "display_name": account.display_name,
            "roles": sorted(row.role for row in account.role_rows),
            "status": account.status,
            "disabled_reason": account.disabled_reason,
            "locked_until": account.locked_until,
            "second_factor": second_factor_state(account, settings),
            "must_change_password": account.must_change_password,
            "created_at": account.created_at,
            "last_active_at": account.last_active_at,
        }
    )
