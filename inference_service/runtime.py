"""What one service process has open: database, engine, queue, metrics."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import structlog

from tamsoat.inference_service.accounts.cache import AccessCache
from tamsoat.inference_service.accounts.key_fetch import ClientKeys
from tamsoat.inference_service.accounts.tokens import AccessTokens
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.reads import ReadLog
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db import encryption, migrations
from tamsoat.inference_service.db.keyring import Keyring, open_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.errors import EXIT_MODEL, TamsoatError
from tamsoat.inference_service.jobs.jobs import Jobs
from tamsoat.inference_service.operations.gauges import Gauges
from tamsoat.inference_service.screening.metrics import JobCollector
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides.decode import DecodeLimits
from tamsoat.inference_service.slides.sandbox import Decoder
from tamsoat.inference_service.slides.slide_process import SlideReader
from tamsoat.inference_service.storage.store import ContentStore, open_store
from tamsoat.inference_service.transport import tracing
from tamsoat.inference_service.transport.admission import Admission
from tamsoat.inference_service.transport.metrics import Metrics
from tamsoat.models.bundle import Bundle, BundleError, default_bundle, read_bundle

SYSTEM = "system"
"""The actor of the audit log for what the service does by itself."""

MOST_DECODE_WORKERS = 4

log = structlog.get_logger("tamsoat.service")


class ModelRefusedError(TamsoatError):
    """The model bundle is missing, incomplete or altered."""

    status = 503
    title = "Model cannot be used"
    slug = "model-refused"
    exit_code = EXIT_MODEL


@dataclass(frozen=True)
class Runtime:
    """Everything that a request may use; ``admission`` belongs to the event loop, the rest is thread-safe."""

    settings: Settings
    keyring: Keyring
    bundle: Bundle
    engine: Engine
    database: Database
    store: ContentStore
    decoder: Decoder
    slides: SlideReader
    read_log: ReadLog
    tokens: AccessTokens
    client_keys: ClientKeys
    admission: Admission
    metrics: Metrics
    limits: DecodeLimits
    access: AccessCache = field(default_factory=AccessCache)
    jobs: Jobs = field(default_factory=Jobs)

    def close(self) -> None:
        """Finish or hand back jobs, stop the engine, then close the database."""
        self.jobs.close()
        self.decoder.close()
        self.slides.close()
        self.engine.close()
        self.read_log.close()
        self.database.close()
        tracing.shut_down()
        log.info("service_stopped")


def open_runtime(settings: Settings) -> Runtime:
    """Verify the model, migrate the database, load and test the engine, record the start.

    Raises:
        ModelRefusedError: the bundle is missing or was altered.
        EngineError: the network does not run or fails its self-test.
        DatabaseUrlError, DatabaseUnavailableError, StorageFullError: the database cannot be used.
    """
    tracing.configure(settings.otlp_endpoint)
    try:
        bundle = read_bundle(settings.model if settings.model is not None else default_bundle())
    except BundleError as error:
        raise ModelRefusedError(str(error)) from error
    keyring = open_keyring(settings.keys_path)
    encryption.install(keyring, settings.keys_path)
    database = Database(settings.database_url, wait_s=settings.database_wait_s, pool_size=settings.database_pool)
    tracing.observe(database.engine)
    try:
        revision = migrations.upgrade(database)
        engine = Engine(
            bundle,
            providers=settings.provider_list,
            threads=settings.threads or None,
            batch_tiles=settings.batch_tiles,
        )
        try:
            _record_start(database, bundle)
        except BaseException:
            engine.close()
            raise
    except BaseException:
        database.close()
        raise
    metrics = Metrics()
    metrics.registry.register(JobCollector(database))
    metrics.engine.info(
        {"model": bundle.name, "version": bundle.version, "digest": bundle.digest, "provider": engine.provider}
    )
    metrics.registry.register(Gauges(database, {"data": settings.data_folder}))
    log.info(
        "service_opened",
        model=bundle.name,
        model_version=bundle.version,
        model_digest=bundle.digest,
        provider=engine.provider,
        database=database.engine.dialect.name,
        schema_revision=revision,
    )
    return Runtime(
        settings=settings,
        keyring=keyring,
        bundle=bundle,
        engine=engine,
        database=database,
        store=open_store(settings),
        decoder=Decoder(decode_workers(settings), settings.decode_memory_mib, settings.decode_timeout_s),
        slides=SlideReader(
            settings.tile_workers or decode_workers(settings), settings.slide_memory_mib, settings.slide_timeout_s
        ),
        read_log=ReadLog(
            Database(settings.database_url, wait_s=settings.database_wait_s, pool_size=1, token=database.token)
        ),
        tokens=AccessTokens(keyring, database, settings),
        client_keys=ClientKeys(settings),
        admission=Admission(settings.concurrent_requests, settings.queued_requests, metrics),
        metrics=metrics,
        limits=DecodeLimits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels),
    )


def decode_workers(settings: Settings) -> int:
    """How many images may be decoded at once: as the settings say, else one per core and at most four."""
    return settings.decode_workers or max(1, min(MOST_DECODE_WORKERS, os.cpu_count() or 1))


def _record_start(database: Database, bundle: Bundle) -> None:
    """Which model answers from now on is part of the proof."""
    event = Event(SYSTEM, Action.SERVICE_START, f"model:{bundle.name}", {"model": bundle.digest})
    with database.write() as session:
        audit.append(session, event)
