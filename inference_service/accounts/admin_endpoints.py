"""HTTP of an administrator: the accounts of the own facility, and the access review."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tamsoat.inference_service.accounts import administration, repository, review, service, sessions
from tamsoat.inference_service.accounts.access import (
    AccountSetupError,
    ForbiddenError,
    NotSignedInError,
    Principal,
    Role,
    allow,
)
from tamsoat.inference_service.accounts.administration import Administrator
from tamsoat.inference_service.accounts.schemas import (
    AccountAnswer,
    AccountChange,
    AccountPage,
    CreatedAccount,
    NewAccount,
    ReviewAnswer,
    describe_account,
)
from tamsoat.inference_service.db.session import DatabaseUnavailableError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text

PAGE_DEFAULT, PAGE_MOST = 50, 200

router = APIRouter(prefix="/api/v1", tags=["accounts"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Admin = Annotated[Principal, allow(Role.ADMINISTRATOR)]
AccountId = Annotated[Text, Path(max_length=64, description="From the list of accounts")]
_COMMON = (
    NotSignedInError,
    ForbiddenError,
    AccountSetupError,
    sessions.CsrfError,
    InvalidRequestError,
    DatabaseUnavailableError,
)
_ONE = {**describe(*_COMMON, service.AccountNotFoundError)}
_GUARDED = {**describe(*_COMMON, service.AccountNotFoundError, service.LastAdministratorError)}


def _who(principal: Principal) -> Administrator:
    return Administrator(principal.actor, principal.facility_id)


@router.get("/accounts", summary="List accounts by sign-in name", responses={**describe(*_COMMON)})
def list_accounts(
    runtime: RuntimeDep,
    principal: Admin,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")] = PAGE_DEFAULT,
    after: Annotated[Text, Query(max_length=64, description="`next_after` of the page before")] = "",
    username: Annotated[Text, Query(max_length=64, description="Part of the sign-in name")] = "",
    role: Annotated[Role | None, Query(description="Only those with this role")] = None,
    status: Annotated[Literal["active", "disabled"] | None, Query(description="Only those in this state")] = None,
) -> AccountPage:
    """The accounts of the administrator's own facility that fit every filter."""
    with runtime.database.read() as session:
        rows = repository.page(
            session,
            principal.facility_id,
            limit=limit + 1,
            after=after,
            role=role,
            status=status,
            username=username.strip().lower(),
        )
        items = [describe_account(row, runtime.settings) for row in rows[:limit]]
    return AccountPage(items=items, next_after=items[-1].username if len(rows) > limit else None)


@router.post(
    "/accounts",
    status_code=201,
    summary="Create an account",
    responses={**describe(*_COMMON, service.NameTakenError, service.AccountInvalidError, service.FirstAccountError)},
)
def create_account(runtime: RuntimeDep, principal: Admin, response: Response, sent: NewAccount) -> CreatedAccount:
    """A new account with a one-time password, which is shown in this answer only.

    On a machine that works without sign-in so far, the first account must be an administrator: from then on everyone
    signs in.
    """
    if principal.kind == "local" and Role.ADMINISTRATOR not in sent.roles:
        raise service.FirstAccountError(
            "the first account must be an administrator, because everyone signs in from then on"
        )
    with runtime.database.write() as session:
        created = service.create_account(
            session,
            runtime.settings,
            facility_id=principal.facility_id,
            username=sent.username,
            display_name=sent.display_name,
            roles=sent.roles,
            actor=principal.actor,
        )
    response.headers["Location"] = f"/api/v1/accounts/{created.account.id}"
    shown = describe_account(created.account, runtime.settings)
    return CreatedAccount(**shown.model_dump(), one_time_password=created.one_time_password)


