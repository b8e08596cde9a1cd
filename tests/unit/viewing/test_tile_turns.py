"""Turns at making tiles: once for all who ask, few at a time, no queue without an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tamsoat.inference_service.viewing.turns import TilesBusyError, TileTurns

WAIT_S = 60.0


def held(gate: threading.Event, result: bytes, started: list[bytes]) -> Callable[[], bytes]:
    def work() -> bytes:
        started.append(result)
        assert gate.wait(WAIT_S)
        return result

    return work


def test_all_who_ask_at_once_get_one_making() -> None:
    async def scenario() -> None:
        turns, gate, started = TileTurns(2, 10), threading.Event(), list[bytes]()
        asked = [asyncio.create_task(turns.once("a", held(gate, b"A", started))) for _ in range(20)]
        while not started:
            await asyncio.sleep(0.001)
        gate.set()
        assert await asyncio.gather(*asked) == [b"A"] * 20
        assert started == [b"A"]
        assert await turns.once("a", held(gate, b"A again", started)) == b"A again"

    asyncio.run(asyncio.wait_for(scenario(), WAIT_S))


def test_beyond_the_queue_there_is_an_answer_at_once() -> None:
    async def scenario() -> None:
        turns, gate, started = TileTurns(2, 3), threading.Event(), list[bytes]()
        asked = [asyncio.create_task(turns.once(f"t{n}", held(gate, b"%d" % n, started))) for n in range(5)]
        while len(started) < 2:
            await asyncio.sleep(0.001)
        with pytest.raises(TilesBusyError):
            await turns.once("t5", held(gate, b"5", started))
        joined = asyncio.create_task(turns.once("t4", held(gate, b"not made", started)))
        await asyncio.sleep(0.01)
        assert len(started) == 2, "two at a time"
        gate.set()
        assert await asyncio.gather(*asked, joined) == [b"0", b"1", b"2", b"3", b"4", b"4"]

    asyncio.run(asyncio.wait_for(scenario(), WAIT_S))


def test_an_error_reaches_everybody_and_the_next_one_tries_again() -> None:
    async def scenario() -> None:
        turns = TileTurns(1, 5)

        def fail() -> bytes:
            raise OSError("damaged")

        results = await asyncio.gather(*(turns.once("a", fail) for _ in range(3)), return_exceptions=True)
        assert [str(result) for result in results] == ["damaged"] * 3
        assert await turns.once("a", lambda: b"ok") == b"ok"

    asyncio.run(asyncio.wait_for(scenario(), WAIT_S))


def test_who_gives_up_stops_nobody_else() -> None:
    async def scenario() -> None:
        turns, gate, started = TileTurns(1, 5), threading.Event(), list[bytes]()
        first = asyncio.create_task(turns.once("a", held(gate, b"A", started)))
        second = asyncio.create_task(turns.once("a", held(gate, b"A", started)))
        while not started:
            await asyncio.sleep(0.001)
        first.cancel()
        gate.set()
        assert await second == b"A"

    asyncio.run(asyncio.wait_for(scenario(), WAIT_S))
