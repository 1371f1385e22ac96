"""A server on a free port of this machine for as long as a test needs it, and raw requests to it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
from fastapi import FastAPI

from emotts.server.run import address_of, listen, serve

PATIENCE_S = 60  # for an answer; a busy machine takes longer than the 5 s of httpx
get, post, options, request = (
    partial(call, timeout=PATIENCE_S) for call in (httpx.get, httpx.post, httpx.options, httpx.request)
)


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an app and give its address, such as http://127.0.0.1:41234, once the model speaks."""
    listening = listen("127.0.0.1", 0)
    servers: list = []
    thread = threading.Thread(target=serve, args=(app, listening, servers.append), daemon=True)
    thread.start()
    address = address_of(listening).removesuffix("/v1")
    try:
        end = time.monotonic() + 180
        while get(f"{address}/readyz").status_code != 200:
            assert thread.is_alive(), "the server ended before the model spoke"
            assert time.monotonic() < end, "the model never spoke"
            time.sleep(0.05)
        yield address
    finally:
        for server in servers:  # none where it ended before there was one
            server.should_exit = True
        thread.join(timeout=120)
        assert not thread.is_alive()


def connect(address: str) -> socket.socket:
    """Open a connection on which raw bytes can be sent."""
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def recording(path: Path) -> tuple[str, bytes]:
    """Return a file as a form holds it."""
    return path.name, path.read_bytes()
