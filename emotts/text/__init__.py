"""Text in, phoneme tokens out, one chunk of speech at a time: markup, splitting, normalisation, pronunciation.

``text_to_segments`` is the way in; the modules below it can be used one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from emotts.text.markup import PLACEHOLDER, Part, Pause, ReadSpan, Text, parse_markup
from emotts.text.phonemize import phonemize, phonemize_marked, written_words
from emotts.text.spans import NO_SPAN, Chunk, Run, State
from emotts.text.split import MAX_CHARS
from emotts.text.symbols import is_pause

__all__ = ["NO_SPAN", "Segment", "phonemize", "text_to_segments"]


@dataclass(frozen=True)
class Segment:
    """What is synthesised in one go.

    Attributes:
        tokens: with <sil> at both ends; empty when the segment is only a pause.
        text: as written, without the marks of spans and emphasis.
        pause_after_s: silence asked for after it; None = as the voice would.
        spans: number of the innermost span that each token is in, counted through the whole text; `NO_SPAN` outside.
            A pause goes with the word before it, the first with the word after it.
        emphasis: whether each token is of an emphasised word; never a pause.
        words: which word of the segment each token is of, from 0; -1 for pauses.
    """

    tokens: list[str]
    text: str
    pause_after_s: float | None
    spans: tuple[int, ...] = ()
    emphasis: tuple[bool, ...] = ()
    words: tuple[int, ...] = ()


def text_to_segments(
    text: str,
    language: str = "en-us",
    max_chars: int = MAX_CHARS,
    first_max_chars: int | None = None,
    backend: str = "gruut",
    read_span: ReadSpan | None = None,
) -> Iterator[Segment]:
    """Turn a text of any length into segments, each made when it is asked for.

    Args:
        text: may hold markup, see ``markup.py``.
        language: ``en-us`` with gruut, any of espeak's names with espeak.
        max_chars: longest segment in characters of text.
        first_max_chars: longest first segment, to hear something sooner.
        backend: ``gruut`` or ``espeak``.
        read_span: reads the tag at the start of a span, see ``parse_markup``; None allows no spans.

    Returns:
        Segments in order.

    Raises:
        ValueError: the markup cannot be read, or nothing in the text can be spoken.
    """
    waiting: Segment | None = None
    n_spoken = 0
    parts = parse_markup(text, language, read_span)
    for chunk in _chunks(parts, max_chars, first_max_chars, language):
        if isinstance(chunk, Pause):
            before = waiting or Segment([], "", None)
            waiting = replace(before, pause_after_s=(before.pause_after_s or 0.0) + chunk.seconds)
            continue
        segment = _segment(chunk, language, backend)
        if not segment.tokens:
            continue
        if waiting:
            yield waiting
        waiting = segment
        n_spoken += 1
    if not n_spoken:
        plain = " ".join(part.text for part in parts if isinstance(part, Text)).strip()
        if plain:
            phonemize(plain, language, backend)  # says what is wrong
        raise ValueError(f"there is nothing speakable in the text; got {text[:60]!r}.")
    if waiting:
        yield waiting


def _chunks(parts: list[Part], max_chars: int, first_max_chars: int | None, language: str) -> Iterator[Chunk | Pause]:
    run: list[Part] = []
    open_spans: list[int] = []
    for part in [*parts, Pause(-1.0)]:
        if not isinstance(part, Pause):
            run.append(part)
            continue
        for chunk in Run(run, open_spans).chunks(max_chars, first_max_chars, language):
            yield chunk
            first_max_chars = None
        run = []
        if part.seconds >= 0:
            yield part


def _segment(chunk: Chunk, language: str, backend: str) -> Segment:
    tokens, written = phonemize_marked(chunk.text, chunk.inline, language, backend)
    text = chunk.text
    for phonemes in chunk.inline:
        text = text.replace(PLACEHOLDER, f"[[{' '.join(phonemes)}]]", 1)
    states = _token_states(chunk, written, partial(written_words, language=language, backend=backend))
    spans = tuple(state.span for state in states)
    emphasis = tuple(state.is_emphasised and word >= 0 for state, word in zip(states, written, strict=True))
    return Segment(tokens, text, None, spans, emphasis, _count_words(tokens))


def _token_states(chunk: Chunk, written: list[int], read_words: partial[list[str]]) -> list[State]:
    """Return the state of each token; a pause has that of the word before it."""
    if len(chunk.changes) == 1 or not written:
        return [chunk.changes[0][1]] * len(written)
    of_words = chunk.states(read_words)
    state = of_words[next(word for word in written if word >= 0)]
    states = []
    for word in written:
        state = of_words[word] if word >= 0 else state
        states.append(state)
    return states


def _count_words(tokens: list[str]) -> tuple[int, ...]:
    numbers, word, is_inside = [], -1, False
    for token in tokens:
        if not is_pause(token) and not is_inside:
            word += 1
        is_inside = not is_pause(token)
        numbers.append(word if is_inside else -1)
    return tuple(numbers)
