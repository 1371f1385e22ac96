"""What each segment of a text is to feel like and how it is to be timed, before anything is synthesised.

Comes in: segments and a `Request`. Goes out: one `Planned` per segment, with a plain specification for every token, or with places
on a time line; and the edits of its reading.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.place import Evenness, Track, as_asked, track_along, track_of
from emotts.emotion.spans import read_span
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.prosody import EditReading, Reading
from emotts.prosody_edit import Intonation, apply_sheet, emphasise, impose_intonation
from emotts.request import Request
from emotts.text import NO_SPAN, Segment
from emotts.text.markup import SpanStart, parse_markup
from emotts.text.phonemize import backend_of, written_words
from emotts.text.symbols import is_pause
from emotts.timing import feasible_total, fit_total, fit_words
from emotts.word_times import WordTime, match_words


@dataclass(frozen=True)
class Planned:
    """One segment with what is asked of it.

    Attributes:
        segment: its tokens [N].
        specs: plain specification of every token [N].
        parts: place of every token in the whole text, 0 to 1 [N]; nan where that was not needed.
        word_numbers: number of the word of every token in the whole text, fractions between words [N].
        share: where it begins and ends among the sounds of the whole text, 0 to 1.
        number: of the segment, counted among those that speak.
        duration_s: how long it has to last, or None.
        word_times: of its words, in seconds from its start, or None.
    """

    segment: Segment
    specs: tuple[EmotionSpec, ...]
    parts: np.ndarray
    word_numbers: np.ndarray
    share: tuple[float, float] = (0.0, 1.0)
    number: int = 0
    duration_s: float | None = None
    word_times: tuple[WordTime, ...] | None = None

    @property
    def n_pause(self) -> int:
        """Frames of silence after it."""
        return round((self.segment.pause_after_s or 0.0) * SPEC.frame_rate)

    @property
    def least_frames(self) -> list[int]:
        """The fewest frames of each token [N]: one of a sound, none of a pause."""
        return [0 if is_pause(token) else 1 for token in self.segment.tokens]

    def track(
        self, request: Request, start_s: float, even: Evenness = as_asked, times_s: np.ndarray | None = None
    ) -> Track:
        """Return what the model is told of the emotion.

        Args:
            request: its time line goes before the specifications.
            start_s: when the segment starts.
            even: see `track_of`.
            times_s: middle of every token in seconds from the start of the segment [N]; None takes all at `start_s`.
        """
        if request.timeline is None:
            return track_of(self.specs, even)
        places = {
            "part": self.parts,
            "word": self.word_numbers,
            "t": start_s + (np.zeros(len(self.specs)) if times_s is None else times_s),
        }
        return track_along(request.timeline.coordinates_at(places[request.timeline.kind]), even)

    def edit(self, request: Request) -> EditReading:
        """Return the edit of this segment's reading; the identity where nothing is to be edited."""
        tokens, steps = self.segment.tokens, list[EditReading]()
        if request.sheets is not None:
            sheet = request.sheets[self.number]
            steps.append(lambda reading: apply_sheet(reading, tokens, sheet))
        if request.intonation is not None:
            melody, weight = request.intonation, request.intonation_weight
            steps.append(lambda reading: self._with_melody(reading, melody, weight))
        if any(self.segment.emphasis) and request.sheets is None:  # a sheet holds it already
            steps.append(lambda reading: emphasise(reading, tokens, self.segment.emphasis))
        if self.duration_s is not None and self.word_times is None:
            wanted = self.duration_s
            steps.append(lambda reading: fit_total(reading, tokens, wanted))
        if self.word_times is not None:
            times, end_s = self.word_times, self.duration_s
            steps.append(lambda reading: fit_words(reading, tokens, self.segment.words, times, end_s))

        def edit(reading: Reading) -> Reading:
            for step in steps:
                reading = step(reading)
            return reading

        return edit

    def _with_melody(self, reading: Reading, whole: Intonation, weight: float) -> Reading:
        """Impose this segment's part of a melody over the whole text, its height against the rest included."""
        first = min(len(whole.octaves) - 2, int(len(whole.octaves) * self.share[0]))
        part = whole.octaves[first : max(first + 2, round(len(whole.octaves) * self.share[1]))]
        shaped = impose_intonation(reading, self.segment.tokens, replace(whole, octaves=part), weight)
        return replace(shaped, log_f0=shaped.log_f0 + weight * part.mean())


