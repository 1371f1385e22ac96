"""Text of any length in, chunks short enough for one pass of the model out, with bounded memory.

A chunk is a sentence; one that is too long is cut after a clause, else before a conjunction, else between words. Chunks
are slices of the text without the white space around them: joined, they hold every other character once and in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from re import Match

from emotts.text.languages import primary
from emotts.text.ordinals import is_open, is_ordinal

MAX_CHARS = 240  # about 15 s of speech
_MIN_CHARS = 8
_PIECE = 1024  # characters read at a time from a long string

_FOLLOWED = """
mr mrs ms dr prof st gen col sgt capt lt rev gov sen rep pres hon mt messrs fig figs vol vs eg ie e.g i.e cf ca
approx jan feb mar apr jun jul aug sept sep oct nov dec ave blvd
"""
_NEVER_LAST = frozenset(_FOLLOWED.split())  # abbreviations that something always follows
_BEFORE_NUMBER = frozenset(["no", "nos", "p", "pp", "ch", "sec", "eq", "art"])
_CONJUNCTIONS = (
    "and|but|or|nor|because|which|who|that|when|while|where|if|so|then|although|though|since|until|unless|before|after|as|than|"
    "with|without|for|from|to|in|on|at|by"
)
_END = re.compile(
    r"(?<![.!?…])[.!?…]+[\"'”’»)\]*_]{0,5}(?=\s|$)"  # a mark, closed quotes, white space
    r"|[。！？]+[」』”]?"  # scripts without spaces
    r"|\n[^\S\n]*\n\s*"  # an empty line
    r"|\n(?=\s*(?:[-*•]\s|\d{1,3}[.)]\s))"  # an item of a list
    r"|\n(?=\s*\S)"  # a line's end: see _is_end
)
_CLAUSE = re.compile(r"[,;:—)](?=\s)|\s[–-](?=\s)|—|[，、；：]")
_CONJUNCTION = re.compile(rf"\s(?=(?:{_CONJUNCTIONS})\s)", re.IGNORECASE)
_SPACE = re.compile(r"\s")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]{1,20}$")
_SHORT_LINE = 60  # a shorter line that ends without a mark was ended on purpose


def split_text(
    text: str, max_chars: int = MAX_CHARS, first_max_chars: int | None = None, language: str = "en-us"
) -> list[str]:
    """Split a text into chunks; see ``iter_sentences``."""
    return list(iter_sentences(text, max_chars, first_max_chars, language))


def iter_sentences(
    source: str | Iterable[str],
    max_chars: int = MAX_CHARS,
    first_max_chars: int | None = None,
    language: str = "en-us",
) -> Iterator[str]:
    """Yield chunk after chunk, each as soon as its end is certain.

    Args:
        source: a text, or its pieces as they come, cut anywhere.
        max_chars: longest chunk, at least 8 characters.
        first_max_chars: longest first chunk, to hear something sooner; ``max_chars`` if None.
        language: of the text; in many a point behind a figure makes an ordinal, as in 3. Mai.

    Returns:
        Chunks without white space around them, none empty.

    Raises:
        ValueError: a limit is below 8.
    """
    for name, limit in (("max_chars", max_chars), ("first_max_chars", first_max_chars or max_chars)):
        if limit < _MIN_CHARS:
            raise ValueError(
                f"{name} must be at least {_MIN_CHARS} characters; got {limit}. About {MAX_CHARS} suits most voices."
            )
    return _iterate(source, max_chars, min(first_max_chars or max_chars, max_chars), language)


def _iterate(source: str | Iterable[str], max_chars: int, first_max_chars: int, language: str) -> Iterator[str]:
    limit, rest = first_max_chars, ""
    for piece, is_last in _with_last(_pieces(source)):
        rest = (rest + piece).lstrip()
        while rest:
            cut = _find_cut(rest, limit, is_last, language)
            if cut is None:
                break
            chunk, rest = rest[:cut].strip(), rest[cut:].lstrip()
            if chunk:
                yield chunk
                limit = max_chars


def _pieces(source: str | Iterable[str]) -> Iterator[str]:
    for part in [source] if isinstance(source, str) else source:
        for start in range(0, len(part), _PIECE):
            yield part[start : start + _PIECE]


def _with_last(pieces: Iterator[str]) -> Iterator[tuple[str, bool]]:
    for piece in pieces:
        yield piece, False  # no look-ahead here: a live source must not wait for its next piece
    yield "", True


def _find_cut(text: str, limit: int, is_last: bool, language: str) -> int | None:
    """Find where the first chunk of a text ends; None when that cannot be known before more text comes."""
    for match in _END.finditer(text):
        if match.end() > limit + 5:
            break
        following = (
            text[match.end() :].lstrip()[:1]
            if match.end() + 200 > len(text)
            else text[match.end() : match.end() + 200].lstrip()[:1]
        )
        if not following and not is_last:
            return None if len(text) <= limit else _forced_cut(text, limit)
        if not is_last and len(text) <= limit and is_open(text, match.start(), language):
            return None
        if _is_end(text, match, following, language) and len(text[: match.end()].strip()) <= limit:
            return match.end()
    if len(text.rstrip()) > limit:
        return _forced_cut(text, limit)
    return len(text) if is_last else None


def _is_end(text: str, match: Match[str], following: str, language: str) -> bool:
    mark = match[0]
    if mark[0] == "\n":
        return _is_line_end(text, match, following)
    if mark[0] in "。！？":
        return True
    if following.islower():
        return False
    if mark == "." and is_ordinal(text, match.start(), language):
        return False
    if mark[0] == "." and not mark.startswith(".."):
        found = _LAST_WORD.search(text, 0, match.start())
        word = found[0].lower() if found else ""
        is_initial = len(word) == 1 and word.isalpha() and word != "i" and text[match.start() - 1].isupper()
        if word in _NEVER_LAST or is_initial or (following.isdigit() and _asks_for_number(word, language)):
            return False
        if word in ("u.s", "u.k") and following.isupper():
            return False
        if word.isdigit() and (match.start() == len(word) or text[match.start() - len(word) - 1] == "\n"):
            return False  # the number of a list's item
    return True


def _asks_for_number(word: str, language: str) -> bool:
    return word in _BEFORE_NUMBER or (word == "godz" and primary(language) == "pl")


def _is_line_end(text: str, match: Match[str], following: str) -> bool:
    if match[0].count("\n") > 1:
        return True
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    if re.match(r"\s*(?:[-*•]|\d{1,3}[.)])\s", text[match.end() : match.end() + 10]):
        return True
    return len(line) < _SHORT_LINE and not following.islower() and line.rstrip()[-1:] not in (",", "-", "—")


def _forced_cut(text: str, limit: int) -> int:
    """Cut a long sentence, in the last two thirds of its limit where that can be done well."""
    window = text[: limit + 1]
    for pattern, offset in ((_CLAUSE, "end"), (_CONJUNCTION, "start"), (_SPACE, "start")):
        cuts = [getattr(match, offset)() for match in pattern.finditer(window)]
        good = [cut for cut in cuts if limit // 3 <= cut <= limit]
        if good:
            return good[-1]
    earlier = [match.start() for match in _SPACE.finditer(window) if match.start() > 0]
    return earlier[-1] if earlier else limit
