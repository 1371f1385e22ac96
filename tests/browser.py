"""Headless Chromium for the tests of what people see: one process for all of them, a fresh context for each page.

    from browser import assert_clean, open_page, served

    def test_greeting_is_shown():
        with served(blocks) as url, open_page(url, phone=True) as page:  # in this order
            page.get_by_role("button", name="Greet").click()
            page.get_by_text("Hello").wait_for()
            assert_clean(page)

Opening costs a second; tests that share a page may hold it in a fixture of their module and open its address `anew`. While a page
is open the thread has a running event loop (Playwright's): what calls `asyncio.run` comes before or after.

Import it before gradio. `open_page` gives a Playwright page (sync API), told, as `expect` is, to wait up to a minute for anything,
as the machine may be busy; `page.problems` collects what the console complains of, exceptions, and requests that leave the page's
own server. `shot(page, "speak-dark")` keeps a picture where the folder `EMOTTS_SHOTS` is named, and does nothing where it is not.
"""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio builds a page, so before anything imports it
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest  # noqa: E402
from playwright.sync_api import (  # noqa: E402
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    WebSocket,
    expect,
    sync_playwright,
)

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
TIMEOUT_MS = 60_000
START_S = 120  # of Chromium
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    *["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio"],
    *["--no-first-run", "--no-default-browser-check", "--disable-extensions", "--disable-quic", "--disable-sync"],
    *["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"],
    *["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--autoplay-policy=no-user-gesture-required"],
    *["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
]
expect.set_options(timeout=TIMEOUT_MS)  # which has 5 s of its own
_shared: list[str] = []  # the address of the one browser, once it runs
_driver: list[Playwright] = []  # of the pages that are open
_connections: dict[str, Browser] = {}  # of the pages that are open, by the address of their browser


def find_chromium() -> str:
    """Return the path of a Chromium: `EMOTTS_CHROMIUM`, the system's, or the one that Playwright keeps.

    Raises:
        FileNotFoundError: there is none; the tests of what people see cannot be left out.
    """
    if named := os.environ.get("EMOTTS_CHROMIUM"):
        if not Path(named).is_file():
            raise FileNotFoundError(f"EMOTTS_CHROMIUM must name a Chromium; there is no file {named!r}.")
        return named
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    with _playwright() as playwright:
        own = playwright.chromium.executable_path
    if Path(own).is_file():
        return own
    raise FileNotFoundError(
        "the tests of the demo need a browser and found none: install Debian's package chromium "
        "(apt-get install chromium), or let EMOTTS_CHROMIUM name the program."
    )


