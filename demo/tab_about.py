"""About: the model at work comes in; its card, its parts, and what may be done with it go out."""

import html
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gradio as gr

from emotts import __version__
from emotts.checkpoint.shipped import PACKAGE
from emotts.emotion.labels import DIMENSIONS, LABELS

from .engine import Engine
from .room import Room
from .tables import row
from .widgets import told

CARDS = (PACKAGE / "_model_card.md", PACKAGE.parent / "checkpoints" / "README.md")  # installed, or in the repository
LIBRARIES = ("torch", "numpy", "soundfile", "gradio")
CONSENT = """### Whose voice it is

The voices that speak here belong to nobody: they are synthetic. A recording that you convert belongs to a person. Convert it only
if that person agrees, and say that the result is synthetic. It must not be used to pass for a real person.

### Every file says what it is

Each WAV, FLAC and MP3 holds in its metadata that it is synthetic, which model made it, and how; the tab *Listen* and
`emotts inspect` read it. It is a statement, not a proof: anybody can remove it.

### What stays here

Nothing leaves this machine: no share link, no analytics, no fonts or scripts from elsewhere. What you upload, and what is made of
it, is kept in a private folder for an hour and goes when the program ends.

### What the numbers mean

**Arousal** is how agitated a voice is, **valence** how pleasant the feeling, **dominance** how much in command. A judge of these
learnt from simulated emotion: it says what acoustics says, not what somebody feels.
"""


def build_about_tab(room: Room) -> None:
    """Build the tab and its endpoint `/about`."""
    facts = about(room.engine)
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(scale=5, min_width=320):
            gr.Markdown(CONSENT, elem_id="about-consent")
            gr.HTML(voices_html(facts), elem_id="about-voices")
        with gr.Column(scale=5, min_width=320):
            gr.HTML(model_html(facts), elem_id="about-model")
    if (card := model_card(room.engine)) is not None:
        with gr.Accordion("Model card: data, training, what it reaches, limits", open=False, elem_id="about-card"):
            gr.Markdown(card)

    def about_endpoint() -> dict[str, Any]:
        """Tell which model is at work, its voices and labels, and how much may be asked for at once."""
        return about(room.engine)

    gr.api(told(about_endpoint), api_name="about", queue=False)


def about(engine: Engine) -> dict[str, Any]:
    """Return the model, its parts, voices, labels, limits and versions, ready for JSON."""
    tts, limits = engine.tts, engine.limits
    return {
        "model": tts.card.name, "manifest_sha256": tts.card.manifest_sha256, "steps": dict(tts.card.steps),
        "licence": str(tts.metadata.get("licence", "unknown")), "data": str(tts.metadata.get("data", "unknown")),
        "parameters": dict(tts.describe()), "sample_rate": tts.sample_rate, "labels": list(LABELS), "dimensions": list(DIMENSIONS),
        "voices": [
            {"name": card.name, "gender": card.gender, "accent": card.accent, "licence": card.licence,
             "description": card.description}
            for card in tts.voices
        ],
        "limits": {
            "text_chars": limits.max_text_chars, "upload_bytes": limits.max_upload_bytes,
            "recording_s": limits.max_recording_s, "rows": limits.max_rows, "waiting": limits.max_waiting,
        },
        "version": __version__, "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }  # fmt: skip


def model_html(facts: dict[str, Any]) -> str:
    """Return tables of the model, its parts, and what may be asked for."""
    limits = facts["limits"]
    model = {
        "model": facts["model"] or "unnamed", "data": facts["data"], "licence": facts["licence"],
        "manifest": f"sha256 {facts['manifest_sha256'][:16]}…" if facts["manifest_sha256"] else "none",
        "sound": f"{facts['sample_rate'] / 1e3:g} kHz", "version": f"emotts {facts['version']}",
        "libraries": ", ".join(f"{name} {found}" for name, found in facts["libraries"].items()),
        "at most": f"{limits['text_chars']} characters, {limits['recording_s']:g} s of recording, "
        f"{limits['upload_bytes'] / 1e6:g} MB, {limits['rows']} rows",
    }  # fmt: skip
    parts = "".join(row(name, f"{count:,}") for name, count in facts["parameters"].items())
    head = '<tr><th class="text">part</th><th>parameters</th></tr>'
    told = "".join(
        f'<tr><th scope="row">{name}</th><td class="text">{html.escape(text)}</td></tr>' for name, text in model.items()
    )
    return (
        f'<h3>The model</h3><table class="emotts-table"><tbody>{told}</tbody></table>'
        f'<h3>Its parts</h3><table class="emotts-table"><thead>{head}</thead><tbody>{parts}</tbody></table>'
    )  # fmt: skip


def voices_html(facts: dict[str, Any]) -> str:
    """Return a table of the voices."""
    names = ("name", "gender", "accent", "description", "licence")
    head = "".join(f'<th class="text">{name}</th>' for name in names)
    rows = "".join(
        "<tr>" + "".join(f'<td class="text {name}">{html.escape(card[name])}</td>' for name in names) + "</tr>"
        for card in facts["voices"]
    )
    return (
        '<h3>Its voices</h3><div class="emotts-scroll"><table class="emotts-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def model_card(engine: Engine) -> str | None:
    """Return the card of the model at work, where this is the bundled one and its card is here."""
    card = next((place for place in CARDS if place.is_file()), None)
    if card is None:
        return None
    text = card.read_text(encoding="utf-8")
    name = engine.tts.card.name
    if not name or name not in text.splitlines()[0]:
        return None
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)  # links into the repository lead nowhere here


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
