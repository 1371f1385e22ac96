"""What will become of a text, before it is spoken: how long it is, and how it is split."""

from itertools import islice

from emotts.emotion.spans import read_span
from emotts.pipeline import FIRST_MAX_CHARS
from emotts.plan import word_texts
from emotts.server.guard import check_text, sentence
from emotts.server.limits import Limits
from emotts.text import text_to_segments

from .tables import quiet

CHARS_PER_S = 14.5  # of plain speech
SHOWN = 40  # pieces


def count_line(text: str, limits: Limits) -> str:
    """Return how long a text is and about how long it takes to say, as HTML."""
    n = len(text or "")
    room = "" if n <= limits.max_text_chars else " Too long: split it."
    return quiet(f"{n} of {limits.max_text_chars} characters, about {n / CHARS_PER_S:.0f} s.{room}")


def words_of(text: str, limits: Limits) -> tuple[list[str], list[float]]:
    """Return the words of a text as they are spoken and where each ends, as part of the text; nothing where it cannot be read.

    Part is counted in sounds, as a time line counts it.
    """
    try:
        segments = list(
            text_to_segments(check_text(text, limits), first_max_chars=FIRST_MAX_CHARS, read_span=read_span)
        )
    except ValueError:
        return [], []
    words: list[str] = []
    ends: list[float] = []
    n_tokens, place = sum(len(segment.tokens) for segment in segments), 0
    for segment in segments:
        texts = word_texts(segment)
        for i, (number, text) in enumerate(zip(segment.words, texts, strict=True)):
            if number >= 0 and number not in segment.words[i + 1 :]:  # the last token of a word
                words.append(text)
                ends.append((place + i + 1) / n_tokens)
        place += len(segment.tokens)
    return words, [*ends[:-1], 1.0] if ends else []


def split_rows(text: str, limits: Limits) -> list[list[object]]:
    """Return the pieces of a text: number, text, pause asked after it, phonemes; a row with the reason where it cannot be read."""
    try:
        segments = list(
            islice(
                text_to_segments(check_text(text, limits), first_max_chars=FIRST_MAX_CHARS, read_span=read_span),
                SHOWN + 1,
            )
        )
    except ValueError as error:
        return [[0, sentence(error), "", ""]]
    rows: list[list[object]] = []
    for number, segment in enumerate(segments[:SHOWN], 1):
        pause = f"{segment.pause_after_s * 1e3:.0f} ms" if segment.pause_after_s else ""
        tokens = "".join(" " if token == "<sil>" else token for token in segment.tokens).strip()
        rows.append([number, segment.text, pause, tokens])
    if len(segments) > SHOWN:
        rows.append([SHOWN + 1, "and so on", "", ""])
    return rows
