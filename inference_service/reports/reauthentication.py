"""Who signs proves once more who they are, in the same request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tamsoat.inference_service.accounts import my_account, repository, sign_in
from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime

Means = Literal["password", "password-and-code", "none"]
"""What a signature asks for; ``none``: this person cannot sign here."""


class NoPasswordError(TamsoatError):
    """The account has no password here: the person signs in at the hospital's identity provider only."""

    status = 403
    title = "No password to sign with"
    slug = "sign-needs-password"


@dataclass(frozen=True, repr=False)
class Proof:
    """What was entered, and from where."""

    password: str
    code: str
    address: str


def means_of(runtime: Runtime, principal: Principal) -> Means:
    """What the page has to ask for before this person can sign."""
    if principal.kind != "account":
        return "none"
    with runtime.database.read() as session:
        account = repository.by_id(session, my_account.account_id_of(principal))
        if account is None or account.password_hash is None or not runtime.settings.local_passwords:
            return "none"
        return "password-and-code" if account.totp_secret is not None else "password"


def confirm(runtime: Runtime, principal: Principal, proof: Proof) -> str:
    """Check password and code as at sign-in, lock-out included; returns the second factor that was used.

    Raises:
        NoAccountError: work without sign-in.
        NoPasswordError: the account has no password, or passwords are switched off.
        ReauthenticationFailedError, TooManySignInsError, SignInBusyError: not accepted.
    """
    account_id = my_account.account_id_of(principal)
    if means_of(runtime, principal) == "none":
        raise NoPasswordError(
            "you sign in at the hospital's identity provider and have no password here: a signature needs one; "
            "an administrator of your facility can give you a password in addition"
        )
    return sign_in.reauthenticate(
        runtime.database, runtime.settings, account_id, proof.password, proof.code, proof.address
    )
