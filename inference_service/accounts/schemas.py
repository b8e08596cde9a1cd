"""What goes over the wire about sign-in and accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from tamsoat.inference_service.accounts.access import Pending, Role
from tamsoat.inference_service.accounts.sessions import needs_second_factor
from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.settings import Settings

Password = Annotated[str, Field(max_length=1024, description="Password")]
Code = Annotated[
    str, Field(max_length=64, description="Six digits of the authenticator application, or a recovery code")
]


class SignInRequest(BaseModel):
    """Name and password, and the code where the account has a second factor."""

    username: str = Field(max_length=256, description="Sign-in name", examples=["lan.nguyen"])
    password: Password
    code: Code = ""


class SessionAnswer(BaseModel):
    """Who is signed in."""

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

    old_password: Password
    new_password: Password


class Proof(BaseModel):
    """The password once more, and the code where a second factor is enrolled."""

    password: Password
    code: Code = ""


class CodeOnly(BaseModel):
    """A code of the authenticator application that is being enrolled."""

    code: Code


class Enrolment(BaseModel):
    """What an authenticator application needs; shown once."""

    secret: str = Field(description="Base32, to type where no camera is at hand")
    otpauth_uri: str
    qr_svg: str = Field(description="The same as a QR code, SVG")


class RecoveryCodes(BaseModel):
    """Each replaces the second factor once; shown once."""

    recovery_codes: list[str]
    csrf_token: str | None = Field(description="Of the new session that takes the place of the old one")


class NewAccount(BaseModel):
    """A person of the administrator's own facility."""

    username: str = Field(
        max_length=64, description="Sign-in name: 3 to 64 of a-z, digits, . _ @ -", examples=["lan.nguyen"]
    )
    display_name: str = Field(max_length=200, description="The person's name", examples=["Nguyễn Thị Lan"])
    roles: list[Role] = Field(max_length=6, examples=[["pathologist"]])


class AccountChange(BaseModel):
    """What to change; what is absent stays."""

    display_name: str | None = Field(None, max_length=200)
    roles: list[Role] | None = Field(None, max_length=6)


class AccountAnswer(BaseModel):
    """One account, as an administrator sees it."""

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

    one_time_password: str | None = Field(description="Shown once; has to be changed at the first sign-in")


class AccountPage(BaseModel):
    """Accounts by sign-in name."""

    items: list[AccountAnswer]
    next_after: str | None = Field(description="Pass as `after` for the next page; null on the last one")


class ReviewAnswer(BaseModel):
    """When the facility's accounts were last reviewed."""

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
