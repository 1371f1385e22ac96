"""What happens to every request before a route sees it: it is counted, its token is looked at, and its body
is bounded in size and time."""

import asyncio
import hmac
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotts.server.errors import ApiError, error_reply
from emotts.server.metrics import Metrics
from emotts.server.worker import Worker

OPEN = ("/healthz", "/readyz")  # for whoever watches over the server; they tell nothing
UPLOADS = ("/v1/audio/convert", "/v1/audio/hear")
BYTES_PER_CHAR = 12  # a character as two escapes of JSON
MIN_JSON_BYTES = 200_000
REST_BYTES = 64_000  # for everything beside the text or the recording
DRAIN_S, DRAIN_FACTOR = 3.0, 3  # how long and how much of a refused body is still taken


class Counted:
    """Counts every request by its route and the status of its answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.count(route, status, time.perf_counter() - start)


class TokenGuard:
    """Lets in who knows the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        given = HTTPConnection(scope).headers.get("authorization", "").encode("utf-8", "replace")
        if hmac.compare_digest(given, self.expected):
            await self.app(scope, receive, send)
            return
        message = "the token is missing or wrong; send it as Authorization: Bearer TOKEN."
        headers = {"WWW-Authenticate": "Bearer", "Connection": "close"}
        await error_reply(401, message, headers=headers)(scope, receive, send)


class BodyGuard:
    """Refuses bodies that are too large or too slow while they come, and everything that computes while the queue is full."""

    def __init__(self, app: ASGIApp, worker: Worker, stall_s: float) -> None:
        """Prepare; `stall_s` is the longest pause within a body, all of which may take the time limit of a request."""
        self.app, self.worker, self.stall_s = app, worker, stall_s
        self.n_uploads = 0  # that are being received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        limits, is_upload = self.worker.limits, scope["path"] in UPLOADS
        most = limits.max_upload_bytes if is_upload else max(MIN_JSON_BYTES, BYTES_PER_CHAR * limits.max_text_chars)
        body = _Body(
            receive, most + REST_BYTES, self.stall_s, limits.timeout_s, self._upload_ended if is_upload else None
        )
        self.n_uploads += is_upload
        try:
            body.check_length(HTTPConnection(scope).headers.get("content-length"))
            self.worker.check_room()
            if is_upload and self.n_uploads > limits.max_waiting:
                raise ApiError(429, "too many uploads are on their way; come again soon.", headers={"Retry-After": "5"})
            await self.app(scope, body, send)
        except ApiError as error:  # of the lines above; the app answers its own
            body.finish()
            await body.drain()
            headers = {**(error.headers or {}), **({} if body.is_complete else {"Connection": "close"})}
            await error_reply(error.status_code, error.detail, error.param, error.code, headers)(scope, receive, send)
        finally:
            body.finish()

    def _upload_ended(self) -> None:
        self.n_uploads -= 1


class _Body:
    """A `receive` that fails once a body has become too large or takes too long."""

    def __init__(
        self, receive: Receive, most: int, stall_s: float, whole_s: float, at_end: Callable[[], None] | None
    ) -> None:
        self.receive, self.most, self.stall_s, self.at_end = receive, most, stall_s, at_end
        self.end = time.monotonic() + whole_s
        self.n_bytes, self.is_complete = 0, False

    async def __call__(self) -> Message:
        if self.is_complete:
            return await self.receive()  # which waits until the client leaves
        try:
            async with asyncio.timeout(min(self.stall_s, max(0.0, self.end - time.monotonic()))):
                message = await self.receive()
        except TimeoutError:
            raise ApiError(408, "the body came too slowly; send it again.", headers={"Connection": "close"}) from None
        self.n_bytes += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.is_complete = True
            self.finish()
        if self.n_bytes > self.most:
            await self.drain()
            raise self._too_large()
        return message

    def check_length(self, told: str | None) -> None:
        if told is not None and told.isascii() and told.isdigit() and int(told[:20]) > self.most:
            raise self._too_large()

    async def drain(self) -> None:
        """Drop what is still coming, up to a bound: a client that is cut off while it sends does not read the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self.is_complete and self.n_bytes < DRAIN_FACTOR * self.most:
                    message = await self.receive()
                    self.n_bytes += len(message.get("body", b""))
                    self.is_complete = message["type"] == "http.disconnect" or not message.get("more_body", False)

    def finish(self) -> None:
        """Say that nothing more is awaited; may be said twice."""
        if self.at_end is not None:
            self.at_end()
            self.at_end = None

    def _too_large(self) -> ApiError:
        return ApiError(
            413, f"the body must have at most {self.most / 1e6:g} MB; it has more.", headers={"Connection": "close"}
        )