@contextmanager
def served(blocks: Any, options: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Serve a `gr.Blocks` on a free port of this machine and give its address; `options` are further ones of `launch`."""
    chosen = {"server_name": "127.0.0.1", "share": False, "ssr_mode": False, "quiet": True, **(options or {})}
    for tries_left in (2, 1, 0):
        port = _free_port()
        try:
            with mock.patch("gradio.networking.url_ok", return_value=True):  # it gives a busy machine no more than 3 s
                blocks.launch(**chosen, server_port=port, prevent_thread_lock=True)
            break
        except OSError:  # somebody else has taken the port since
            if not tries_left:
                raise
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        blocks.close(verbose=False)


@contextmanager
def open_page(
    url: str, *, phone: bool = False, dark: bool = False, microphone: Path | None = None, quiet: bool = True
) -> Iterator[Page]:
    """Open an address in a fresh context.

    Args:
        url: what to open.
        phone: 390 x 844 points with touch instead of 1280 x 900 with a mouse.
        dark: prefer dark colours.
        microphone: WAV file that the microphone hears, again and again; without it, it beeps.
        quiet: prefer reduced motion, so that nothing has to be waited for.
    """
    with _browser(microphone) as address, _connected(address) as browser:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            device_scale_factor=2 if phone else 1,
            has_touch=phone,
            is_mobile=phone,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if quiet else "no-preference",
            permissions=["microphone", "clipboard-read", "clipboard-write"],
            accept_downloads=True,
        )
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.problems = _watch(page, urlsplit(url).netloc)
        try:
            page.goto(url)
            yield page
        finally:
            context.close()


def anew(page: Page, url: str) -> Page:
    """Open an address in a page that has shown another one, whose requests are cut off and are not counted."""
    page.goto("about:blank")
    page.problems.clear()
    page.goto(url)
    return page


def assert_clean(page: Page, allowed: Sequence[str] = ()) -> None:
    """Fail if the page complained or asked another server; complaints that hold one of the `allowed` texts are expected."""
    unexpected = [problem for problem in page.problems if not any(text in problem for text in allowed)]
    assert not unexpected, "the page must be clean; got:\n" + "\n".join(unexpected)


def touch(page: Page, *points: tuple[float, float], at_s: float | None = None) -> None:
    """Put a finger on the first point of the page, draw it over the others, and lift it; needs `open_page(..., phone=True)`.

    Args:
        page, points: where.
        at_s: time that the page is told, as of `time.time()`, with 0.02 s from one step to the next; None tells the real one.
    """
    steps = [("touchMove" if number else "touchStart", [{"x": x, "y": y}]) for number, (x, y) in enumerate(points)]
    session = page.context.new_cdp_session(page)
    for number, (kind, fingers) in enumerate([*steps, ("touchEnd", [])]):
        when = {} if at_s is None else {"timestamp": at_s + 0.02 * number}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers, **when})
    session.detach()


def shot(page: Page, name: str, selector: str | None = None) -> None:
    """Write `EMOTTS_SHOTS/name.png`: the page, or the element of a selector."""
    if folder := os.environ.get("EMOTTS_SHOTS"):
        path = Path(folder) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (page.locator(selector) if selector else page).screenshot(path=path)


def component_fixtures(build: Callable[[], Any]) -> tuple[Any, Any, Any]:
    """Return the fixtures of tests that share a page: `url, desktop, page = component_fixtures(build)`, by these names.

    `build` makes the `gr.Blocks`; `url` is where they are served, and `page` shows them as they are first seen.
    """

    @pytest.fixture(scope="module")
    def url() -> Iterator[str]:
        from demo.theme import make_theme

        with served(build(), {"theme": make_theme()}) as address:
            yield address

    @pytest.fixture(scope="module")
    def desktop(url: str) -> Iterator[Page]:
        with open_page(url) as page:
            yield page

    @pytest.fixture
    def page(desktop: Page, url: str) -> Iterator[Page]:
        """The page as it is first seen; it must be clean when the test is over."""
        yield anew(desktop, url)
        assert_clean(desktop)

    return url, desktop, page


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _watch(page: Page, netloc: str) -> list[str]:
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def on_request(request: Request | WebSocket) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != netloc:
            problems.append(f"outside: {request.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on("request", on_request)
    page.on("websocket", on_request)
    return problems


@contextmanager
def _connected(address: str) -> Iterator[Browser]:
    """Give the connection that an open page has already, or a new one: two of them overwrite each other's media settings."""
    if address in _connections:
        yield _connections[address]
        return
    with _playwright() as playwright, tempfile.TemporaryDirectory(prefix="emotts-downloads-") as folder:
        _connections[address] = playwright.chromium.connect_over_cdp(
            address, timeout=1_000 * START_S, artifacts_dir=folder
        )
        try:
            yield _connections[address]
        finally:
            del _connections[address]


@contextmanager
def _playwright() -> Iterator[Playwright]:
    """Give the Playwright of the page that is open, or a new one: there can be only one in a thread."""
    if _driver:
        yield _driver[0]
        return
    with sync_playwright() as playwright:
        _driver.append(playwright)
        try:
            yield playwright
        finally:
            _driver.clear()


@contextmanager
def _browser(microphone: Path | None) -> Iterator[str]:
    """Give the address of a running browser: the shared one, or one that hears a file, as that is fixed at its start."""
    if microphone is None:
        if not _shared:
            address, process, folder = _start([])
            atexit.register(_stop, process, folder)
            _shared.append(address)
        yield _shared[0]
        return
    if not microphone.is_file():
        raise FileNotFoundError(f"microphone must be a WAV file; there is no {microphone}.")
    address, process, folder = _start([f"--use-file-for-fake-audio-capture={microphone.resolve()}"])
    try:
        yield address
    finally:
        _stop(process, folder)


def _start(flags: list[str]) -> tuple[str, subprocess.Popen, Path]:
    """Start Chromium by itself and not through Playwright, whose event loop would stay in the way of other tests."""
    folder = Path(tempfile.mkdtemp(prefix="emotts-browser-"))
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [find_chromium(), *FLAGS, *root, *flags, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    told = folder / "DevToolsActivePort"
    end = time.monotonic() + START_S
    while not (told.is_file() and "\n" in told.read_text()):
        if process.poll() is not None or time.monotonic() > end:
            _stop(process, folder)
            by_hand = " ".join(command)
            raise RuntimeError(f"{command[0]} must start within {START_S} s and did not; run it by hand: {by_hand}")
        time.sleep(0.02)
    return f"http://127.0.0.1:{told.read_text().split()[0]}", process, folder


def _stop(process: subprocess.Popen, folder: Path) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)
