"""A reading as a sheet that can be written to JSON, edited by hand and given back; and emphasis on words.

Comes in: a `Reading` [N] with its tokens. Goes out: a `ProsodySheet`, its JSON, or the reading as edited. Units of the sheet
are those of the field: seconds, Hz, dB. What another recording's melody does to a reading is in `intonation.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.audio import SPEC
from emotts.intonation import Intonation, anchor_times, impose_intonation, intonation_of
from emotts.text.symbols import is_pause, is_vowel, split_stress

if TYPE_CHECKING:
    from emotts.prosody import Reading

__all__ = [
    "Intonation", "ProsodySheet", "apply_sheet", "emphasise", "from_json", "impose_intonation", "intonation_of", "sheet_of",
    "to_json",
]  # fmt: skip

FORMAT, VERSION = "emotts prosody", 1
RANGES = {"duration_s": (0.0, 10.0), "f0_hz": (50.0, 620.0), "energy_db": (-80.0, 20.0)}  # F0: what the vocoder follows
EMPHASIS_RANGE = (0.0, 2.0)
DB_PER_LOG = 20.0 / math.log(10.0)  # energy is the natural logarithm of a magnitude
PEAK_ST, SYLLABLE_STRETCH, PEAK_DB = 3.0, 1.2, 2.5
RISE_S, FALL_S = 0.15, 0.22
_NEIGHBOURS, _NEIGHBOUR_SHRINK, _NEIGHBOUR_DB = 2, 0.88, -0.8  # words on each side; the least factor; at strength 1
_WHOLE_WITHIN = 0.01  # frames; seconds with 5 decimals are this close to the frames they stand for


@dataclass(frozen=True)
class ProsodySheet:
    """What one segment's reading is, token by token, in units to edit.

    Attributes:
        tokens: phoneme tokens [N].
        words: the word each token belongs to, "" for pauses [N].
        durations_s: seconds [N].
        f0_hz: Hz at a quarter and three quarters of each token [N][2]; unvoiced tokens carry the line through.
        energy_db: level of the mean mel magnitude [N].
    """

    tokens: tuple[str, ...]
    words: tuple[str, ...]
    durations_s: tuple[float, ...]
    f0_hz: tuple[tuple[float, float], ...]
    energy_db: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("words", "durations_s", "f0_hz", "energy_db"):
            if len(getattr(self, name)) != len(self.tokens):
                raise ValueError(
                    f"{name} must have {len(self.tokens)} values, as tokens; got {len(getattr(self, name))}."
                )
        for place, (token, duration_s, f0_hz, energy_db) in enumerate(
            zip(self.tokens, self.durations_s, self.f0_hz, self.energy_db, strict=True)
        ):
            where = f'token {place} "{token}"'
            _check(where, "duration_s", duration_s)
            _check(where, "energy_db", energy_db)
            if not isinstance(f0_hz, tuple) or len(f0_hz) != 2:
                raise ValueError(f"{where}: f0_hz must be two numbers, for example [118.0, 121.5]; got {f0_hz!r:.40}.")
            for value in f0_hz:
                _check(where, "f0_hz", value)
            if not is_pause(token) and duration_s * SPEC.frame_rate < 1.0 - _WHOLE_WITHIN:
                raise ValueError(
                    f"{where}: duration_s must be at least {1.0 / SPEC.frame_rate:.4f} (one frame) for a sound; got {duration_s:g}."
                )


def sheet_of(reading: Reading, tokens: Sequence[str], words: Sequence[str] | None = None) -> ProsodySheet:
    """Write a reading as a sheet; F0 and energy are held inside `RANGES`, as the vocoder does it with F0."""
    f0_hz = np.clip(np.exp2(reading.log_f0), *RANGES["f0_hz"])
    energy_db = np.clip(np.asarray(reading.energy) * DB_PER_LOG, *RANGES["energy_db"])
    return ProsodySheet(
        tokens=tuple(tokens),
        words=tuple(words) if words is not None else ("",) * len(tokens),
        durations_s=tuple(round(float(d) / SPEC.frame_rate, 5) for d in reading.durations),
        f0_hz=tuple((round(float(first), 3), round(float(second), 3)) for first, second in f0_hz),
        energy_db=tuple(round(float(level), 3) for level in energy_db),
    )


def apply_sheet(reading: Reading, tokens: Sequence[str], sheet: ProsodySheet) -> Reading:
    """Return the reading that a sheet says. Durations within 0.01 of a whole frame are whole.

    Raises:
        ValueError: the sheet is of another text; the message names the first token that differs.
    """
    for place in range(max(len(tokens), len(sheet.tokens))):
        ours = tokens[place] if place < len(tokens) else "the end"
        theirs = sheet.tokens[place] if place < len(sheet.tokens) else "the end"
        if ours != theirs:
            raise ValueError(
                f'token {place} of the prosody sheet must be "{ours}", as the text has it; got "{theirs}". '
                "Only numbers may be edited; for other words, write a new sheet from the new text."
            )
    frames = np.array(sheet.durations_s, np.float64) * SPEC.frame_rate
    whole = np.rint(frames)
    return replace(
        reading,
        durations=np.where(np.abs(frames - whole) <= _WHOLE_WITHIN, whole, frames),
        log_f0=np.log2(np.array(sheet.f0_hz, np.float64).reshape(-1, 2)),
        energy=np.array(sheet.energy_db, np.float64) / DB_PER_LOG,
    )


def to_json(sheets: Sequence[ProsodySheet]) -> str:
    """Write sheets, one for each segment of a text, as JSON with a line for each token."""
    segments = []
    for sheet in sheets:
        rows = zip(sheet.tokens, sheet.words, sheet.durations_s, sheet.f0_hz, sheet.energy_db, strict=True)
        names = ("token", "word", "duration_s", "f0_hz", "energy_db")
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
        segments.append("  [\n    " + ",\n    ".join(lines) + "\n  ]")
    head = f'"format": {json.dumps(FORMAT)},\n"version": {VERSION},\n"segments": [\n'
    return "{\n" + head + ",\n".join(segments) + "\n]\n}\n"


def from_json(text: str) -> list[ProsodySheet]:
    """Read what `to_json` wrote, as edited.

    Raises:
        ValueError: no JSON, another format or version, a field missing or unknown, a number out of range; the message names it.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"prosody sheet is no JSON: {str(error)[:120]}. Commas stand between, not after, all entries."
        ) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f'prosody sheet must be an object with "format": "{FORMAT}"; this is another file.')
    if data.get("version") != VERSION or isinstance(data["version"], bool):
        raise ValueError(f"prosody sheet must have version {VERSION}; got {data.get('version')!r:.40}. Write it again.")
    segments = data.get("segments")
    if not isinstance(segments, list) or not segments or not all(isinstance(rows, list) for rows in segments):
        raise ValueError("prosody sheet must have segments, a list with a list of tokens for each part of the text.")
    return [_read_segment(number, rows) for number, rows in enumerate(segments)]


