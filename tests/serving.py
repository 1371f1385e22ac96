"""A server on a free port of this machine for as long as a test needs it, and raw requests to it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from emotts.server.run import address_of, listen, serve


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an app and give its address, such as http://127.0.0.1:41234, once the model speaks."""
    listening = listen("127.0.0.1", 0)
    servers: list = []
    thread = threading.Thread(target=serve, args=(app, listening, servers.append), daemon=True)
    thread.start()
    address = address_of(listening).removesuffix("/v1")
    try:
        while httpx.get(f"{address}/readyz").status_code != 200:
            time.sleep(0.05)
        yield address
    finally:
        servers[0].should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


def connect(address: str) -> socket.socket:
    """Open a connection on which raw bytes can be sent."""
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def recording(path: Path) -> tuple[str, bytes]:
    """Return a file as a form holds it."""
    return path.name, path.read_bytes()
