"""A service without a model: database, keys, sign-in and the routers of a test, opened in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import endpoints, oidc_endpoints, token_endpoints
from tamsoat.inference_service.accounts.cache import AccessCache
from tamsoat.inference_service.accounts.key_fetch import ClientKeys
from tamsoat.inference_service.accounts.oidc import OidcProvider
from tamsoat.inference_service.accounts.tokens import AccessTokens
from tamsoat.inference_service.app import SMALL_BODY_BYTES
from tamsoat.inference_service.db import encryption, migrations
from tamsoat.inference_service.db.keyring import open_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport import logs, problems
from tamsoat.inference_service.transport.drain import Drain
from tamsoat.inference_service.transport.metrics import Metrics
from tamsoat.inference_service.transport.middleware import HostGuard, RequestContext
from tamsoat.inference_service.transport.rate_limits import RateLimits
from tamsoat.inference_service.transport.uploads import BodyLimit


@contextmanager
def small_service(settings: Settings, routers: Sequence[APIRouter] = ()) -> Iterator[TestClient]:
    """A client of the service; ``client.app.state.runtime`` has the parts that accounts and transport use."""
    logs.configure(settings.log_level, settings.log_format)
    keyring = open_keyring(settings.keys_path)
    encryption.install(keyring)
    database = Database(settings.database_url, wait_s=settings.database_wait_s, pool_size=settings.database_pool)
    migrations.upgrade(database)
    app = FastAPI()
    app.state.settings = settings
    app.state.drain = Drain()
    app.state.rate_limits = RateLimits(settings)
    app.state.oidc = OidcProvider(settings)
    app.state.token_turns = CapacityLimiter(token_endpoints.TURNS)
    app.state.runtime = SimpleNamespace(
        settings=settings,
        keyring=keyring,
        database=database,
        tokens=AccessTokens(keyring, database, settings),
        client_keys=ClientKeys(settings),
        access=AccessCache(),
        metrics=Metrics(),
    )
    problems.install(app)
    for router in (token_endpoints.router, oidc_endpoints.router, endpoints.router, *routers):
        app.include_router(router)
    app.add_middleware(BodyLimit, max_bytes=SMALL_BODY_BYTES, timeout_s=settings.upload_timeout_s)
    app.add_middleware(HostGuard, host_names=settings.host_names)
    app.add_middleware(RequestContext)
    try:
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            yield client
    finally:
        database.close()
