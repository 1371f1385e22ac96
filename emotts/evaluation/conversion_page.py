"""Conversions to listen to in a report: rows come in, originals and results as mp3 go out, and the section that plays them."""

import base64
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotts.emotion.labels import DIMENSIONS
from emotts.evaluation.conversion import EMOTION, VOICE, Change, converted, originals_of
from emotts.evaluation.grid import Suite
from emotts.evaluation.rows import Row

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS

N_ORIGINALS = 6
Encode = Callable[[np.ndarray, int], bytes]  # waveform [L], sample rate -> mp3


@dataclass(frozen=True)
class Pair:
    """A conversion with its sound before and after, as mp3."""

    row: Row
    before: bytes
    after: bytes


def make_pairs(
    tts: "EmoTTS",
    rows: Sequence[Row],
    suite: Suite,
    voices: Sequence[str],
    seed: int,
    encode: Encode,
    recordings: Sequence[Path] = (),
) -> list[Pair]:
    """Convert some originals again: of each kind N_ORIGINALS at most, each to its first emotion and its first voice.

    Args:
        rows: those of results.jsonl.
        suite, voices, seed, recordings: as the rows were made with.
    """
    done: dict[str, int] = {}
    pairs = []
    for original in originals_of(tts, suite, voices, seed, recordings):
        done[original.kind] = done.get(original.kind, 0) + 1
        if done[original.kind] > N_ORIGINALS:
            continue
        own = [row for row in rows if (row.get("kind"), row.get("original")) == (original.kind, original.name)]
        for part in (EMOTION, VOICE):
            row = next((row for row in own if row["part"] == part and "error" not in row), None)
            if row is not None:
                change = Change(part, row["label_asked"], row["intensity_asked"], row["target"])
                result = converted(tts, original, change, seed)
                before = encode(original.wave(), tts.sample_rate)
                pairs.append(Pair(row, before, encode(result.waveform, result.sample_rate)))
    return pairs


def conversion_section(pairs: Sequence[Pair], judges: Sequence[str]) -> str:
    """Return a card for each pair, with what each judge heard: arousal, valence, dominance."""
    cards = "".join(_card(pair, judges) for pair in pairs)
    return f'<div class="clips">{cards}</div>'


def _card(pair: Pair, judges: Sequence[str]) -> str:
    row = pair.row
    asked = f"voice of {row['target']}" if row["part"] == VOICE else row["label_asked"]
    heard = "".join(
        f"<br>{_escape(judge)}: {_escape(row[f'label_{judge}'])} "
        + " ".join(f"{row[f'{name}_{judge}']:+.2f}" for name in DIMENSIONS)
        for judge in judges
        if f"label_{judge}" in row
    )
    return (
        f"<figure><figcaption><b>{_escape(asked)}</b><span>{_escape(row['original'])}{heard}</span></figcaption>"
        f'<span class="note">before</span>{_player(pair.before)}<span class="note">after</span>{_player(pair.after)}</figure>'
    )


def _player(audio: bytes) -> str:
    return f'<audio controls preload="none" src="data:audio/mpeg;base64,{base64.b64encode(audio).decode()}"></audio>'


def _escape(text: object) -> str:
    return html.escape(str(text), quote=True)
