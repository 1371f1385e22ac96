"""The helper that drives a browser: it sees complaints of the console, exceptions, and whatever leaves the page's own server."""

import asyncio
import socket
from pathlib import Path

import browser
import pytest
from browser import assert_clean, find_chromium, open_page, served

EMPTY = "data:text/html,<p>nothing</p>"


def test_complaints_and_requests_to_other_servers_are_seen() -> None:
    with open_page(EMPTY) as page:
        assert_clean(page)
        page.evaluate("console.error('broken'); setTimeout(() => { throw new Error('thrown') })")
        page.evaluate("fetch('http://example.invalid/font.woff2').catch(() => {})")
        page.evaluate("new WebSocket('ws://example.invalid/socket')")
        parts = ("console: broken", "thrown", "outside: http://example.invalid/font", "outside: ws://example.invalid/")
        for _ in range(600):
            found = "\n".join(page.problems)
            if all(part in found for part in parts):
                break
            page.wait_for_timeout(50)
        assert [part for part in parts if part not in found] == []
        with pytest.raises(AssertionError, match="the page must be clean"):
            assert_clean(page, allowed=["broken"])
        assert_clean(page, allowed=["broken", "thrown", "example.invalid", "ERR_NAME_NOT_RESOLVED"])


def test_a_port_that_is_taken_meanwhile_is_left_to_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    import gradio as gr

    with gr.Blocks() as blocks:
        gr.Markdown("Served.")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, free = other.getsockname()[1], browser._free_port()
        ports = [taken, taken, free]
        monkeypatch.setattr(browser, "_free_port", lambda: ports.pop(0))
        with served(blocks) as url:
            assert url == f"http://127.0.0.1:{free}/"
        ports += [taken] * 3
        with pytest.raises(OSError, match="Cannot find empty port"), served(blocks):
            pass


def test_pages_have_settings_of_their_own() -> None:
    look = (
        "[innerWidth, ...['(prefers-color-scheme: dark)', '(prefers-reduced-motion)'].map(q => matchMedia(q).matches)]"
    )
    with open_page(EMPTY) as desktop, open_page(EMPTY, phone=True, dark=True, quiet=False) as phone:
        assert desktop.evaluate(look) == [1280, False, True]
        assert phone.evaluate(look)[1:] == [True, False]
        assert phone.evaluate("navigator.maxTouchPoints") > 0


def test_other_tests_may_use_asyncio_when_no_page_is_open() -> None:
    with open_page(EMPTY):
        pass
    assert asyncio.run(asyncio.sleep(0, "slept")) == "slept"


def test_missing_browser_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMOTTS_CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="EMOTTS_CHROMIUM must name a Chromium; there is no file"):
        find_chromium()
    monkeypatch.delenv("EMOTTS_CHROMIUM")
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="install Debian's package chromium .* or let EMOTTS_CHROMIUM name"):
        find_chromium()
