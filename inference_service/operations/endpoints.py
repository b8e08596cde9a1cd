"""HTTP of operations: liveness, readiness, metrics."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated, Literal

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from tamsoat.inference_service.accounts.access import public
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.problems import describe
from tamsoat.inference_service.transport.rate_limits import Limit

PROBE_SIDE_PX = 64
PROBE_TIMEOUT_S = 10.0
PROBE_VALID_S = 5.0
"""A successful probe of the engine is believed for this long, so that probing never slows down the work."""

router = APIRouter(tags=["operations"])


class NotReadyError(TamsoatError):
    """The database or the engine does not answer; send the request elsewhere or later."""

    status = 503
    title = "Service is not ready"
    slug = "not-ready"


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


HEALTHY = Health().model_dump_json().encode()


class Readiness(BaseModel):
    """The process can screen images and store them."""

    status: Literal["ready"] = "ready"
    database: str
    model: str
    provider: str


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


@router.get(
    "/healthz",
    response_model=Health,
    summary="Is the process alive?",
    dependencies=[public("says nothing but ok", Limit.NONE)],
)
async def healthz() -> Response:
    """Answers as long as the process does; touches nothing else."""
    return Response(HEALTHY, media_type="application/json")


@router.get(
    "/readyz",
    summary="Can the service work?",
    responses={**describe(NotReadyError)},
    dependencies=[public("for load balancers; no data", Limit.NONE)],
)
async def readyz(request: Request, runtime: Annotated[Runtime, Depends(get_runtime)]) -> Readiness:
    """Asks the database and runs the network on a small blank image."""
    if request.app.state.drain.active:
        raise NotReadyError("the process is about to stop; send the request to another server")
    try:
        await to_thread.run_sync(runtime.database.ping)
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await _probe_engine(request, runtime)
    except (TamsoatError, TimeoutError) as error:
        reason = str(error) or "the engine did not answer in time"
        raise NotReadyError(reason) from error
    return Readiness(
        database=runtime.database.engine.dialect.name,
        model=f"{runtime.bundle.name} {runtime.bundle.version}",
        provider=runtime.engine.provider,
    )


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    dependencies=[public("counts only; hide it at the proxy", Limit.NONE)],
)
def metrics(runtime: Annotated[Runtime, Depends(get_runtime)]) -> Response:
    """Counters and histograms in the Prometheus text format."""
    return Response(generate_latest(runtime.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _probe_engine(request: Request, runtime: Runtime) -> None:
    proven_at_s: float = getattr(request.app.state, "engine_proven_at_s", float("-inf"))
    if time.monotonic() - proven_at_s < PROBE_VALID_S:
        return
    blank = np.full((PROBE_SIDE_PX, PROBE_SIDE_PX, 3), 255, dtype=np.uint8)
    await to_thread.run_sync(partial(runtime.engine.detect, blank, runtime.bundle.mpp), abandon_on_cancel=True)
    request.app.state.engine_proven_at_s = time.monotonic()
