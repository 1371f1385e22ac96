"""Text in, phoneme tokens out, one chunk of speech at a time: markup, splitting, normalisation, pronunciation.

``text_to_segments`` is the way in; the modules below it can be used one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emotts.text.markup import PLACEHOLDER, Pause, Phonemes, Text, parse_markup
from emotts.text.phonemize import phonemize, phonemize_marked
from emotts.text.split import MAX_CHARS, iter_sentences

__all__ = ["Segment", "phonemize", "text_to_segments"]


@dataclass(frozen=True)
class Segment:
    """What is synthesised in one go."""

    tokens: list[str]  # with <sil> at both ends; empty when the segment is only a pause
    text: str  # as written
    pause_after_s: float | None  # silence asked for after it; None = as the voice would


def text_to_segments(
    text: str,
    language: str = "en-us",
    max_chars: int = MAX_CHARS,
    first_max_chars: int | None = None,
    backend: str = "gruut",
) -> Iterator[Segment]:
    """Turn a text of any length into segments, each made when it is asked for.

    Args:
        text: may hold markup, see ``markup.py``.
        language: ``en-us`` with gruut, any of espeak's names with espeak.
        max_chars: longest segment in characters of text.
        first_max_chars: longest first segment, to hear something sooner.
        backend: ``gruut`` or ``espeak``.

    Returns:
        Segments in order.

    Raises:
        ValueError: the markup cannot be read, or nothing in the text can be spoken.
    """
    waiting: Segment | None = None
    n_spoken = 0
    for chunk, inline, pause_s in _chunks(text, language, max_chars, first_max_chars):
        if chunk is None:
            before = waiting or Segment([], "", None)
            waiting = Segment(before.tokens, before.text, (before.pause_after_s or 0.0) + pause_s)
            continue
        tokens = phonemize_marked(chunk, inline, language, backend)
        if not tokens:
            continue
        if waiting:
            yield waiting
        waiting = Segment(tokens, _as_written(chunk, inline), None)
        n_spoken += 1
    if not n_spoken:
        phonemize(text, language, backend)  # says what is wrong
    if waiting:
        yield waiting


def _chunks(
    text: str, language: str, max_chars: int, first_max_chars: int | None
) -> Iterator[tuple[str | None, list[list[str]], float]]:
    """Yield (chunk, its inline phonemes, 0) and (None, [], pause in seconds)."""
    run: list[Text | Phonemes] = []
    for part in [*parse_markup(text, language), Pause(-1.0)]:
        if not isinstance(part, Pause):
            run.append(part)
            continue
        inline = [each.tokens for each in run if isinstance(each, Phonemes)]
        written = "".join(
            PLACEHOLDER if isinstance(each, Phonemes) else each.text.replace(PLACEHOLDER, " ") for each in run
        )
        for chunk in iter_sentences(written, max_chars, first_max_chars):
            n = chunk.count(PLACEHOLDER)
            yield chunk, inline[:n], 0.0
            inline, first_max_chars = inline[n:], None
        run = []
        if part.seconds >= 0:
            yield None, [], part.seconds


def _as_written(chunk: str, inline: list[list[str]]) -> str:
    for tokens in inline:
        chunk = chunk.replace(PLACEHOLDER, f"[[{' '.join(tokens)}]]", 1)
    return chunk
