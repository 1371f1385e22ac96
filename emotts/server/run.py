"""An app on an address until it is interrupted; connections that say nothing are not kept."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0  # until the head of a request must be there
KEEP_ALIVE_S = 5
GRACE_S = 5  # for replies that are on their way when the server ends
WRITE_S = 120.0  # in which a client takes something of what is waiting for it
MAX_CONNECTIONS = 512  # each holds a file; beyond, 503
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
MAX_HEAD_BYTES = 16_384


class ImpatientProtocol(H11Protocol):
    """Closes a connection on which the head of the next request does not come, or nothing is taken of what is sent."""

    stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_a_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_a_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled = self.loop.call_later(WRITE_S, self.transport.abort)  # closing would wait for the client

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stalled is not None:
            self.stalled.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.stalled is not None:
            self.stalled.cancel()

    def _expect_a_request(self) -> None:
        last = self.cycle

        def give_up() -> None:
            if self.cycle is last and not self.transport.is_closing():
                self.transport.close()

        self.loop.call_later(HEAD_S, give_up)


def listen(host: str, port: int) -> socket.socket:
    """Open a socket; port 0 takes any that is free.

    Raises:
        ValueError: no such address. OSError: the port is taken or not allowed.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except (OSError, UnicodeError):
        raise ValueError(f"--host must be a name or an address of this machine; got {host!r:.80}.") from None
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise ValueError(f"--host must be an address of this machine; got {host!r:.80}.") from None
        raise OSError(
            error.errno, f"port {port} of {host} cannot be used ({error.strerror}); try another --port"
        ) from None


def address_of(listening: socket.socket) -> str:
    """Return the address at which clients find a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def serve(app: FastAPI, listening: socket.socket, on_server: Callable[[uvicorn.Server], None] | None = None) -> None:
    """Answer requests until the process is interrupted; `on_server` is given the server, whose `should_exit` ends it too."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app, http=ImpatientProtocol, ws="none", lifespan="on", log_level="warning", access_log=False, server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=GRACE_S, limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    if on_server is not None:
        on_server(server)
    server.run(sockets=[listening])
