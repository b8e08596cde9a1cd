"""Concurrent callers share batches, each gets its own answer or its own error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.engine.batching import BatchingWorker
from tamsoat.inference_service.engine.errors import EngineBusyError, EngineClosedError


class Recorder:
    """Stands for the network: the answer of a tile is its first value; remembers the batch sizes.

    Nothing is answered before ``go`` is set.
    """

    def __init__(self, *, held: bool = False) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, tiles: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        self.sizes.append(len(tiles))
        assert self.go.wait(WAIT_S)
        if (tiles[:, 0, 0, 1] == 99).any():
            raise RuntimeError("poisoned tile")
        return [tiles[:, 0, 0, :1].astype(np.float32) for _ in outputs]


def _tiles(values: Sequence[int], side: int = 32) -> NDArray[np.uint8]:
    tiles = np.zeros((len(values), side, side, 3), dtype=np.uint8)
    tiles[:, 0, 0, 0] = values
    return tiles


def test_a_lone_caller_is_answered_in_order_and_in_pieces_of_a_batch() -> None:
    recorder = Recorder()
    worker = BatchingWorker(recorder, batch_tiles=4)
    (answer,) = worker.run(_tiles(range(10)), ("scores",))
    worker.close()
    assert answer[:, 0].tolist() == list(range(10))
    assert recorder.sizes == [4, 4, 2]


def test_concurrent_callers_share_batches_and_get_their_own_rows() -> None:
    recorder = Recorder(held=True)
    worker = BatchingWorker(recorder, batch_tiles=8)
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(worker.run, _tiles([0, 100]), ("a", "b"))]
        wait_until(lambda: recorder.sizes)  # the network is at work; the others come meanwhile
        calls += [pool.submit(worker.run, _tiles([n, n + 100]), ("a", "b")) for n in range(1, 16)]
        wait_until(lambda: worker.waiting_tiles == 30)
        recorder.go.set()
        answers = [call.result(timeout=WAIT_S) for call in calls]
    worker.close()
    for n, (first, second) in enumerate(answers):
        assert first[:, 0].tolist() == [n, n + 100]
        assert second[:, 0].tolist() == [n, n + 100]
    assert recorder.sizes == [2, 8, 8, 8, 6]


def test_different_shapes_and_outputs_never_share_a_batch() -> None:
    seen: list[tuple[tuple[int, ...], tuple[str, ...]]] = []

    def run(tiles: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        time.sleep(0.01)
        seen.append((tiles.shape[1:], tuple(outputs)))
        return [np.zeros((len(tiles), 1), dtype=np.float32) for _ in outputs]

    worker = BatchingWorker(run, batch_tiles=8)
    jobs = [(32, ("a",)), (64, ("a",)), (32, ("b",)), (64, ("a", "b"))] * 4
    with ThreadPoolExecutor(16) as pool:
        sizes = list(pool.map(lambda job: len(worker.run(_tiles([1], job[0]), job[1])), jobs))
    worker.close()
    assert sizes == [len(outputs) for _, outputs in jobs]
    assert {(shape[0], outputs) for shape, outputs in seen} == set(jobs)


def test_an_error_reaches_only_the_caller_whose_tiles_caused_it() -> None:
    recorder = Recorder(held=True)
    worker = BatchingWorker(recorder, batch_tiles=8)

    def call(n: int) -> float | str:
        tiles = _tiles([n])
        tiles[:, 0, 0, 1] = 99 if n in (3, 7) else 0
        try:
            return float(worker.run(tiles, ("a",))[0][0, 0])
        except RuntimeError as error:
            return str(error)

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(call, 0)]
        wait_until(lambda: recorder.sizes)
        calls += [pool.submit(call, n) for n in range(1, 12)]
        wait_until(lambda: worker.waiting_tiles == 11)
        recorder.go.set()
        answers = [one.result(timeout=WAIT_S) for one in calls]
    assert answers == ["poisoned tile" if n in (3, 7) else float(n) for n in range(12)]
    assert worker.run(_tiles([5]), ("a",))[0][0, 0] == 5
    worker.close()


def test_a_request_that_fails_half_way_leaves_no_tiles_behind() -> None:
    recorder = Recorder()
    worker = BatchingWorker(recorder, batch_tiles=2)
    tiles = _tiles(range(9))
    tiles[3, 0, 0, 1] = 99
    with pytest.raises(RuntimeError, match="poisoned"):
        worker.run(tiles, ("a",))
    assert worker.run(_tiles([4, 5, 6]), ("a",))[0][:, 0].tolist() == [4, 5, 6]
    worker.close()
    assert sum(recorder.sizes) == 4 + 3


def test_the_queue_is_bounded() -> None:
    started, release = threading.Event(), threading.Event()

    def run(tiles: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        started.set()
        release.wait(WAIT_S)
        return [np.zeros((len(tiles), 1), dtype=np.float32) for _ in outputs]

    worker = BatchingWorker(run, batch_tiles=1, queue_tiles=2, wait_s=0.05)
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(worker.run, _tiles([0]), ("a",))]
        assert started.wait(WAIT_S)  # from now on its tile waits no more
        calls += [pool.submit(worker.run, _tiles([n]), ("a",)) for n in (1, 2)]
        wait_until(lambda: worker.waiting_tiles == 2)
        with pytest.raises(EngineBusyError, match="try later"):
            worker.run(_tiles([9]), ("a",))
        release.set()
        assert [len(call.result(timeout=WAIT_S)) for call in calls] == [1, 1, 1]
    worker.close()


def test_closing_refuses_what_waits_and_what_comes() -> None:
    started, release = threading.Event(), threading.Event()

    def run(tiles: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        started.set()
        release.wait(WAIT_S)
        return [np.zeros((len(tiles), 1), dtype=np.float32) for _ in outputs]

    worker = BatchingWorker(run, batch_tiles=1)
    with ThreadPoolExecutor(3) as pool:
        in_flight = pool.submit(worker.run, _tiles([1]), ("a",))
        assert started.wait(WAIT_S)
        waiting = pool.submit(worker.run, _tiles([2]), ("a",))
        wait_until(lambda: worker.waiting_tiles == 1)
        closing = pool.submit(worker.close)
        wait_until(lambda: worker._closed)
        release.set()
        closing.result(timeout=WAIT_S)
        assert len(in_flight.result(timeout=WAIT_S)) == 1
        with pytest.raises(EngineClosedError):
            waiting.result(timeout=WAIT_S)
    with pytest.raises(EngineClosedError):
        worker.run(_tiles([3]), ("a",))
