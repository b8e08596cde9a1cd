"""HTTP of signing in and of one's own account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from tamsoat.inference_service.accounts import my_account, passwords, sessions, sign_in
from tamsoat.inference_service.accounts.access import (
    EVERYONE,
    AccountSetupError,
    ForbiddenError,
    NotSignedInError,
    Principal,
    allow,
    public,
)
from tamsoat.inference_service.accounts.lockout import TooManySignInsError
from tamsoat.inference_service.accounts.schemas import (
    CodeOnly,
    Enrolment,
    PasswordChange,
    Proof,
    RecoveryCodes,
    SessionAnswer,
    SignInRequest,
)
from tamsoat.inference_service.db.session import DatabaseUnavailableError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe

router = APIRouter(prefix="/api/v1", tags=["accounts"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Person = Annotated[Principal, allow(*EVERYONE, during_setup=True)]
"""Anyone signed in, also before the password is chosen and the second factor enrolled."""
Ready = Annotated[Principal, allow(*EVERYONE)]
_COMMON = (NotSignedInError, ForbiddenError, sessions.CsrfError, DatabaseUnavailableError)
_PROVING = (
    *_COMMON,
    my_account.NoAccountError,
    sign_in.ReauthenticationFailedError,
    TooManySignInsError,
    passwords.SignInBusyError,
    InvalidRequestError,
)


@router.post(
    "/session",
    summary="Sign in",
    dependencies=[public("signing in")],
    responses={
        **describe(
            sign_in.SignInFailedError,
            sign_in.SecondFactorRequiredError,
            sign_in.PasswordsOffError,
            TooManySignInsError,
            passwords.SignInBusyError,
            InvalidRequestError,
            DatabaseUnavailableError,
        )
    },
)
def create_session(request: Request, response: Response, runtime: RuntimeDep, sent: SignInRequest) -> SessionAnswer:
    """Start a session: the answer sets its cookie. Send `code` too once the answer is `second-factor-required`.

    A wrong name, password or code, a locked and a disabled account are answered alike.
    """
    if not runtime.settings.local_passwords:
        raise sign_in.PasswordsOffError("passwords are not used here: sign in at /oidc/sign-in")
    attempt = sign_in.Attempt(sent.password, sent.code, address_of(request), username=sent.username)
    presented = request.cookies.get(sessions.cookie_name(runtime.settings))
    signed_in = sign_in.sign_in(runtime.database, runtime.settings, attempt, presented)
    return _hand_over(response, runtime, signed_in.token)


@router.get("/session", summary="Who is signed in?", responses={**describe(*_COMMON)})
def read_session(request: Request, runtime: RuntimeDep, principal: Person) -> SessionAnswer:
    """The person behind the cookie, what they may do, and what they have to do first."""
    live = sessions.live_session(request)
    return my_account.describe_session(runtime, principal, live)


@router.delete("/session", status_code=204, summary="Sign out", responses={**describe(*_COMMON)})
def delete_session(request: Request, response: Response, runtime: RuntimeDep, principal: Person) -> None:
    """End this session and take its cookie back."""
    live = sessions.live_session(request)
    if live is not None:
        my_account.sign_out(runtime.database, live)
    sessions.clear_cookie(response, runtime.settings)


@router.delete(
    "/account/sessions",
    status_code=204,
    summary="Sign out everywhere",
    responses={**describe(*_COMMON, my_account.NoAccountError)},
)
def delete_sessions(response: Response, runtime: RuntimeDep, principal: Person) -> None:
    """End every session of the own account, this one included."""
    my_account.sign_out_everywhere(runtime.database, my_account.account_id_of(principal))
    sessions.clear_cookie(response, runtime.settings)


@router.post(
    "/account/password",
    summary="Change the own password",
    responses={**describe(*_PROVING, passwords.WeakPasswordError)},
)
def change_password(
    request: Request, response: Response, runtime: RuntimeDep, principal: Person, sent: PasswordChange
) -> SessionAnswer:
    """Set another password. Every session of the account ends; the answer sets the cookie of a new one."""
    account_id = my_account.account_id_of(principal)
    signed_in = sign_in.change_password(
        runtime.database, runtime.settings, account_id, sent.old_password, sent.new_password, address_of(request)
    )
    return _hand_over(response, runtime, signed_in.token)


@router.post("/account/totp", summary="Begin to enrol a second factor", responses={**describe(*_PROVING)})
def begin_totp(request: Request, runtime: RuntimeDep, principal: Person, sent: Proof) -> Enrolment:
    """A new secret for an authenticator application. The old one, if any, counts until the new one is confirmed."""
    account_id = my_account.account_id_of(principal)
    sign_in.reauthenticate(
        runtime.database, runtime.settings, account_id, sent.password, sent.code, address_of(request)
    )
    return my_account.begin_enrolment(runtime.database, account_id)


@router.post(
    "/account/totp/confirm",
    summary="Confirm the second factor",
    responses={**describe(*_COMMON, my_account.NoAccountError, my_account.CodeRefusedError, InvalidRequestError)},
)
def confirm_totp(response: Response, runtime: RuntimeDep, principal: Person, sent: CodeOnly) -> RecoveryCodes:
    """Send a code of the application: from now on the second factor is asked for. Ten recovery codes, shown once.

    Every session of the account ends; the answer sets the cookie of a new one.
    """
    account_id = my_account.account_id_of(principal)
    token, codes = my_account.confirm_enrolment(runtime.database, runtime.settings, account_id, sent.code)
    sessions.set_cookie(response, runtime.settings, token)
    return RecoveryCodes(recovery_codes=codes, csrf_token=sessions.csrf_token(token))


@router.post(
    "/account/totp/recovery-codes",
    summary="New recovery codes",
    responses={**describe(*_PROVING, AccountSetupError)},
)
def renew_recovery_codes(request: Request, runtime: RuntimeDep, principal: Ready, sent: Proof) -> RecoveryCodes:
    """Ten new codes; the old ones are no longer accepted."""
    account_id = my_account.account_id_of(principal)
    sign_in.reauthenticate(
        runtime.database, runtime.settings, account_id, sent.password, sent.code, address_of(request)
    )
    return RecoveryCodes(recovery_codes=my_account.renew_recovery_codes(runtime.database, account_id), csrf_token=None)


def address_of(request: Request) -> str:
    """The network address that the request came from; a trusted proxy's header has been applied by the server."""
    return request.client.host if request.client else ""


def _hand_over(response: Response, runtime: Runtime, token: str) -> SessionAnswer:
    sessions.set_cookie(response, runtime.settings, token)
    principal, live = sessions.read_session(runtime, token)
    return my_account.describe_session(runtime, principal, live)
