"""What the tab Convert shows beside sound: marks on the pad, a small table and sentences in HTML; every text is escaped."""

import html
from typing import Any

from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spec import EmotionSpec
from emotts.loop.conversion import OF_NOBODY, OF_SOURCE, OF_VOICE

from .convert_work import Around, Converted
from .tables import quiet, row, signed
from .takes import Place

KNEW = {
    OF_SOURCE: "The judge knew how the speaker sounds when neutral: in the recording itself.",
    OF_VOICE: "The judge knew how the wanted voice sounds when neutral.",
    OF_NOBODY: "The judge did not know how this speaker sounds when neutral: take its numbers loosely.",
}
TOO_LITTLE = "The judge could hear too little to say how it feels; it needs about half a second of speech."


def marks_of(around: Around) -> list[dict[str, Any]]:
    """Return what the pad shows: before, asked, after."""
    marks = [heard_mark(around.before, "before", "before")] if around.before else []
    arousal, valence, _ = around.asked
    if arousal is not None and valence is not None:
        marks.append({"arousal": arousal, "valence": valence, "kind": "asked", "text": "asked"})
    return marks + ([heard_mark(around.after, "heard", "after")] if around.after else [])


def heard_mark(heard: Heard, kind: str, text: str) -> dict[str, Any]:
    """Return a mark of the pad with its standard deviations."""
    arousal, valence, _ = heard.avd
    return {
        "arousal": arousal, "valence": valence, "kind": kind, "text": text, "std": [heard.avd_std[0], heard.avd_std[1]],
    }  # fmt: skip


def around_html(around: Around) -> str:
    """Return a table of what was heard before, asked, and heard after, and sentences on it."""
    if not around.before or not around.after:
        return quiet(TOO_LITTLE)
    rows = "".join(
        row(name, signed(was), signed(wanted), signed(now))
        for name, was, wanted, now in zip(DIMENSIONS, around.before.avd, around.asked, around.after.avd, strict=True)
    )
    head = "<tr><th></th><th>before</th><th>asked</th><th>after</th></tr>"
    way = "" if around.share is None else f"{around.share:.0%} of the way that was asked is heard. "
    heard_as = f"Heard as {around.before.label} before, {around.after.label} after. "
    return (
        f'<table class="emotts-table"><thead>{head}</thead><tbody>{rows}</tbody></table>'
        + quiet(heard_as + way + KNEW[around.told])
    )  # fmt: skip


def result_html(done: Converted) -> str:
    """Return what there is to say at once: warnings, length, speed of the computation, seed."""
    result = done.result
    warned = "".join(f'<p class="emotts-warning">{html.escape(sentence)}</p>' for sentence in result.warnings)
    facts = [
        f"{result.duration_s:.2f} s", f"{result.rtf:.2f} x real time", f"seed {result.seed}",
        f"the recording was taken for {in_words(result.source_emotion)}",
    ]  # fmt: skip
    return warned + quiet(" · ".join(facts))


def in_words(emotion: EmotionSpec) -> str:
    """Return an emotion for people: dimensions alone by their signs and two decimals, all else as it is written."""
    if emotion.mixture or not emotion.dimensions:
        return str(emotion)
    numbers = ", ".join(f"{name} {signed(value)}" for name, value in emotion.dimensions.items())
    return numbers if emotion.label in (None, "neutral") else f"{emotion.label}, {numbers}"


def asked_of(around: Around) -> Place | None:
    """Return the place for the lines of a picture; None where all of it is open."""
    return None if all(value is None for value in around.asked) else around.asked