def emphasise(reading: Reading, tokens: Sequence[str], emphasis: Sequence[bool], strength: float = 1.0) -> Reading:
    """Emphasise words: their stressed syllable is higher (3 semitones, then a fall), longer (x 1.2) and louder (2.5 dB).

    The time it takes comes from the two words on each side, which also become a little softer, so that the whole hardly
    gets longer.

    Args:
        reading: N tokens.
        tokens: phoneme tokens [N].
        emphasis: True for the tokens of emphasised words [N].
        strength: from 0, nothing, over 1, as above, to 2.

    Raises:
        ValueError: strength out of range, or another number of flags than tokens.
    """
    if isinstance(strength, bool) or not EMPHASIS_RANGE[0] <= strength <= EMPHASIS_RANGE[1]:
        low, high = EMPHASIS_RANGE
        raise ValueError(f"strength of emphasis must be a number from {low:g} to {high:g}; got {strength!r:.40}.")
    if not len(emphasis) == len(tokens) == len(reading.durations):
        raise ValueError(f"emphasis must have one flag for each of {len(tokens)} tokens; got {len(emphasis)}.")
    words = _word_spans(tokens)
    chosen = [n for n, (first, last) in enumerate(words) if any(emphasis[first:last])]
    durations = np.asarray(reading.durations, np.float64).copy()
    semitones, level_db = np.zeros((len(tokens), 2)), np.zeros(len(tokens))
    times = anchor_times(durations) / SPEC.frame_rate
    for n in chosen:
        first, last = words[n]
        start, nucleus, end = _stressed_syllable(tokens, first, last)
        semitones = np.maximum(semitones, PEAK_ST * _hat(times, times[nucleus, 0], times[nucleus, 1]))
        level_db[first:last] = 0.5 * PEAK_DB
        level_db[start:end] = PEAK_DB
        added = durations[start:end].sum() * (SYLLABLE_STRETCH**strength - 1.0)
        durations[start:end] *= SYLLABLE_STRETCH**strength
        around = [m for m in range(n - _NEIGHBOURS, n + _NEIGHBOURS + 1) if 0 <= m < len(words) and m not in chosen]
        giving = [place for m in around for place in range(*words[m])]
        if giving:
            factor = max(_NEIGHBOUR_SHRINK**strength, 1.0 - added / max(durations[giving].sum(), 1e-9))
            durations[giving] = np.minimum(durations[giving], np.maximum(durations[giving] * factor, 1.0))
            level_db[giving] = _NEIGHBOUR_DB
    return replace(
        reading,
        durations=durations,
        log_f0=np.asarray(reading.log_f0) + strength * semitones / 12.0,
        energy=np.asarray(reading.energy) + strength * level_db / DB_PER_LOG,
    )


