"""Serve the page: Gradio blocks and an engine come in, an address goes out.

Careful by default: this machine only, nothing shared or measured, uploads limited, and in every answer a policy that keeps browsers
from asking any other host for anything.
"""

import errno
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio import processing_utils
from starlette.middleware.trustedhost import TrustedHostMiddleware

from emotts.server.run import LOOPBACK, listen
from emotts.server.run import serve as serve_asgi

from .engine import Engine
from .theme import STYLE, make_theme

HOST, FIRST_PORT, PORTS = "127.0.0.1", 7_860, 100
SESSIONS = 100  # whose takes are remembered; Gradio would keep 10,000, some 0.4 MB each
START_S = 60.0
CLEAN_S = 60.0
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio's components are made from texts
        "style-src 'self' 'unsafe-inline'",
        *(f"{kind}-src 'self' data: blob:" for kind in ("img", "media", "font", "connect")),
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
}  # fmt: skip

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Page:
    """A page that is being served; `url` is its address."""

    def __init__(self, app: FastAPI, url: str, door: socket.socket) -> None:
        self.url, self._door = url, door
        servers: list[uvicorn.Server] = []
        self._thread = threading.Thread(target=serve_asgi, args=(app, door, servers.append), daemon=True)
        self._thread.start()
        end = time.monotonic() + START_S
        while not (servers and servers[0].started):
            if not self._thread.is_alive() or time.monotonic() > end:
                raise OSError(f"the page did not start within {START_S:.0f} s; the lines above may say why.")
            time.sleep(0.02)
        self._server = servers[0]

    def wait(self, clean: Callable[[], None]) -> None:
        """Wait until it is stopped or interrupted; `clean` is called every CLEAN_S."""
        cleaned = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.2)
            if time.monotonic() - cleaned > CLEAN_S:
                clean()
                cleaned = time.monotonic()

    def close(self) -> None:
        """Stop it and wait until it has stopped."""
        self._server.should_exit = True
        self._thread.join(10.0)
        self._door.close()


class Headers:
    """ASGI middleware that puts HEADERS into every answer."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self.extra]
            await send(message)

        await self.app(scope, receive, send_more if scope["type"] == "http" else send)


def serve(
    app: gr.Blocks,
    engine: Engine,
    host: str = HOST,
    port: int | None = None,
    auth: list[tuple[str, str]] | None = None,
) -> Page:
    """Serve the app in the background.

    Args:
        app, engine: as built. host: whom to answer. port: None takes the first free one from FIRST_PORT.
        auth: names and passwords; None lets all in.

    Raises:
        ValueError: no such address. OSError: the port is taken.
    """
    processing_utils.async_ssrf_protected_download = _fetch_nothing  # a forged file could name an address
    door = _first_free(host) if port is None else listen(host, port)
    number = door.getsockname()[1]
    app.state_session_capacity = SESSIONS
    app.has_launched = app.is_running = True  # or Gradio would not ask whether a file that is named was uploaded
    whole = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    whole.add_middleware(Headers)
    if host in LOOPBACK:  # a page elsewhere whose name was bent to this machine is not answered
        whole.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    gr.mount_gradio_app(
        whole, app, path="/", server_name=host, server_port=number, auth=auth, show_error=False,
        max_file_size=engine.limits.max_upload_bytes, allowed_paths=[], ssr_mode=False, enable_monitoring=False, pwa=False,
        mcp_server=False, run_history=False, footer_links=["api"], theme=make_theme(), css_paths=[STYLE],
    )  # fmt: skip
    return Page(whole, f"http://{f'[{host}]' if ':' in host else host}:{number}/", door)


async def _fetch_nothing(url: str, cache_dir: str) -> str:
    raise ValueError("a file must be uploaded; addresses are not fetched.")


def _first_free(host: str) -> socket.socket:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        try:
            return listen(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(
        f"the ports {FIRST_PORT} to {FIRST_PORT + PORTS - 1} of {host} are all taken; name another with --port."
    )
