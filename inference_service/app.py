"""The FastAPI application: routes, middleware, what is opened at start and closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI

from tamsoat.inference_service.accounts import admin_endpoints as administration
from tamsoat.inference_service.accounts import client_endpoints, oidc_endpoints, token_endpoints
from tamsoat.inference_service.accounts import endpoints as accounts
from tamsoat.inference_service.accounts.oidc import OidcProvider
from tamsoat.inference_service.audit import endpoints as audit
from tamsoat.inference_service.cases import endpoints as cases
from tamsoat.inference_service.consultations import endpoints as consultations
from tamsoat.inference_service.operations import endpoints as operations
from tamsoat.inference_service.orders import endpoints as orders
from tamsoat.inference_service.patients import endpoints as patients
from tamsoat.inference_service.patients import stewardship
from tamsoat.inference_service.quality import endpoints as quality
from tamsoat.inference_service.reports import reading_endpoints as readings
from tamsoat.inference_service.reports import report_endpoints as reports
from tamsoat.inference_service.reviews import endpoints as reviews
from tamsoat.inference_service.runtime import Runtime, decode_workers, open_runtime
from tamsoat.inference_service.screening import analysis_endpoints as analyses
from tamsoat.inference_service.screening import endpoints as screening
from tamsoat.inference_service.screening import finding_endpoints as findings
from tamsoat.inference_service.settings import Settings, load_settings
from tamsoat.inference_service.transport import logs, openapi, problems
from tamsoat.inference_service.transport.drain import Drain
from tamsoat.inference_service.transport.middleware import HostGuard, RequestContext
from tamsoat.inference_service.transport.rate_limits import RateLimits
from tamsoat.inference_service.transport.request_spans import TraceRequests
from tamsoat.inference_service.transport.uploads import BodyLimit
from tamsoat.inference_service.uploads import endpoints as slides
from tamsoat.inference_service.uploads import tus_endpoints
from tamsoat.inference_service.uploads.receiving import Turns
from tamsoat.inference_service.viewing import endpoints as viewing
from tamsoat.inference_service.web import case_pages, quality_pages, verify_pages, webhook_pages, worklist_pages
from tamsoat.inference_service.web import endpoints as web
from tamsoat.inference_service.webhooks import endpoints as webhooks

SMALL_BODY_BYTES = 2**20
"""Largest body of a request that sends no image: it is read into memory before anyone is signed in."""
DESCRIPTION = (
    "Finds and grades abnormal cells in cervical cytology images and keeps the proof of every result. "
    "A screening aid, not a diagnosis: nothing leaves without a pathologist's signature."
)


def create_app(settings: Settings | None = None, runtime: Runtime | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: default: read from the environment.
        runtime: what is open already; default: opened when the application starts. Closed at its end either way.
    """
    settings = settings or (runtime.settings if runtime else load_settings())
    if not structlog.is_configured():
        logs.configure(settings.log_level, settings.log_format)
    app = FastAPI(
        title="tamsoat",
        version=version("tamsoat"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
        lifespan=lambda app: _lifespan(app, settings, runtime),
    )
    app.state.settings = settings
    app.state.drain = Drain()
    app.state.rate_limits = RateLimits(settings)
    app.state.oidc = OidcProvider(settings)
    app.state.token_turns = CapacityLimiter(token_endpoints.TURNS)
    app.state.upload_turns = Turns()
    app.state.viewing = viewing.Viewing(settings, settings.tile_workers or decode_workers(settings))
    problems.install(app)
    # Routes are tried in this order: what is asked for most comes first.
    for router in (
        operations.router,
        viewing.router,
        analyses.router,
        findings.router,
        screening.inference,
        accounts.router,
        administration.router,
        web.router,
        token_endpoints.router,
        client_endpoints.router,
        oidc_endpoints.router,
    ):
        app.include_router(router)
    app.include_router(cases.router)
    app.include_router(consultations.router)
    app.include_router(webhooks.router)
    app.include_router(webhook_pages.router)
    app.include_router(audit.router)
    app.include_router(readings.router)
    for router in (patients.router, stewardship.router, orders.router):
        app.include_router(router)
    for router in (slides.router, tus_endpoints.router):
        app.include_router(router)
    app.include_router(reviews.router)
    app.include_router(case_pages.router)
    app.include_router(worklist_pages.router)
    for router in (reports.router, verify_pages.router, quality.router, quality_pages.router):
        app.include_router(router)
    web.mount(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    app.add_middleware(tus_endpoints.MethodOverride)
    app.add_middleware(
        BodyLimit,
        max_bytes=SMALL_BODY_BYTES,
        timeout_s=settings.upload_timeout_s,
        rules=(*slides.body_rules(settings), screening.body_rule(settings)),
    )
    app.add_middleware(HostGuard, host_names=settings.host_names)
    app.add_middleware(RequestContext)
    app.add_middleware(TraceRequests)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, runtime: Runtime | None) -> AsyncIterator[None]:
    opened = runtime if runtime is not None else await to_thread.run_sync(open_runtime, settings)
    app.state.runtime = opened
    try:
        if settings.run_worker:
            await to_thread.run_sync(opened.jobs.start, opened, settings.worker_concurrency)
        yield
    finally:
        await to_thread.run_sync(opened.close)
