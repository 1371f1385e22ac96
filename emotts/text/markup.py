"""Text with inline markup in, its parts out: words to read, ``[[phonemes]]`` to take as they are, ``[pause 300ms]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from re import Match

from emotts.text.symbols import parse_phonemes

MAX_PAUSE_S = 10.0
PLACEHOLDER = (
    "ǂ"  # stands for the next [[...]] while a sentence is split and normalised; no English text has this letter
)

_TAG = re.compile(r"\[\[(?P<phonemes>[^\[\]]{0,2000})\]\]|\[(?P<tag>[^\[\]\n]{0,80})\]|(?P<open>\[\[)")
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


Part = Text | Phonemes | Pause


def parse_markup(text: str, language: str = "en-us") -> list[Part]:
    """Split a text at its markup.

    Args:
        text: may hold ``[[h ə l ˈoʊ]]`` (IPA, spaced or run together), ``[pause 300ms]``, ``[pause 0.5s]``, to 10 s.
            Other words in brackets are read, unless they look like a tag: ``[/]``, ``[word:0.5]``, ``[v=0.5]``.
        language: whose phonemes stand between double brackets.

    Returns:
        Parts in order; neighbouring texts are one part.

    Raises:
        ValueError: a tag cannot be read; the message gives its place.
    """
    parts: list[Part] = []
    start = 0
    for match in _TAG.finditer(text):
        part = _read_tag(match, language)
        if part is None:
            continue
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
    if _RESERVED.fullmatch(tag) and not tag.lower().startswith("pause"):
        raise ValueError(
            _complaint(
                match,
                'tag must be one of "[[phonemes]]", "[pause 300ms]"; to have the words read, write them in parentheses',
            )
        )
    return None


def _complaint(match: Match[str], problem: str) -> str:
    return f'{problem}; got "{match[0][:60]}" at character {match.start()} of the text.'