def _hat(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return 1 from `start` to `end` (seconds), rising before over RISE_S and falling after over FALL_S as raised cosines."""
    away = np.where(times < start, (start - times) / RISE_S, np.maximum(times - end, 0.0) / FALL_S)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0))


def _stressed_syllable(tokens: Sequence[str], first: int, last: int) -> tuple[int, int, int]:
    """Return first token, vowel, and the one after the last token, of the stressed syllable of a word.

    A consonant between two vowels belongs to the second; of more, all but the last belong to the first.
    """
    vowels = [place for place in range(first, last) if is_vowel(tokens[place])]
    if not vowels:
        return first, (first + last - 1) // 2, last
    rank = {1: 0, 2: 1, 0: 2}
    nucleus = min(vowels, key=lambda place: rank[split_stress(tokens[place])[1]])  # the first of the strongest
    which = vowels.index(nucleus)
    start = first if which == 0 else max(vowels[which - 1] + 1, nucleus - 1)
    end = last if which == len(vowels) - 1 else max(nucleus + 1, vowels[which + 1] - 1)
    return start, nucleus, end


def _word_spans(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Return first token and the one after the last of every run of sounds between pauses."""
    sounds = np.array([False, *(not is_pause(token) for token in tokens), False])
    edges = np.flatnonzero(np.diff(sounds.astype(int)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _read_segment(number: int, rows: list[Any]) -> ProsodySheet:
    names = ("token", "word", "duration_s", "f0_hz", "energy_db")
    for place, row in enumerate(rows):
        where = f"segment {number}, token {place}"
        if not isinstance(row, dict):
            raise ValueError(f"{where}: expected an object with {', '.join(names)}; got {row!r:.40}.")
        missing, unknown = [n for n in names if n not in row], [n for n in row if n not in names]
        if missing or unknown:
            fault = f'"{missing[0]}" is missing' if missing else f'"{unknown[0][:40]}" is unknown'
            raise ValueError(f"{where}: {fault}; a token has {', '.join(names)}.")
        if not isinstance(row["token"], str) or not isinstance(row["word"], str):
            raise ValueError(
                f"{where}: token and word must be texts; got {row['token']!r:.40} and {row['word']!r:.40}."
            )
        try:
            is_pause(row["token"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    column = {name: tuple(row[name] for row in rows) for name in names}
    f0_hz = tuple(tuple(pair) if isinstance(pair, list) else pair for pair in column["f0_hz"])
    try:
        return ProsodySheet(column["token"], column["word"], column["duration_s"], f0_hz, column["energy_db"])
    except ValueError as error:
        raise ValueError(f"segment {number}, {error}") from None


def _check(where: str, name: str, value: object) -> None:
    low, high = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:  # nan is refused too
        raise ValueError(f"{where}: {name} must be a number from {low:g} to {high:g}; got {value!r:.40}.")