def plan_segments(
    segments: Iterable[Segment], request: Request, span_specs: Sequence[EmotionSpec]
) -> Iterator[Planned]:
    """Yield each segment with what is asked of it.

    Args:
        segments: of one text; they are taken one by one, unless auto, the time line or a melody has to see all.
        request: what is asked.
        span_specs: plain specifications of the spans in the text, by number; filled while the segments are read.
    """
    needs_all = request.emotion.auto is not None or request.timeline is not None or request.intonation is not None
    if needs_all or request.sheets is not None:
        segments = list(segments)
        _check_whole(segments, request)
    everything = segments if isinstance(segments, list) else []
    n_tokens = sum(len(segment.tokens) for segment in everything)
    lengths = [sum(not is_pause(token) for token in segment.tokens) for segment in everything]
    moods = _moods(everything, request.emotion)
    first_token = first_word = spoken = 0
    for number, segment in enumerate(segments):
        n = len(segment.tokens)
        base = moods[number] if moods else request.emotion
        specs = tuple(base if span == NO_SPAN else span_specs[span] for span in segment.spans)
        parts = (first_token + np.arange(n) + 0.5) / max(1, n_tokens)
        before, whole = sum(lengths[:number]), max(1, sum(lengths))
        share = (before / whole, (before + lengths[number]) / whole) if lengths else (0.0, 1.0)
        yield Planned(segment, specs, parts, first_word + _word_numbers(segment.words), share, spoken)
        spoken += bool(n)
        first_token += n
        first_word += 1 + max(segment.words, default=-1)


def check_span(spec: EmotionSpec) -> None:
    """Raise a ValueError where a span in the text asks for what concerns the whole."""
    if spec.away or spec.auto is not None:
        raise ValueError(
            "a span in the text cannot have auto or say what to stay away from; ask for that of the whole."
        )


def has_spans(text: str) -> bool:
    """Say whether a text holds emotions of its own.

    Raises:
        ValueError: a tag cannot be read.
    """
    return any(isinstance(part, SpanStart) for part in parse_markup(text, read_span=read_span))


def _check_whole(segments: Sequence[Segment], request: Request) -> None:
    """Refuse what only the whole text shows to be wrong."""
    if request.timeline is not None:
        if any(span != NO_SPAN for segment in segments for span in segment.spans):
            raise ValueError("give either a time line or spans in the text; got both.")
        request.timeline.check(n_words=sum(1 + max(segment.words, default=-1) for segment in segments))
    n_spoken = sum(bool(segment.tokens) for segment in segments)
    if request.sheets is not None and n_spoken != len(request.sheets):
        raise ValueError(
            f"the prosody has {len(request.sheets)} segments, the text {n_spoken}; write a new one from the new text."
        )


def with_duration(planned: Sequence[Planned], readings: Sequence[Reading | None], duration_s: float) -> list[Planned]:
    """Share out the duration of the whole over the segments as their natural lengths have it; borders lie on frames.

    Args:
        planned: segments. readings: how each would be read, None for a mere pause.
        duration_s: of the whole.

    Raises:
        ValueError: shorter or longer than the text can be spoken; the message names the range.
    """
    pauses = sum(round((p.segment.pause_after_s or 0.0) * SPEC.frame_rate) for p in planned)
    spoken = [(i, reading) for i, reading in enumerate(readings) if reading is not None]
    ranges = np.array([feasible_total(reading, planned[i].segment.tokens) for i, reading in spoken])  # [S, 2] seconds
    frames = np.stack([np.ceil(ranges[:, 0] * SPEC.frame_rate - 1e-6), np.floor(ranges[:, 1] * SPEC.frame_rate + 1e-6)])
    low, high = (frames.sum(axis=1) + pauses) / SPEC.frame_rate
    if not low - 1e-9 <= duration_s <= high + 1e-9:
        inside = f"{math.ceil(100 * low) / 100:.2f} to {math.floor(100 * high) / 100:.2f}"
        raise ValueError(f"duration must be from {inside} s for this text and voice; got {duration_s:g}.")
    natural = np.array([reading.durations.sum() for _, reading in spoken])
    room = round(duration_s * SPEC.frame_rate) - pauses
    lengths = np.diff(np.round(np.cumsum(natural) / natural.sum() * room), prepend=0.0)
    lengths = np.clip(lengths, *frames)
    while (missing := room - lengths.sum()) != 0:  # what one segment cannot take goes to the next that can
        step = np.sign(missing)
        free = np.flatnonzero(lengths < frames[1] if step > 0 else lengths > frames[0])
        lengths[free[: int(abs(missing))]] += step
    found = list(planned)
    for (i, _), length in zip(spoken, lengths, strict=True):
        found[i] = replace(planned[i], duration_s=float(length) / SPEC.frame_rate)
    return found


