"""``tamsoat serve``: one process that answers over HTTP."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from tamsoat.inference_service.accounts.service import any_account_or_client
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.examples import people
from tamsoat.inference_service.examples import service as examples
from tamsoat.inference_service.runtime import open_runtime
from tamsoat.inference_service.settings import LOOPBACK_HOSTS, load_settings
from tamsoat.inference_service.transport import logs
from tamsoat.inference_service.transport.server import Server
from tamsoat.inference_service.transport.systemd import inherited_listener

BACKLOG = 512


class PortTakenError(TamsoatError):
    """The address cannot be listened on."""

    title = "Address cannot be used"
    slug = "address"
    exit_code = EXIT_USAGE


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (TAMSOAT_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0: any free one (TAMSOAT_PORT)")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model bundle (TAMSOAT_MODEL); default: the one that ships")
    ] = None,
    database_url: Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")] = None,
    threads: Annotated[int | None, typer.Option(help="Inference threads; 0: one per core (TAMSOAT_THREADS)")] = None,
    example: Annotated[bool, typer.Option("--example", help="Make the example facility where nothing is yet")] = False,
) -> None:
    """Answer screening requests over HTTP until stopped (Ctrl-C or SIGTERM finishes the running ones first)."""
    settings = load_settings(host=host, port=port, model=model, database_url=database_url, threads=threads)
    logs.configure(settings.log_level, settings.log_format)
    listener = inherited_listener(loopback_only=settings.host in LOOPBACK_HOSTS) or listen(settings.host, settings.port)
    with listener:
        if example and examples.wanted_at(settings):
            _make_example(database_url, model, threads)
        runtime = open_runtime(settings)
        runtime.decoder.warm()
        address = _url(settings.host, listener.getsockname()[1])
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"tamsoat {runtime.bundle.name} {runtime.bundle.version} on {address}")
        console.print(f"  model     {runtime.bundle.folder} (digest {runtime.bundle.digest[:16]})")
        console.print(f"  provider  {runtime.engine.provider}")
        console.print(f"  database  {runtime.database.engine.url.render_as_string(hide_password=True)}")
        if settings.access == "auto" and settings.listens_on_loopback and not any_account_or_client(runtime):
            console.print("  access    this machine without sign-in, until the first account or client exists")
        if (names := people.known_passwords(settings.data_folder)) and not any_account_or_client(runtime):
            console.print(f"  example   sign in as {', '.join(names)}")
            console.print(f"            passwords in {settings.data_folder / people.PASSWORDS}")
        app = create_app(settings, runtime)
        server = Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_graceful_shutdown=settings.shutdown_grace_s,
                lifespan="on",
            ),
            app.state.drain,
            settings.drain_delay_s,
        )
        with _signals_end_quietly():
            server.run(sockets=[listener])


def _make_example(database_url: str | None, model: Path | None, threads: int | None) -> None:
    """In a process of its own: this one has not begun to work on jobs.

    Raises:
        typer.Exit: it failed, and has said why.
    """
    given = {"--database-url": database_url, "--model": model, "--threads": threads}
    options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    command = [sys.executable, "-m", "tamsoat.inference_service", "example", *options]
    done = subprocess.run(command, check=False, stdout=sys.stderr)
    if done.returncode:
        raise typer.Exit(done.returncode)


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """After a graceful shutdown uvicorn raises the signal again; stopping as asked is exit 0, not a death."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: None) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        PortTakenError: another program listens there, or the address is not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTakenError(f"{host} is not an address of this machine: {error.strerror}") from error
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTakenError(_bind_reason(host, port, error)) from error
    return listener


def _bind_reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: stop it, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has: choose one above 1023 with --port"
    return f"cannot listen on {host}, port {port}: {error.strerror}"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
