"""HTTP of webhooks: manage them, read how deliveries went, send again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from tamsoat.inference_service.accounts.access import ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.webhooks import management, repository
from tamsoat.inference_service.webhooks.destination import WebhookAddressError
from tamsoat.inference_service.webhooks.management import (
    DeliveryNotFoundError,
    TooManyWebhooksError,
    WebhookNotFoundError,
    WebhookOffError,
)
from tamsoat.inference_service.webhooks.schemas import (
    DeliveryAnswer,
    DeliveryPage,
    DeliveryState,
    NewWebhook,
    WebhookAnswer,
    WebhookChange,
    WebhookList,
    WebhookWithSecret,
)
from tamsoat.inference_service.webhooks.tables import Webhook

PAGE_DEFAULT, PAGE_MOST = 50, 100
ROLES = (Role.ADMINISTRATOR, Role.INTEGRATOR)

router = APIRouter(prefix="/api/v1", tags=["webhooks"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
WebhookId = Annotated[str, Path(max_length=64, description="From the answer that made the webhook")]
DeliveryId = Annotated[str, Path(max_length=64, description="From the list of deliveries")]
Reader = Annotated[Principal, allow(*ROLES, scope="system/Subscription.r")]
Searcher = Annotated[Principal, allow(*ROLES, scope="system/Subscription.s")]
Maker = Annotated[Principal, allow(*ROLES, scope="system/Subscription.c")]
Changer = Annotated[Principal, allow(*ROLES, scope="system/Subscription.u")]
Remover = Annotated[Principal, allow(*ROLES, scope="system/Subscription.d")]

NOT_MODIFIED: dict[int | str, dict[str, str]] = {304: {"description": "It is as `If-None-Match` names it"}}
IfMatch = Annotated[
    str | None, Header(description="`ETag` of what was read; where it was changed meanwhile the answer is 412")
]
COMMON = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError)
WRITING = (*COMMON, StorageFullError)


@router.post(
    "/webhooks",
    status_code=201,
    response_model=WebhookWithSecret,
    summary="Make a webhook",
    responses={**describe(*WRITING, WebhookAddressError, TooManyWebhooksError)},
)
def create_webhook(
    runtime: RuntimeDep, principal: Maker, wanted: NewWebhook, request: Request, response: Response
) -> WebhookWithSecret:
    """Register an address that events are posted to, and get the secret that signs them.

    The secret is shown in this answer only; `POST /api/v1/webhooks/{webhook_id}/secret` makes another.
    """
    with runtime.database.write() as session:
        webhook = management.create(session, principal, wanted, runtime.settings)
        answer = _with_secret(webhook)
    response.headers["Location"] = f"{request.url.path}/{answer.webhook_id}"
    return answer


@router.get(
    "/webhooks", response_model=WebhookList, summary="List the facility's webhooks", responses={**describe(*COMMON)}
)
def list_webhooks(runtime: RuntimeDep, principal: Searcher) -> WebhookList:
    """Every webhook of the facility, oldest first (there are at most 20)."""
    with runtime.database.read() as session:
        return WebhookList(items=[_answer(row) for row in repository.webhooks_of(session, principal.facility_id)])


@router.get(
    "/webhooks/{webhook_id}",
    response_model=WebhookAnswer,
    summary="Read one webhook",
    responses={**NOT_MODIFIED, **describe(*COMMON, WebhookNotFoundError)},
)
def read_webhook(request: Request, runtime: RuntimeDep, principal: Reader, webhook_id: WebhookId) -> Response:
    """One webhook, without its secret."""
    with runtime.database.read() as session:
        webhook = management.find(session, principal, webhook_id)
    return conditional.answer(request, _answer(webhook), etag=_etag(webhook))


@router.patch(
    "/webhooks/{webhook_id}",
    response_model=WebhookAnswer,
    summary="Change a webhook, switch it off or on",
    responses={**describe(*WRITING, WebhookNotFoundError, WebhookAddressError, conditional.PreconditionFailedError)},
)
def change_webhook(
    request: Request,
    runtime: RuntimeDep,
    principal: Changer,
    webhook_id: WebhookId,
    wanted: WebhookChange,
    if_match: IfMatch = None,
) -> Response:
    """Change the address or the events, or switch the webhook off or on.

    While it is off its events wait as `paused`; once it is on again they are sent.
    """
    with runtime.database.write() as session:
        webhook = management.find(session, principal, webhook_id, lock=True)
        conditional.require_match(request, _etag(webhook), required=False)
        management.change(session, principal, webhook, wanted, runtime.settings)
    return conditional.answer(request, _answer(webhook), etag=_etag(webhook))


@router.delete(
    "/webhooks/{webhook_id}",
    status_code=204,
    summary="Delete a webhook",
    responses={**describe(*WRITING, WebhookNotFoundError)},
)
def delete_webhook(runtime: RuntimeDep, principal: Remover, webhook_id: WebhookId) -> None:
    """Remove a webhook. What was under way to it ends as `failed`; its log is no longer shown."""
    with runtime.database.write() as session:
        management.delete(session, principal, management.find(session, principal, webhook_id, lock=True))


@router.post(
    "/webhooks/{webhook_id}/secret",
    response_model=WebhookWithSecret,
    summary="Replace the secret of a webhook",
    responses={**describe(*WRITING, WebhookNotFoundError)},
)
def rotate_webhook_secret(runtime: RuntimeDep, principal: Changer, webhook_id: WebhookId) -> WebhookWithSecret:
    """Make a new secret, shown in this answer only.

    For 24 hours messages carry two signatures, by the new and by the previous secret, so that the receiver can
    change over without losing one.
    """
    with runtime.database.write() as session:
        webhook = management.find(session, principal, webhook_id, lock=True)
        management.rotate_secret(session, principal, webhook)
        return _with_secret(webhook)


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=202,
    response_model=DeliveryAnswer,
    summary="Send a test event",
    responses={**describe(*WRITING, WebhookNotFoundError, WebhookOffError)},
)
def send_test_event(runtime: RuntimeDep, principal: Changer, webhook_id: WebhookId) -> DeliveryAnswer:
    """Send an event of the type `webhook.test`; how it went is in the list of deliveries."""
    with runtime.database.write() as session:
        webhook = management.find(session, principal, webhook_id, lock=True)
        return management.answer(management.send_test(session, principal, webhook), [])


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    response_model=DeliveryPage,
    summary="List deliveries with their attempts, newest first",
    responses={**describe(*COMMON, WebhookNotFoundError, DeliveryNotFoundError)},
)
def list_deliveries(
    runtime: RuntimeDep,
    principal: Searcher,
    webhook_id: WebhookId,
    state: Annotated[DeliveryState | None, Query(description="Only deliveries in this state")] = None,
    event_type: Annotated[str | None, Query(max_length=64, description="Only events of this type")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")] = PAGE_DEFAULT,
    before: Annotated[
        str | None, Query(max_length=64, description="`next_before` of the page before; absent: the newest")
    ] = None,
) -> DeliveryPage:
    """The delivery log of a webhook: every event, its state, and every attempt with the receiver's answer."""
    with runtime.database.read() as session:
        return management.deliveries(
            session, principal, webhook_id, state=state, kind=event_type, before=before, limit=limit
        )


