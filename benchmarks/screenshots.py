"""Take the pictures of the page that README and docs/demo.md show: python benchmarks/screenshots.py (or make screenshots).

A headless Chromium opens every tab of a real page, speaks, converts, compares, listens and tells a story with the bundled model,
on a desk in light and dark and on a phone. Pictures go to docs/pictures as PNG of few colours; --output names another folder.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import open_page, served  # noqa: E402  before gradio
from PIL import Image  # noqa: E402
from playwright.sync_api import Page  # noqa: E402

from demo.app import build_app  # noqa: E402
from demo.engine import Engine  # noqa: E402
from demo.theme import STYLE, make_theme  # noqa: E402
from emotts import EmoTTS  # noqa: E402

COLOURS = 256
SETTLED_MS = 1_200  # for animations and pictures to come to rest
SLOW_MS = 90_000
NINE_HEARD = "document.querySelectorAll('#compare-cells button:not([disabled])').length >= 9"


def speak(page: Page) -> None:
    page.locator("#speak-go").click()
    page.locator("#speak-wav:enabled").wait_for(timeout=SLOW_MS)


def speak_over_time(page: Page) -> None:
    page.locator("#speak-text textarea").fill("I was calm. Then they told me. And now I want it back!")
    page.locator("#speak-text textarea").blur()
    page.locator("#speak-mode").get_by_text("Over time", exact=True).click()
    speak(page)


def convert(page: Page, recording: Path) -> None:
    upload(page, "convert", recording)
    page.get_by_role("button", name="Convert", exact=True).click()
    page.locator("#convert-wav:enabled").wait_for(timeout=SLOW_MS)


def listen(page: Page, recording: Path) -> None:
    upload(page, "listen", recording)
    page.get_by_role("button", name="Listen", exact=True).click()
    page.locator("#listen-voice td").first.wait_for(timeout=SLOW_MS)
    page.locator("#listen-view [role=img][aria-label*='Heard']").wait_for(timeout=SLOW_MS)


def compare(page: Page) -> None:
    page.locator("#compare-go").click()
    page.locator("#compare-grid-pad .legend").get_by_text("heard").wait_for(timeout=SLOW_MS)
    page.wait_for_function(NINE_HEARD, timeout=SLOW_MS)


def story(page: Page) -> None:
    page.locator("#story-go").click()
    page.locator("#story-zip:enabled").wait_for(timeout=SLOW_MS)


def upload(page: Page, tab: str, recording: Path) -> None:
    """Give a tab its recording."""
    page.locator(f"#tab-{tab} button[aria-label*='pload']").first.click()
    page.locator(f"#tab-{tab} input[type=file]").first.set_input_files(recording)


def show(page: Page, tab: str) -> None:
    """Open a tab."""
    page.locator(f"#tab-{tab}-button").wait_for(state="attached")
    page.evaluate(f"document.getElementById('tab-{tab}-button').click()")
    page.locator(f"#tab-{tab}").wait_for()


def take(page: Page, place: Path) -> None:
    """Write what the page shows, from top to bottom, in few colours."""
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=place, full_page=True)
    with Image.open(place) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(place, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs/pictures")
    parser.add_argument("--only", nargs="*", help="names of pictures")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    engine = Engine(EmoTTS.from_pretrained())
    engine.warm_up()
    recording = Path(tempfile.mkdtemp()) / "talk.wav"
    engine.tts.synthesize("We meet at nine. The rest is as you know it.", voice="max", seed=4).save(
        recording, sidecar=False
    )
    scenes: dict[str, tuple[str, Callable[[Page], None], dict[str, bool]]] = {
        "speak": ("speak", speak, {}),
        "speak-dark": ("speak", speak_over_time, {"dark": True}),
        "speak-phone": ("speak", speak, {"phone": True}),
        "convert": ("convert", lambda page: convert(page, recording), {}),
        "listen": ("listen", lambda page: listen(page, recording), {}),
        "compare": ("compare", compare, {}),
        "story": ("story", story, {}),
        "about": ("about", lambda page: None, {}),
    }
    options = {"theme": make_theme(), "css_paths": [STYLE], "footer_links": ["api"]}
    with served(build_app(engine), options) as url:
        for name, (tab, act, look) in scenes.items():
            if arguments.only and name not in arguments.only:
                continue
            with open_page(url, **look) as page:
                show(page, tab)
                act(page)
                place = arguments.output / f"{name}.png"
                take(page, place)
                print(f"{place.name}: {place.stat().st_size // 1024} kB, {len(page.problems)} problems")


if __name__ == "__main__":
    main()
