"""Takes the body of one PATCH into the upload's file, without holding it in memory, and knows the true offset after."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from anyio import CancelScope, to_thread
from starlette.requests import ClientDisconnect

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.uploads import resumable
from tamsoat.inference_service.uploads.incoming import IncomingFile, RunningDigests, UploadLockedError
from tamsoat.inference_service.uploads.resumable import COMPLETED
from tamsoat.inference_service.uploads.tables import Upload

BLOCK_BYTES = 2**20
"""Gathered in memory before it is handed to a thread to be written."""
CHECKPOINT_BYTES = 8 * 2**20
"""After so many bytes the offset is made durable: what a kill of the server costs at most."""
TURN_WAIT_S = 15.0
CHECKSUM_ALGORITHMS = ("sha256", "sha1")
"""SHA-1 because the protocol demands it."""


class OffsetError(TamsoatError):
    """The offset of the request is not where the upload stands; ask for it with HEAD."""

    status = 409
    title = "Offset does not match"
    slug = "upload-offset"


class UploadOverrunError(TamsoatError):
    """More bytes were sent than were announced."""

    status = 400
    title = "Upload is longer than announced"
    slug = "upload-overrun"


class ChecksumError(TamsoatError):
    """The bytes of this request do not have the stated checksum; nothing of them was kept."""

    status = 460
    title = "Checksum mismatch"
    slug = "upload-checksum"


class ChecksumFieldError(TamsoatError):
    """`Upload-Checksum` is malformed or names an algorithm that is not offered."""

    status = 400
    title = "Checksum not understood"
    slug = "upload-checksum-field"


class UploadInterruptedError(TamsoatError):
    """The connection ended, or a later request took over; what had arrived is kept."""

    status = 499
    title = "Upload interrupted"
    slug = "upload-interrupted"


@dataclass
class _Turn:
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Turns:
    """One request at a time per upload in this process; a later one makes the earlier one stop.

    A client whose line broke comes back before the server has noticed: the dead connection must not hold it up.
    """

    def __init__(self) -> None:
        self._latest: dict[str, _Turn] = {}
        self.digests = RunningDigests()

    @contextlib.asynccontextmanager
    async def take(self, upload_id: str) -> AsyncIterator[asyncio.Event]:
        """Wait for the turn; yields the event that says that a later request wants it.

        Raises:
            UploadLockedError: the earlier request does not stop (it is finishing a large file).
        """
        earlier, mine = self._latest.get(upload_id), _Turn()
        self._latest[upload_id] = mine
        try:
            if earlier is not None:
                earlier.stop.set()
                try:
                    await asyncio.wait_for(earlier.done.wait(), TURN_WAIT_S)
                except TimeoutError as error:
                    raise UploadLockedError(
                        "another request is finishing this upload; ask again in a moment"
                    ) from error
            yield mine.stop
        finally:
            mine.done.set()
            if self._latest.get(upload_id) is mine:
                del self._latest[upload_id]


@dataclass(frozen=True)
class Checksum:
    """What a PATCH says of its own bytes."""

    algorithm: str
    digest: bytes


def read_checksum(value: str | None) -> Checksum | None:
    """``Upload-Checksum``: algorithm, a space, base64.

    Raises:
        ChecksumFieldError: it is malformed or the algorithm is not offered.
    """
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise ChecksumFieldError(f"Upload-Checksum: offered are {', '.join(CHECKSUM_ALGORITHMS)}")
    try:
        return Checksum(algorithm, base64.b64decode(encoded.strip(), validate=True))
    except binascii.Error as error:
        raise ChecksumFieldError("Upload-Checksum: the value is not base64") from error


@dataclass(frozen=True)
class Patch:
    """One PATCH: where its bytes begin, how many it announces (None: chunked), what they hash to (None: not said)."""

    offset_bytes: int
    length_bytes: int | None
    checksum: Checksum | None


async def receive(
    runtime: Runtime, turns: Turns, principal: Principal, upload_id: str, patch: Patch, stream: AsyncIterator[bytes]
) -> Upload:
    """Append the bytes of ``stream``; where the file is whole then, make it a slide.

    Whatever goes wrong, everything that was written stays and the offset is true, except that bytes whose checksum
    was stated and not confirmed are dropped.

    Raises:
        UploadNotFoundError, UploadFailedError, UploadLockedError, OffsetError, UploadOverrunError, ChecksumError,
        UploadInterruptedError; and what completing raises.
    """
    async with turns.take(upload_id) as stop:
        upload = await to_thread.run_sync(resumable.load, runtime, principal, upload_id)
        resumable.check_state(upload)
        if patch.offset_bytes != upload.received_bytes:
            raise OffsetError(f"the upload stands at {upload.received_bytes}")
        if upload.state == COMPLETED:
            return upload
        if patch.length_bytes is not None and patch.offset_bytes + patch.length_bytes > upload.expected_bytes:
            raise _overrun(upload)
        sha256 = None
        if upload.received_bytes < upload.expected_bytes:
            sha256 = await _append(runtime, turns.digests, upload, patch, _until(stream, stop))
        return await _complete_if_whole(runtime, principal, upload_id, sha256)


async def inspect(runtime: Runtime, turns: Turns, principal: Principal, upload_id: str) -> Upload:
    """Where the upload stands for certain; a request that still writes it is stopped first, a whole file finished.

    Raises:
        UploadNotFoundError, UploadFailedError, UploadLockedError; and what completing raises.
    """
    async with turns.take(upload_id):
        return await _complete_if_whole(runtime, principal, upload_id, None)


async def discard(runtime: Runtime, turns: Turns, principal: Principal, upload_id: str) -> None:
    """End the upload and remove its bytes.

    Raises:
        UploadNotFoundError: there is none.
    """
    async with turns.take(upload_id):
        await to_thread.run_sync(resumable.load, runtime, principal, upload_id)
        turns.digests.forget(upload_id)
        await to_thread.run_sync(resumable.discard, runtime, upload_id, principal.actor)


async def _complete_if_whole(runtime: Runtime, principal: Principal, upload_id: str, sha256: str | None) -> Upload:
    upload = await to_thread.run_sync(resumable.load, runtime, principal, upload_id)
    if upload.state == COMPLETED or upload.received_bytes < upload.expected_bytes:
        return upload
    # Not given up when the client leaves: it will come back and ask.
    with CancelScope(shield=True):
        upload = await to_thread.run_sync(resumable.complete, runtime, principal, upload, sha256)
    return upload


async def _append(
    runtime: Runtime, digests: RunningDigests, upload: Upload, patch: Patch, stream: AsyncIterator[bytes]
) -> str | None:
    """Write ``stream`` behind what is there; returns the SHA-256 of the whole file where it is known and whole."""
    running = digests.take(upload.id, patch.offset_bytes)
    path = resumable.file_of(runtime.settings, upload.id)
    file = await to_thread.run_sync(IncomingFile, path, patch.offset_bytes, running)
    durable_bytes = patch.offset_bytes
    body = hashlib.new(patch.checksum.algorithm, usedforsecurity=False) if patch.checksum else None

    async def checkpoint() -> None:
        nonlocal durable_bytes
        if file.written_bytes > durable_bytes:
            reached_bytes = file.written_bytes
            await to_thread.run_sync(file.sync)
            await to_thread.run_sync(resumable.advance, runtime, upload.id, reached_bytes)
            durable_bytes = reached_bytes

    try:
        try:
            async for block in _blocks(stream):
                if file.written_bytes + len(block) > upload.expected_bytes:
                    raise _overrun(upload)
                await to_thread.run_sync(file.write, block)
                if body is not None:
                    body.update(block)
                elif file.written_bytes - durable_bytes >= CHECKPOINT_BYTES:
                    await checkpoint()
        except ClientDisconnect as error:
            raise UploadInterruptedError("the connection ended; what had arrived is kept") from error
        finally:
            if body is None:
                with CancelScope(shield=True):
                    await checkpoint()
        if body is not None and patch.checksum is not None:
            if not hmac.compare_digest(body.digest(), patch.checksum.digest):
                raise ChecksumError("the bytes that arrived do not have the stated checksum; send them again")
            await checkpoint()
        digests.keep(upload.id, file)
        whole = file.digest is not None and file.written_bytes == upload.expected_bytes
        return file.digest.hexdigest() if file.digest is not None and whole else None
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(file.close)


async def _blocks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
    """The bytes of ``stream`` in blocks that are worth a thread; what was gathered is handed on when it breaks off."""
    block = bytearray()
    try:
        async for chunk in stream:
            block += chunk
            if len(block) >= BLOCK_BYTES:
                yield block
                block = bytearray()
    except (ClientDisconnect, TamsoatError):
        if block:
            yield block
        raise
    if block:
        yield block


async def _until(stream: AsyncIterator[bytes], stop: asyncio.Event) -> AsyncIterator[bytes]:
    """``stream``, broken off when ``stop`` is set.

    Raises:
        UploadInterruptedError: it was.
    """
    stopped = asyncio.ensure_future(stop.wait())
    iterator = aiter(stream)
    try:
        while True:
            following = asyncio.ensure_future(anext(iterator, None))
            try:
                await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await following
            if following.cancelled():
                raise UploadInterruptedError("a later request took over; what had arrived is kept")
            chunk = following.result()
            if chunk is None:
                return
            yield chunk
    finally:
        stopped.cancel()


def _overrun(upload: Upload) -> UploadOverrunError:
    return UploadOverrunError(f"the upload was announced with {upload.expected_bytes} bytes; nothing beyond is kept")
