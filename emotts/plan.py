"""What each segment of a text is to feel like and how it is to be timed, before anything is synthesised.

Comes in: segments and a `Request`. Goes out: one `Planned` per segment, with a plain specification for every token, or with places
on a time line; and the edits of its reading.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.place import Evenness, Track, as_asked, track_along, track_of
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.prosody import EditReading, Reading
from emotts.prosody_edit import Intonation, ProsodySheet, apply_sheet, emphasise, impose_intonation
from emotts.request import Request
from emotts.text import NO_SPAN, Segment
from emotts.text.phonemize import written_words
from emotts.timing import feasible_total, fit_total, fit_words
from emotts.word_times import WordTime, match_words

LANGUAGE = "en-us"


@dataclass(frozen=True)
class Planned:
    """One segment with what is asked of it.

    Attributes:
        segment: its tokens [N].
        specs: plain specification of every token [N].
        parts: place of every token in the whole text, 0 to 1 [N]; nan where that was not needed.
        word_numbers: number of the word of every token in the whole text, fractions between words [N].
        number: of the segment, counted among those that speak.
        duration_s: how long it has to last, or None.
        word_times: of its words, in seconds from its start, or None.
    """

    segment: Segment
    specs: tuple[EmotionSpec, ...]
    parts: np.ndarray
    word_numbers: np.ndarray
    number: int = 0
    duration_s: float | None = None
    word_times: tuple[WordTime, ...] | None = None

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
            sheet = self._sheet(request.sheets)
            steps.append(lambda reading: apply_sheet(reading, tokens, sheet))
        if request.intonation is not None:
            melody, weight = self._melody(request.intonation), request.intonation_weight
            steps.append(lambda reading: impose_intonation(reading, tokens, melody, weight))
        if any(self.segment.emphasis):
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

    def _melody(self, whole: Intonation) -> Intonation:
        """Return the part of a melody over the whole text that belongs to this segment."""
        half = 0.5 * (self.parts[1] - self.parts[0]) if len(self.parts) > 1 else 0.5
        n = len(whole.octaves)
        first = min(n - 2, int(n * (self.parts[0] - half)))
        last = max(first + 2, round(n * (self.parts[-1] + half)))
        return replace(whole, octaves=whole.octaves[first:last])

    def _sheet(self, sheets: Sequence[ProsodySheet]) -> ProsodySheet:
        if self.number >= len(sheets):
            raise ValueError(
                f"the prosody has {len(sheets)} segments, the text more; write a new one from the new text."
            )
        return sheets[self.number]


def plan_segments(
    segments: Iterable[Segment], request: Request, span_specs: Sequence[EmotionSpec]
) -> Iterator[Planned]:
    """Yield each segment with what is asked of it.

    Args:
        segments: of one text; they are taken one by one, unless auto, the time line or a melody has to see all.
        request: what is asked.
        span_specs: plain specifications of the spans in the text, by number; filled while the segments are read.
    """
    if request.emotion.auto is not None or request.timeline is not None or request.intonation is not None:
        segments = list(segments)
        if request.timeline is not None:
            request.timeline.check(n_words=sum(1 + max(segment.words, default=-1) for segment in segments))
    n_tokens = sum(len(segment.tokens) for segment in segments) if isinstance(segments, list) else 0
    moods = _moods(segments, request.emotion) if isinstance(segments, list) else []
    first_token = first_word = spoken = 0
    for number, segment in enumerate(segments):
        n = len(segment.tokens)
        base = moods[number] if moods else request.emotion
        specs = tuple(base if span == NO_SPAN else span_specs[span] for span in segment.spans)
        parts = (first_token + np.arange(n) + 0.5) / max(1, n_tokens)
        yield Planned(segment, specs, parts, first_word + _word_numbers(segment.words), spoken)
        spoken += bool(n)
        first_token += n
        first_word += 1 + max(segment.words, default=-1)


def with_duration(planned: Sequence[Planned], readings: Sequence[Reading | None], duration_s: float) -> list[Planned]:
    """Share out the duration of the whole over the segments as their natural lengths have it; borders lie on frames.

    Args:
        planned: segments. readings: how each would be read, None for a mere pause.
        duration_s: of the whole.

    Raises:
        ValueError: shorter or longer than the text can be spoken; the message names the range.
    """
    pauses = sum(round((p.segment.pause_after_s or 0.0) * SPEC.frame_rate) for p in planned)
    ranges = [
        feasible_total(reading, p.segment.tokens) for p, reading in zip(planned, readings, strict=True) if reading
    ]
    low, high = (sum(ends) + pauses / SPEC.frame_rate for ends in zip(*ranges, strict=True))
    if not low <= duration_s <= high:
        raise ValueError(
            f"duration must be from {low:.2f} to {high:.2f} s for this text and voice; got {duration_s:g}."
        )
    natural = np.array([0.0 if reading is None else reading.durations.sum() for reading in readings])
    room = round(duration_s * SPEC.frame_rate) - pauses
    ends = np.round(np.cumsum(natural) / natural.sum() * room)
    lengths_s = np.diff(ends, prepend=0.0) / SPEC.frame_rate
    return [
        p if reading is None else replace(p, duration_s=float(length))
        for p, reading, length in zip(planned, readings, lengths_s, strict=True)
    ]


def with_word_times(planned: Sequence[Planned], times: Sequence[WordTime]) -> list[Planned]:
    """Give each segment the times of its words, from its own start; neighbours meet in the middle of the gap between them.

    Pauses that the text asks for are left to the times.

    Raises:
        ValueError: other words than the text has; times without words need only be as many.
    """
    counts = [1 + max(p.segment.words, default=-1) for p in planned]
    spoken = [word for p in planned for word in written_words(p.segment.text, LANGUAGE)]
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
        moved = tuple(WordTime(t.word, t.start_s - start_s, t.end_s - start_s) for t in own)
        segment = replace(part.segment, pause_after_s=None)
        length_s = None if end_s is None else end_s - start_s
        found.append(replace(part, segment=segment, word_times=moved, duration_s=length_s))
        start_s = start_s if end_s is None else end_s
    return found


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
