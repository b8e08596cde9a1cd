"""The delivery log of webhooks as a page: what was sent, what came back, and a button to send again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tamsoat.inference_service.accounts.access import Role, public
from tamsoat.inference_service.transport.text import Text
from tamsoat.inference_service.web.pages import RuntimeDep, render, signed_in, signed_in_person, to_sign_in
from tamsoat.inference_service.webhooks import management, repository
from tamsoat.inference_service.webhooks.management import DeliveryNotFoundError
from tamsoat.inference_service.webhooks.schemas import DeliveryPage

PAGE_ROWS = 30
STATES = ("pending", "retrying", "delivered", "failed", "paused")

router = APIRouter(include_in_schema=False)


@router.get("/webhooks", dependencies=[public("leads to the sign-in page; its data needs an administrator")])
def webhooks_page(
    request: Request,
    runtime: RuntimeDep,
    webhook: Annotated[Text, Query(max_length=64)] = "",
    state: Annotated[Text, Query(max_length=16)] = "",
    before: Annotated[Text, Query(max_length=64)] = "",
) -> Response:
    """The deliveries to one webhook of the administrator's facility, newest first."""
    principal, person = signed_in(request), signed_in_person(request)
    if principal is None or person is None:
        return to_sign_in(request)
    if not principal.has(Role.ADMINISTRATOR):
        return render(request, "refused.html", person=person, status=403)
    page = DeliveryPage(items=[], next_before=None)
    with runtime.database.read() as session:
        hooks = repository.webhooks_of(session, principal.facility_id)
        chosen = next((hook for hook in hooks if hook.id == webhook), hooks[0] if hooks else None)
        wanted = state if state in STATES else None
        if chosen is not None:
            try:
                page = management.deliveries(
                    session, principal, chosen.id, state=wanted, kind=None, before=before or None, limit=PAGE_ROWS
                )
            except DeliveryNotFoundError:
                return render(request, "refused.html", person=person, status=404)
    return render(
        request,
        "webhooks.html",
        person=person,
        hooks=hooks,
        chosen=chosen,
        page=page,
        states=STATES,
        state=wanted or "",
    )
