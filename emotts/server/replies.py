"""Sound on its way to a client: pieces of a job come in; a whole file, a stream of bytes or OpenAI's events go out.

Whoever leaves, or takes nothing for too long, is waited for no longer, and nothing more is computed for them.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from emotts.server.errors import LOG, UNSAID, ApiError, ClientGoneError
from emotts.server.worker import Job, Piece

T = TypeVar("T")
SSE = "text/event-stream"


async def while_there(receive: Callable[[], Awaitable[Message]], work: Awaitable[T], timeout_s: float) -> T:
    """Wait for work as long as somebody wants it.

    Raises:
        ClientGoneError: the client left. ApiError: 504, it took too long.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({task, gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGoneError
        raise ApiError(504, f"it took longer than {timeout_s:g} s; the server is busy or the text is long. Try again.")
    finally:
        for waiting in (task, gone):
            waiting.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


class SoundStream(Response):
    """A reply that is sent piece by piece, the first of which is there already."""

    def __init__(self, job: Job, first: Piece, media_type: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self.job, self.first, self.timeout_s = job, first, timeout_s
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; a failure in the midst breaks the connection off, as the status is out already."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            send = _in_time(send, self.timeout_s)
            piece = self.first
            while True:
                if piece.data:
                    await self._send(send, self.framed(piece.data))
                if piece.is_last:
                    break
                piece = await while_there(receive, self.job.next_piece(), self.timeout_s)
            await self._send(send, self.end(), more=False)
        except (ClientGoneError, TimeoutError):
            pass  # nobody takes it
        except Exception:
            LOG.exception("a reply broke off")
            await self.break_off(send)
        finally:
            self.job.close()

    def framed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""

    async def break_off(self, send: Send) -> None:
        """Fail so that the client sees that it is not all."""
        raise ConnectionAbortedError("the reply is not complete")

    @staticmethod
    async def _send(send: Send, body: bytes, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})


class EventStream(SoundStream):
    """The same as server-sent events, as OpenAI's `stream_format` "sse"."""

    def __init__(self, job: Job, first: Piece, n_input: int, headers: Mapping[str, str], timeout_s: float) -> None:
        super().__init__(job, first, SSE, {**headers, "Cache-Control": "no-store"}, timeout_s)
        self.n_input, self.n_output = n_input, 0

    def framed(self, data: bytes) -> bytes:
        self.n_output += len(data)
        return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})

    def end(self) -> bytes:
        usage = {
            "input_tokens": self.n_input, "output_tokens": self.n_output, "total_tokens": self.n_input + self.n_output,
        }  # fmt: skip
        return _event({"type": "speech.audio.done", "usage": usage})

    async def break_off(self, send: Send) -> None:
        told = {"message": UNSAID, "type": "server_error", "param": None, "code": "server_error"}
        await self._send(send, _event({"type": "error", "error": told}), more=False)


def _in_time(send: Send, timeout_s: float) -> Send:
    """Return a `send` that fails with a TimeoutError where the client takes nothing for too long."""

    async def bounded(message: Message) -> None:
        await asyncio.wait_for(send(message), timeout_s)

    return bounded


async def _until_gone(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(content: dict[str, object]) -> bytes:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()
