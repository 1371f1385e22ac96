"""The helper that drives a browser: it sees complaints of the console, exceptions, and whatever leaves the page's own server."""

import asyncio
from pathlib import Path

import browser
import pytest
from browser import assert_clean, find_chromium, open_page

EMPTY = "data:text/html,<p>nothing</p>"


def test_complaints_and_requests_to_other_servers_are_seen() -> None:
    with open_page(EMPTY) as page:
        assert_clean(page)
        page.evaluate("console.error('broken'); setTimeout(() => { throw new Error('thrown') })")
        page.evaluate("fetch('http://example.invalid/font.woff2').catch(() => {})")
        page.evaluate("new WebSocket('ws://example.invalid/socket')")
        page.wait_for_timeout(200)
        found = "\n".join(page.problems)
        for part in (
            "console: broken",
            "thrown",
            "outside: http://example.invalid/font",
            "outside: ws://example.invalid/",
        ):
            assert part in found
        with pytest.raises(AssertionError, match="the page must be clean"):
            assert_clean(page, allowed=["broken"])
        assert_clean(page, allowed=["broken", "thrown", "example.invalid", "ERR_NAME_NOT_RESOLVED"])


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