@router.post(
    "/deliveries/{delivery_id}/resend",
    status_code=202,
    response_model=DeliveryAnswer,
    summary="Send a delivery again",
    responses={**describe(*WRITING, DeliveryNotFoundError, WebhookOffError)},
)
def resend_delivery(runtime: RuntimeDep, principal: Changer, delivery_id: DeliveryId) -> DeliveryAnswer:
    """Begin a delivery again, whatever became of it; the message keeps its `webhook-id` and its body."""
    with runtime.database.write() as session:
        row = management.resend(session, principal, delivery_id)
        return management.answer(row, repository.attempts_of(session, [delivery_id])[delivery_id])


def _answer(webhook: Webhook) -> WebhookAnswer:
    return WebhookAnswer(
        webhook_id=webhook.id,
        url=webhook.url,
        event_types=webhook.event_types,
        enabled=webhook.enabled,
        paused_reason=webhook.paused_reason,  # type: ignore[arg-type]
        created_at=webhook.created_at,
        two_secrets_until=webhook.previous_secret_until,
    )


def _etag(webhook: Webhook) -> str:
    return conditional.etag_of(webhook.id, webhook.version)


def _with_secret(webhook: Webhook) -> WebhookWithSecret:
    return WebhookWithSecret(**_answer(webhook).model_dump(), secret=webhook.secret)
