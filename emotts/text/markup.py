"""Text with inline markup in, its parts out: words to read, ``[[phonemes]]`` to take as they are, ``[pause 300ms]``,
and the tags between which something else is said of the words, ``[sad:.3]I waited.[/]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from re import Match

from emotts.text.symbols import parse_phonemes

MAX_PAUSE_S = 10.0
PLACEHOLDER = (
    "ǂ"  # stands for the next [[...]] while a sentence is split and normalised; no English text has this letter
)

_TAG = re.compile(r"\[\[(?P<phonemes>[^\[\]]{0,2000})\]\]|\[(?P<tag>[^\[\]\n]{0,200})\]|(?P<open>\[\[)")
_PAUSE = re.compile(r"pause(?:\s+|\s*[:=]\s*)(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*(ms|s)", re.IGNORECASE)
_RESERVED = re.compile(
    r"/.*|pause\b.*|[a-z]+\s*:\s*[-+.\d].*|(?:[avd]|arousal|valence|dominance)\s*=.*", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Text:
    """Words to be normalised and pronounced."""

    text: str


@dataclass(frozen=True)
class Phonemes:
    """Phoneme tokens to be spoken as they are."""

    tokens: list[str]


@dataclass(frozen=True)
class Pause:
    """Silence."""

    seconds: float


@dataclass(frozen=True)
class SpanStart:
    """The beginning of a span."""

    number: int  # of the span in the text, from 0
    spec: object  # what was read between the brackets


@dataclass(frozen=True)
class SpanEnd:
    """The end of the innermost span that is open."""


Part = Text | Phonemes | Pause | SpanStart | SpanEnd
ReadSpan = Callable[[str], object | None]  # None: no tag, its words are read; ValueError: meant as a tag, and wrong


def parse_markup(text: str, language: str = "en-us", read_span: ReadSpan | None = None) -> list[Part]:
    """Split a text at its markup.

    Args:
        text: may hold ``[[h ə l ˈoʊ]]`` (IPA, spaced or run together), ``[pause 300ms]``, ``[pause 0.5s]``, to 10 s.
            Other words in brackets are read, unless they look like a tag: ``[/]``, ``[word:0.5]``, ``[v=0.5]``.
        language: whose phonemes stand between double brackets.
        read_span: reads what stands between brackets at the start of a span, which ``[/]`` or the end of the text
            closes; spans may nest. Without it there are no spans, and what looks like one is refused.

    Returns:
        Parts in order; neighbouring texts are one part.

    Raises:
        ValueError: a tag cannot be read; the message gives its place.
    """
    parts: list[Part] = []
    start, n_spans, n_open = 0, 0, 0
    for match in _TAG.finditer(text):
        part = _read_tag(match, language) or _read_span(match, read_span, n_spans, n_open)
        if part is None:
            continue
        n_spans += isinstance(part, SpanStart)
        n_open += isinstance(part, SpanStart) - isinstance(part, SpanEnd)
        if match.start() > start:
            parts.append(Text(text[start : match.start()]))
        parts.append(part)
        start = match.end()
    if start < len(text):
        parts.append(Text(text[start:]))
    return parts


def _read_tag(match: Match[str], language: str) -> Part | None:
    if match["open"]:
        raise ValueError(_complaint(match, 'phonemes must be closed, as in "[[h ə l ˈoʊ]]"'))
    if match["phonemes"] is not None:
        try:
            tokens = parse_phonemes(match["phonemes"], language)
        except ValueError as error:
            raise ValueError(f"{error} (at character {match.start()} of the text)") from None
        if not tokens:
            raise ValueError(_complaint(match, 'phonemes must not be empty; write "[[h ə l ˈoʊ]]"'))
        return Phonemes(tokens)
    tag = match["tag"].strip()
    pause = _PAUSE.fullmatch(tag)
    if pause:
        seconds = float(pause[1]) / (1000 if pause[2].lower() == "ms" else 1)
        if seconds > MAX_PAUSE_S:
            raise ValueError(_complaint(match, f"pause must be from 0 to {MAX_PAUSE_S:g} s"))
        return Pause(seconds)
    if re.fullmatch(r"pause\b.*", tag, re.IGNORECASE) and (tag.lower() == "pause" or re.search(r"\d", tag)):
        raise ValueError(
            _complaint(match, 'pause must have a length and a unit, as in "[pause 300ms]" or "[pause 0.5s]"')
        )
    return None


def _read_span(match: Match[str], read_span: ReadSpan | None, n_spans: int, n_open: int) -> Part | None:
    tag = match["tag"].strip()
    kinds = '"[[phonemes]]", "[pause 300ms]"'
    if read_span is not None:
        if tag == "/" and n_open:
            return SpanEnd()
        if tag == "/":
            raise ValueError(
                _complaint(match, '"[/]" must close a span, and none is open; begin one as in "[sad:0.3]"')
            )
        try:
            spec = read_span(tag)
        except ValueError as error:
            raise ValueError(
                f'{error} In the tag "{match[0][:60]}" at character {match.start()} of the text.'
            ) from None
        if spec is not None:
            return SpanStart(n_spans, spec)
        kinds += ', "[sad:0.3]", "[/]"'
    is_tag = _RESERVED.fullmatch(tag) if read_span is None else tag.startswith("/")
    if is_tag and not tag.lower().startswith("pause"):
        raise ValueError(
            _complaint(match, f"tag must be one of {kinds}; to have the words read, write them in parentheses")
        )
    return None


def _complaint(match: Match[str], problem: str) -> str:
    return f'{problem}; got "{match[0][:60]}" at character {match.start()} of the text.'
