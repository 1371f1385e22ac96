"""What holds from where in a text: a run of marked-up text in, the text without its marks and the state of each word out.

Marks never reach the reader of words, so a text with spans is pronounced exactly as the same text without them. Which
word a mark stands before is found afterwards, by reading the text once more with a placeholder in the mark's place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter

from emotts.text.markup import PLACEHOLDER, Part, Phonemes, SpanEnd, SpanStart, Text
from emotts.text.split import iter_sentences

NO_SPAN = -1
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])((?:[^*\n]|\n(?!\s*\n)){1,300})(?<=\S)\1(?![\w*])")

_INSIDE_WORD = re.compile(rf"[^\W{PLACEHOLDER}]{{2}}")


@dataclass(frozen=True)
class State:
    """What holds for a word: the number of its innermost span, or `NO_SPAN`, and whether it is emphasised."""

    span: int = NO_SPAN
    is_emphasised: bool = False


@dataclass(frozen=True)
class Chunk:
    """A part of a run, short enough to be spoken in one go."""

    text: str  # without marks; a placeholder stands for each inline
    inline: list[list[str]]
    changes: list[tuple[int, State]]  # what holds from which character on; the first is at 0

    def states(self, read_words: Callable[[str], list[str]]) -> list[State]:
        """Return the state of each word.

        Args:
            read_words: says how a text is read, word by word; placeholders are words.
        """
        words = read_words(self.text)
        states = [self.changes[0][1]] * len(words)
        for place, state in self.changes[1:]:
            first = _word_at(self.text, place, words, read_words)
            states[first:] = [state] * (len(words) - first)
        return states


class Run:
    """A text between two pauses, without its marks."""

    def __init__(self, parts: Sequence[Part], open_spans: list[int]) -> None:
        """Read the parts; `open_spans` holds the numbers of the spans that are open, and is left as they are at the end."""
        self.inline = [part.tokens for part in parts if isinstance(part, Phonemes)]
        self.text = ""
        spans = [(0, open_spans[-1] if open_spans else NO_SPAN)]
        pieces: list[str] = []
        length, is_after_tag = 0, False
        for part in parts:
            if isinstance(part, SpanStart | SpanEnd):
                if isinstance(part, SpanStart):
                    open_spans.append(part.number)
                else:
                    open_spans.pop()
                spans.append((length, open_spans[-1] if open_spans else NO_SPAN))
                is_after_tag = True
                continue
            piece = PLACEHOLDER if isinstance(part, Phonemes) else ""
            piece = part.text.replace(PLACEHOLDER, " ") if isinstance(part, Text) else piece
            if is_after_tag and pieces:
                piece = _joined(pieces[-1], piece)
            pieces.append(piece)
            length, is_after_tag = length + len(piece), False
        self.text, cuts, stressed = _without_stars("".join(pieces))
        self.changes = _merge([(_moved(place, cuts), span) for place, span in spans], stressed)
        self.starts = [place for place, _ in self.changes]

    def chunks(self, max_chars: int, first_max_chars: int | None, language: str = "en-us") -> Iterator[Chunk]:
        """Yield the sentences, each with its inline phonemes and its states."""
        place, n_inline = 0, 0
        for text in iter_sentences(self.text, max_chars, first_max_chars, language):
            place = self.text.index(text, place)
            n = text.count(PLACEHOLDER)
            first = bisect_right(self.starts, place) - 1
            last = bisect_right(self.starts, place + len(text) - 1)
            changes = [(max(0, at - place), state) for at, state in self.changes[first:last]]
            yield Chunk(text, self.inline[n_inline : n_inline + n], changes)
            place, n_inline = place + len(text), n_inline + n


def _joined(before: str, piece: str) -> str:
    """Keep sentences apart and spaces single where a tag stood between two texts."""
    if before[-1:] in tuple(".,!?;:…") and piece[:1].isalnum():
        return " " + piece
    return piece[1:] if before[-1:] == piece[:1] == " " else piece


def _without_stars(text: str) -> tuple[str, list[tuple[int, int]], list[tuple[int, int]]]:
    """Take the stars of ``*emphasis*`` out.

    Returns:
        The text; the cuts as (place in the old text, characters gone from there on); the emphasised [start, end).
    """
    pieces: list[str] = []
    cuts: list[tuple[int, int]] = []
    stressed: list[tuple[int, int]] = []
    done, gone = 0, 0
    for match in _EMPHASIS.finditer(text):
        pieces += [text[done : match.start()], match[2]]
        start = match.start() - gone
        stressed.append((start, start + len(match[2])))
        cuts += [(match.start(2), gone + len(match[1])), (match.end(), gone + 2 * len(match[1]))]
        done, gone = match.end(), cuts[-1][1]
    return "".join([*pieces, text[done:]]), cuts, stressed


def _moved(place: int, cuts: list[tuple[int, int]]) -> int:
    """Say where a place of the text with stars is in the text without them."""
    n_before = bisect_right(cuts, place, key=itemgetter(0))
    return place - (cuts[n_before - 1][1] if n_before else 0)


def _merge(spans: list[tuple[int, int]], stressed: list[tuple[int, int]]) -> list[tuple[int, State]]:
    borders = [(start, True) for start, _ in stressed] + [(end, False) for _, end in stressed]
    events = sorted(
        [(place, 1, span) for place, span in spans] + [(place, 0, is_on) for place, is_on in borders], key=itemgetter(0)
    )
    changes: list[tuple[int, State]] = []
    span, is_emphasised = NO_SPAN, False
    for place, is_span, value in events:
        span, is_emphasised = (value, is_emphasised) if is_span else (span, bool(value))
        if changes and changes[-1][0] == place:
            changes.pop()
        changes.append((place, State(span, is_emphasised)))
    return changes


def _word_at(text: str, place: int, words: list[str], read_words: Callable[[str], list[str]]) -> int:
    """Return which of the words is the first that begins at a place of the text or after it."""
    while 0 < place < len(text) and _INSIDE_WORD.match(text, place - 1):
        place += 1
    read = [word.lower() for word in read_words(f"{text[:place]} {PLACEHOLDER} {text[place:]}")]
    mark = [i for i, word in enumerate(read) if word == PLACEHOLDER][text[:place].count(PLACEHOLDER)]
    plain = [word.lower() for word in words]
    before, after = read[:mark], read[mark + 1 :]
    same_before = _n_same(before, plain)
    if same_before == len(before):
        return same_before
    if _n_same(after[::-1], plain[::-1]) == len(after):
        return len(plain) - len(after)
    return same_before


def _n_same(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
