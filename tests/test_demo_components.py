"""What the components of the page have in common: an update that comes before they are shown loses nothing."""

from collections.abc import Iterator

import gradio as gr
import pytest
from browser import assert_clean, open_page, served  # before gradio

from demo.compare_cells import CellGrid
from demo.components.emotion_pad import EmotionPad
from demo.components.keyframes import preset
from demo.components.speech_view import SpeechView
from demo.components.trajectory import TrajectoryEditor

QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gr.Blocks(analytics_enabled=False) as blocks:
        update, show = gr.Button("update"), gr.Button("show")
        with gr.Column(visible=False) as hidden:
            pad = EmotionPad({"arousal": 0.5, "valence": 0.5}, interactive=False, elem_id="pad", label="Where")
            editor = TrajectoryEditor(preset("rise", "angry"), words=["one", "two"], elem_id="editor")
            view = SpeechView(None, elem_id="view", placeholder="Nothing is said.")
            cells = CellGrid(elem_id="cells", label="Nine")
        marks = [{"arousal": 0.1, "valence": 0.2, "kind": "heard", "text": "heard"}]
        update.click(
            lambda: (gr.update(marks=marks), gr.update(words=["three", "more", "words"], ends=[0.2, 0.5, 1.0]), None, None),
            None, [pad, editor, view, cells], **QUIET,
        )  # fmt: skip
        show.click(lambda: gr.update(visible=True), None, hidden, **QUIET)
    with served(blocks) as url:
        yield url


def test_an_update_before_a_component_is_shown_loses_nothing(url: str) -> None:
    with open_page(url) as page:
        page.get_by_role("button", name="update").click()
        page.wait_for_timeout(300)
        page.get_by_role("button", name="show").click()
        page.locator("#pad .anchor").nth(11).wait_for()
        page.locator("#pad .legend").get_by_text("heard").wait_for()
        assert page.locator("#pad [role=slider]").count() == 0 or not page.locator("#pad [role=slider]").is_visible()
        page.locator("#editor .words").get_by_text("more").wait_for()
        assert page.locator("#editor [role=radio]").count() == 3
        page.get_by_text("Nothing is said.").wait_for()
        assert page.locator("#cells button").count() == 9
        assert_clean(page)


def test_words_stand_where_they_end(url: str) -> None:
    with open_page(url) as page:
        page.get_by_role("button", name="update").click()
        page.wait_for_timeout(300)
        page.get_by_role("button", name="show").click()
        words = page.locator("#editor .words span")
        words.nth(2).wait_for()
        plot = page.locator("#editor .words").bounding_box()
        assert plot
        middles = [
            (box["x"] + box["width"] / 2 - plot["x"]) / plot["width"] for box in (w.bounding_box() for w in words.all())
        ]
        assert middles == pytest.approx([0.1, 0.35, 0.75], abs=0.03)


def test_ends_that_are_not_those_of_the_words_are_refused() -> None:
    for ends in ([0.5], [0.9, 0.1], [0.5, 2.0]):
        with pytest.raises(ValueError, match="ends must be"):
            TrajectoryEditor(words=["a", "b"], ends=ends)
