"""Reads of patient data: durable before anything is shown, many of them in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.accounts.access import Principal, Role
from tamsoat.inference_service.audit import repository, service
from tamsoat.inference_service.audit.reads import ReadLog
from tamsoat.inference_service.audit.schemas import Action, Verification
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database, DatabaseUnavailableError

READER = Principal("account:1", "account", "f1", frozenset({Role.PATHOLOGIST}))


class Counting(Database):
    """Counts transactions; holds each until ``gate`` opens."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.transactions = 0
        self.held = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    @contextmanager
    def write(self) -> Iterator[Session]:
        self.held.set()
        assert self.gate.wait(WAIT_S)
        self.transactions += 1
        with super().write() as session:
            yield session


def test_a_read_is_durable_when_record_returns(database_url: str) -> None:
    database, other = Database(database_url), Database(database_url)
    migrations.upgrade(database)
    reads = ReadLog(database)
    reads.record(READER, Action.PATIENT_READ, "patient:7", {"found": 1})
    with other.read() as session:
        (row,) = repository.find_by_subject(session, "patient:7")
    assert (row.actor, row.action, row.facility, row.details) == ("account:1", "patient:read", "f1", '{"found":1}')
    reads.close()
    for each in (database, other):
        each.close()


def test_readers_who_come_together_share_transactions(database_url: str) -> None:
    database = Counting(database_url)
    migrations.upgrade(database)
    reads = ReadLog(database)
    before = database.transactions
    database.held.clear()
    database.gate.clear()
    with ThreadPoolExecutor(40) as pool:
        done = [pool.submit(reads.record, READER, Action.PATIENT_READ, "patient:0")]
        assert database.held.wait(WAIT_S)  # the first is at the gate, alone
        done += [pool.submit(reads.record, READER, Action.PATIENT_READ, f"patient:{number}") for number in range(1, 40)]
        wait_until(lambda: reads._queue.qsize() == 39)
        database.gate.set()
        for each in done:
            each.result(WAIT_S)
    assert database.transactions - before <= 3
    with database.read() as session:
        assert service.verify(session) == Verification(40)
    reads.close()
    database.close()


def test_an_error_reaches_every_reader_and_the_next_read_works(tmp_path: object) -> None:
    database = Counting(f"sqlite:///{tmp_path}/reads.db")
    migrations.upgrade(database)
    reads = ReadLog(database)
    with database.write() as session:
        session.execute(text("ALTER TABLE audit_head RENAME TO hidden"))
    with ThreadPoolExecutor(4) as pool:
        failing = [pool.submit(reads.record, READER, Action.PATIENT_READ, "patient:1") for _ in range(4)]
    for each in failing:
        assert isinstance(each.exception(WAIT_S), DBAPIError)
    with database.write() as session:
        session.execute(text("ALTER TABLE hidden RENAME TO audit_head"))
    reads.record(READER, Action.PATIENT_READ, "patient:2")
    reads.close()
    with pytest.raises(DatabaseUnavailableError, match="stopping"):
        reads.record(READER, Action.PATIENT_READ, "patient:3")
    with database.read() as session:
        assert service.verify(session) == Verification(1)
    database.close()


def test_closing_writes_what_waits(tmp_path: object) -> None:
    database = Counting(f"sqlite:///{tmp_path}/reads.db")
    migrations.upgrade(database)
    reads = ReadLog(database)
    database.held.clear()
    database.gate.clear()
    with ThreadPoolExecutor(11) as pool:
        done = [pool.submit(reads.record, READER, Action.PATIENT_READ, "patient:0")]
        assert database.held.wait(WAIT_S)  # the first is at the gate, alone
        done += [pool.submit(reads.record, READER, Action.PATIENT_READ, f"patient:{number}") for number in range(1, 10)]
        wait_until(lambda: reads._queue.qsize() == 9)
        closing = pool.submit(reads.close)
        database.gate.set()
        closing.result(WAIT_S)
        for each in done:
            assert each.exception(0) is None or isinstance(each.exception(0), DatabaseUnavailableError)
    with database.read() as session:
        assert service.verify(session).entries == sum(each.exception() is None for each in done) >= 8
    database.close()
