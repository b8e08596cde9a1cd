"""Reads a slide sent as a form: its file goes straight into the incoming folder, hashed on the way."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from anyio import to_thread
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.store import incoming_folder
from tamsoat.inference_service.transport.idempotency import IdempotentRoute
from tamsoat.inference_service.transport.uploads import UploadTooLargeError
from tamsoat.inference_service.uploads import incoming
from tamsoat.inference_service.uploads.acceptance import WholeFile
from tamsoat.inference_service.uploads.incoming import IncomingFile
from tamsoat.inference_service.uploads.intent import read_digest_header
from tamsoat.inference_service.uploads.receiving import UploadInterruptedError

FILE_FIELD = "image"
FIELDS_MOST = 16


class _Parser(MultiPartParser):
    """Starlette's parser, with the one file going to ``folder``. The name that the client gave it is dropped."""

    def __init__(self, request: Request, stream: Any, folder: Path) -> None:
        super().__init__(request.headers, stream, max_files=1, max_fields=FIELDS_MOST, max_part_size=4096)
        self._folder = folder
        self.file: IncomingFile | None = None
        self.stated_sha256: str | None = None

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            part.file.file.close()
            stated = part.file.headers
            self.stated_sha256 = read_digest_header(stated.get("content-digest") or stated.get("repr-digest"))
            self.file = IncomingFile(self._folder / f"{uuid.uuid4()}.form")
            part.file = UploadFile(file=cast(io.BytesIO, self.file), size=0)


class SlideRequest(Request):
    """A request whose form was, or will be, read into the incoming folder."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, request.receive)
        self._parser: _Parser | None = None

    @property
    def stated_sha256(self) -> str | None:
        """The SHA-256 (hex) in the headers of the file's part, once the form was read."""
        return self._parser.stated_sha256 if self._parser is not None else None

    async def whole_file(self) -> WholeFile:
        """The file of the form, on disk, with the digest that was computed while it arrived.

        Raises:
            RequestValidationError: the form has no file.
            UploadTooLargeError: it is larger than a slide may be.
        """
        form = await self.form()
        file = self._parser.file if self._parser is not None else None
        if file is None or not isinstance(form.get(FILE_FIELD), UploadFile) or file.digest is None:
            raise RequestValidationError(
                [{"type": "missing", "loc": ("body", FILE_FIELD), "msg": "a file is required", "input": None}]
            )
        settings: Settings = self.app.state.settings
        if file.written_bytes > settings.max_slide_bytes:
            raise UploadTooLargeError(f"the slide is larger than the limit of {settings.max_slide_mib:g} MiB")
        await to_thread.run_sync(file.sync)
        return WholeFile(file.path, file.digest.hexdigest(), file.written_bytes)

    async def _get_form(self, **_: Any) -> FormData:
        if self._form is not None:
            return self._form
        if not self.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise HTTPException(415, "send the slide as multipart/form-data")
        folder = incoming_folder(self.app.state.settings)
        try:
            async with aclosing(self.stream()) as stream:
                self._parser = _Parser(self, stream, folder)
                self._form = await self._parser.parse()
        except MultiPartException as error:
            raise HTTPException(400, error.message) from error
        except ClientDisconnect as error:
            raise UploadInterruptedError(
                "the connection ended before the slide had arrived; nothing is kept"
            ) from error
        return self._form

    async def discard(self) -> None:
        """Remove what is left in the incoming folder."""
        if self._parser is not None and self._parser.file is not None:
            self._parser.file.close()
            await to_thread.run_sync(incoming.remove, self._parser.file.path)


class SlideRoute(IdempotentRoute):
    """A route whose endpoint, and whose idempotency key, read the form as a :class:`SlideRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if "POST" not in (self.methods or ()):
            return handle

        async def handle_form(request: Request) -> Response:
            slide_request = SlideRequest(request)
            try:
                return await handle(slide_request)
            finally:
                await slide_request.discard()

        return handle_form
