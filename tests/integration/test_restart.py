"""A new version comes in without a failed request: two servers one by one, or one server behind systemd's socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from round_robin import RoundRobin
from service_process import ServerProcess
from waiting import wait_until

from tamsoat.inference_service.transport import systemd
from tamsoat.inference_service.transport.systemd import InheritedSocketError, inherited_listener

CLIENTS = 4
ANSWER_S = 240.0
"""A request may wait for a server to start, on a slow and busy machine."""


class Load:
    """Clients that send requests all the time and count what they are answered."""

    def __init__(self, url: Callable[[], str], image: bytes) -> None:
        self.answers: Counter[str] = Counter()
        self.analyses: list[str] = []
        self._url, self._image, self._stop = url, image, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def _work(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                if number % 2:
                    answer = httpx.get(f"{self._url()}/api/v1/analyses", timeout=ANSWER_S)
                else:
                    answer = httpx.post(
                        f"{self._url()}/api/v1/inference",
                        files={"image": ("a.jpg", self._image)},
                        data={"objective": "40"},
                        timeout=ANSWER_S,
                    )
                    if answer.status_code == 200:
                        self.analyses.append(answer.json()["analysis_id"])
                self.answers[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                self.answers[type(error).__name__] += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(ANSWER_S)

    def wait_for(self, more: int) -> None:
        """Until ``more`` further requests were answered."""
        goal = sum(self.answers.values()) + more
        wait_until(lambda: sum(self.answers.values()) >= goal, ANSWER_S, lambda: self.answers)


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_rolling_restart_behind_a_proxy_fails_no_request(
    tiny_bundle: Path, tmp_path: Path, postgresql_url: str, field_jpeg: bytes
) -> None:
    settings = {"database_url": postgresql_url, "data_dir": tmp_path, "threads": 1, "drain_delay_s": 300.0}

    def start() -> ServerProcess:
        return ServerProcess(tiny_bundle, tmp_path / "unused.db", **settings)

    with contextlib.ExitStack() as stack, RoundRobin() as proxy:
        servers = [stack.enter_context(start()) for _ in range(2)]
        for server in servers:
            proxy.add(server.url)
        wait_until(lambda: proxy.ready() == 2)
        load = Load(lambda: proxy.url, field_jpeg)
        with load.running():
            for old in servers:
                load.wait_for(10)
                old.process.send_signal(signal.SIGTERM)
                wait_until(lambda: proxy.is_left_out(old.url))  # noqa: B023 - called at once
                assert old.stop(signal.SIGTERM, ANSWER_S) == 0  # the second signal ends the delay
                proxy.remove(old.url)
                new = stack.enter_context(start())
                proxy.add(new.url)
                wait_until(lambda: proxy.ready() == 2)
                load.wait_for(10)
        assert set(load.answers) == {"200"}, load.answers
        listed = [httpx.get(f"{proxy.url}/api/v1/analyses/{name}").status_code for name in load.analyses[::10]]
        assert set(listed) == {200}


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_restart_behind_systemds_socket_refuses_no_connection(
    tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes
) -> None:
    """The listening socket outlives the process, as it does in systemd: connections wait for the next one."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        load = Load(lambda: url, field_jpeg)
        first = _activated(listener, tiny_bundle, tmp_path)
        try:
            with load.running():
                load.wait_for(10)
                first.send_signal(signal.SIGTERM)
                assert first.wait(ANSWER_S) == 0
                time.sleep(0.5)
                second = _activated(listener, tiny_bundle, tmp_path)
                load.wait_for(10)
        finally:
            for process in (first, second):
                process.send_signal(signal.SIGTERM)
                assert process.wait(ANSWER_S) == 0
    assert set(load.answers) == {"200"}, load.answers


def _activated(listener: socket.socket, bundle: Path, folder: Path) -> subprocess.Popen[bytes]:
    """`tamsoat serve` as systemd starts it for a socket: file descriptor 3, LISTEN_FDS and LISTEN_PID."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAMSOAT_")}
    environment |= {"TAMSOAT_MODEL": str(bundle), "TAMSOAT_DATABASE_URL": f"sqlite:///{folder}/a.db"}
    environment |= {"TAMSOAT_THREADS": "1", "TAMSOAT_LOG_LEVEL": "warning", "LISTEN_FDS": "1", "PYTHONSAFEPATH": "1"}
    run = (
        "import os, sys\n"
        f"os.dup2({listener.fileno()}, 3)\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "from tamsoat.inference_service.cli.main import main\n"
        "sys.argv = ['tamsoat', 'serve']\n"
        "main()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", run], env=environment, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
    )


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[socket.socket], None]:
    """Make a socket look as if systemd had handed it over."""

    def hand_over(listener: socket.socket) -> None:
        monkeypatch.setattr(systemd, "FIRST_FD", os.dup(listener.fileno()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))

    return hand_over


def test_an_inherited_socket_must_keep_the_promise_of_the_settings(
    handed_over: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handed_over(listener)
        found = inherited_listener(loopback_only=True)
        assert found is not None
        assert found.getsockname() == listener.getsockname()
        found.close()
        assert "LISTEN_FDS" not in os.environ
        assert inherited_listener(loopback_only=True) is None
    with socket.create_server(("0.0.0.0", 0)) as listener:
        handed_over(listener)
        with pytest.raises(InheritedSocketError, match="other machines"):
            inherited_listener(loopback_only=True)
    with socket.socket() as listener:
        handed_over(listener)
        with pytest.raises(InheritedSocketError, match="not a listening"):
            inherited_listener(loopback_only=True)
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(InheritedSocketError, match="2 sockets"):
        inherited_listener(loopback_only=True)
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert inherited_listener(loopback_only=True) is None


def test_the_service_manager_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    systemd.notify("READY=1")  # without a manager nothing happens
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        systemd.notify("READY=1")
        assert manager.recv(100) == b"READY=1"