@router.get("/accounts/{account_id}", summary="Read one account", responses=_ONE)
def read_account(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> AccountAnswer:
    """One account of the administrator's own facility."""
    with runtime.database.read() as session:
        account = administration.find(session, _who(principal), account_id)
        return describe_account(account, runtime.settings)


@router.patch(
    "/accounts/{account_id}",
    summary="Change name or roles",
    responses={
        **describe(*_COMMON, service.AccountNotFoundError, service.AccountInvalidError, service.LastAdministratorError)
    },
)
def update_account(runtime: RuntimeDep, principal: Admin, account_id: AccountId, sent: AccountChange) -> AccountAnswer:
    """Change what is sent; new roles count from the person's next request."""
    account = administration.update(
        runtime.database, _who(principal), account_id, display_name=sent.display_name, roles=sent.roles
    )
    return describe_account(account, runtime.settings)


@router.post("/accounts/{account_id}/disable", summary="Disable an account", responses=_GUARDED)
def disable_account(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> AccountAnswer:
    """No further sign-in; every session ends at once. The facility's last active administrator cannot be disabled."""
    account = administration.switch_off(runtime.database, _who(principal), account_id)
    return describe_account(account, runtime.settings)


@router.post("/accounts/{account_id}/enable", summary="Enable an account", responses=_ONE)
def enable_account(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> AccountAnswer:
    """Sign-in works again; idle days count anew."""
    account = administration.switch_on(runtime.database, _who(principal), account_id)
    return describe_account(account, runtime.settings)


@router.post("/accounts/{account_id}/unlock", summary="Unlock an account", responses=_ONE)
def unlock_account(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> AccountAnswer:
    """Forget the failed sign-ins."""
    account = administration.unlock(runtime.database, _who(principal), account_id)
    return describe_account(account, runtime.settings)


@router.post(
    "/accounts/{account_id}/reset-password",
    summary="Give a one-time password",
    responses={**describe(*_COMMON, service.AccountNotFoundError, service.AccountInvalidError)},
)
def reset_password(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> CreatedAccount:
    """A new one-time password, shown in this answer only. Sessions end; failures are forgotten."""
    account, password = administration.reset_password(runtime.database, runtime.settings, _who(principal), account_id)
    return CreatedAccount(**describe_account(account, runtime.settings).model_dump(), one_time_password=password)


@router.post("/accounts/{account_id}/reset-totp", summary="Take the second factor away", responses=_ONE)
def reset_totp(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> AccountAnswer:
    """For a lost telephone. Sessions end; where it is mandatory, another one is enrolled at the next sign-in."""
    account = administration.reset_second_factor(runtime.database, _who(principal), account_id)
    return describe_account(account, runtime.settings)


@router.post("/accounts/{account_id}/sign-out", summary="Sign a person out everywhere", responses=_ONE)
def sign_out(runtime: RuntimeDep, principal: Admin, account_id: AccountId) -> AccountAnswer:
    """End every session of the account."""
    account = administration.end_sessions(runtime.database, _who(principal), account_id)
    return describe_account(account, runtime.settings)


@router.get(
    "/access-review",
    summary="Who may do what, as CSV",
    response_class=Response,
    responses={**describe(*_COMMON), 200: {"description": "CSV, UTF-8", "content": {"text/csv": {}}}},
)
def export_review(runtime: RuntimeDep, principal: Admin) -> Response:
    """The facility's accounts and clients: roles or scopes, state, second factor, last activity. Recorded."""
    text = review.export(runtime.database, runtime.settings, _who(principal))
    headers = {"content-disposition": 'attachment; filename="access-review.csv"'}
    return Response(text.encode("utf-8"), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/access-review", summary="Record an access review", responses={**describe(*_COMMON)})
def confirm_review(runtime: RuntimeDep, principal: Admin) -> ReviewAnswer:
    """State that the accounts and clients of the facility were gone through; due again after half a year."""
    state = review.confirm(runtime.database, runtime.settings, principal.actor, principal.facility_id)
    return ReviewAnswer(done_at=state.done_at, due_at=state.due_at, overdue=state.overdue)