def with_word_times(
    planned: Sequence[Planned],
    times: Sequence[WordTime],
    language: str = "en-us",
    read_by: Mapping[str, str] | None = None,
) -> list[Planned]:
    """Give each segment the times of its words, from its own start; neighbours meet in the middle of the gap between them.

    Pauses that the text asks for are left to the times.

    Raises:
        ValueError: other words than the text has; times without words need only be as many.
    """
    counts = [1 + max(p.segment.words, default=-1) for p in planned]
    backend = backend_of(language, read_by)
    spoken = [word for p in planned for word in written_words(p.segment.text, language, backend)]
    if any(time.word for time in times) and len(spoken) == sum(counts):
        times = match_words(times, spoken)
    if sum(counts) != len(times):
        raise ValueError(f"word_times must give a time for each of the {sum(counts)} words; got {len(times)}.")
    done, start_s, found = 0, 0.0, []
    for part, count in zip(planned, counts, strict=True):
        if not count:
            continue
        own = times[done : done + count]
        done += count
        end_s = 0.5 * (own[-1].end_s + times[done].start_s) if done < len(times) else None
        if end_s is not None:
            end_s = round(end_s * SPEC.frame_rate) / SPEC.frame_rate
        moved = tuple(WordTime(t.word, max(0.0, t.start_s - start_s), t.end_s - start_s) for t in own)
        segment = replace(part.segment, pause_after_s=None)
        length_s = None if end_s is None else end_s - start_s
        found.append(replace(part, segment=segment, word_times=moved, duration_s=length_s))
        start_s = start_s if end_s is None else end_s
    return found


class KeptEdit:
    """An edit that keeps what it made."""

    def __init__(self, edit: EditReading) -> None:
        self.edit = edit
        self.last: Reading

    def __call__(self, reading: Reading) -> Reading:
        self.last = self.edit(reading)
        return self.last


def word_texts(segment: Segment, language: str = "en-us", read_by: Mapping[str, str] | None = None) -> list[str]:
    """Return the word that each token belongs to [N], "" for pauses and where words cannot be told apart."""
    words = written_words(segment.text, language, backend_of(language, read_by))
    is_clear = len(words) == 1 + max(segment.words, default=-1)
    return [words[n] if n >= 0 and is_clear else "" for n in segment.words]


def _moods(segments: Sequence[Segment], emotion: EmotionSpec) -> list[EmotionSpec]:
    """Return the emotion of each segment where the text itself decides, else nothing."""
    if emotion.auto is None:
        return []
    from emotts.emotion.auto import read_emotions

    found = read_emotions([segment.text for segment in segments], emotion.auto)
    return [parse_emotion(spec, **emotion.dimensions) for spec in found]


def _word_numbers(words: Sequence[int]) -> np.ndarray:
    """Return the number of the word of each token [N], between its neighbours for a pause."""
    numbers = np.asarray(words, np.float64)
    spoken = np.flatnonzero(numbers >= 0)
    return np.interp(np.arange(len(numbers)), spoken, numbers[spoken]) if len(spoken) else np.zeros(len(numbers))
