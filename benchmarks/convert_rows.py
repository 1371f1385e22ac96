"""The parts of benchmarks/convert.py that have targets: each takes the bench and recordings and returns rows of the table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from convert_bench import Bench
from convert_data import Limits, Recordings, Source, Speaker
from convert_store import Clip, Target
from tables import Row

from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.evaluation.measures import along, neighbour_pairs
from emotts.metrics.statistics import bootstrap_mean

EMOTIONS = tuple(name for name in LABELS if name != "neutral")
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
VOICES = ("heart", "otto", "joe", "kumo")  # of three teachers
AXES = {"arousal": 0, "valence": 1}
Part = Callable[[Bench, Recordings], list[Row]]


def emotion(bench: Bench, data: Recordings) -> list[Row]:
    """The speaker stays, the emotion is asked: words, voice, what the judge hears, and quality."""
    limits = data.limits
    errors, likeness, loss, labels = [], [], [], []
    taken = [bench.is_taken_for_neutral(source) for _, source in data.pairs("neutral")]
    for _, source, label in asked(data, data.labels_per_source):
        before, still, after = bench.load(source), bench.still(source), bench.convert(source, emotion=label)
        errors.append(bench.word_change(source, after))
        likeness.append(bench.likeness(after, [before]))
        loss.append(bench.quality(still) - bench.quality(after))
        labels.append(label)
    return [
        word_row(data, "emotion: WER rise over the source", errors, limits.wer_rise),
        at_least(data, "emotion: speaker similarity to the source", likeness, limits.likeness, by=labels),
        share(data, "emotion: a neutral source is taken for neutral", taken, None),
        *_heard(bench, data, "emotion", limits),
        at_most(data, "emotion: DNSMOS loss against strength 0", loss, limits.quality_loss, by=labels),
    ]


def told(bench: Bench, data: Recordings) -> list[Row]:
    """What the judge hears where the conversion need not hear how the recording feels: it is told that it is neutral."""
    nothing = replace(data.limits, first=None, first_two=None, arousal=None, valence=None)
    return _heard(bench, data, "emotion, source told to be neutral", nothing, source_emotion="neutral")


def _heard(bench: Bench, data: Recordings, what: str, limits: Limits, **given: Any) -> list[Row]:
    """What the judge hears of the labels asked, and whether it moved from strength 0 the way it should."""
    ranks, labels = [], []
    moved: dict[str, list[bool]] = {name: [] for name in AXES}
    for speaker, source, label in asked(data, data.labels_per_source):
        ear = bench.told(speaker)
        heard, still = (
            bench.hear(x, ear) for x in (bench.convert(source, emotion=label, **given), bench.still(source))
        )
        ranks.append(heard.rank(label))
        labels.append(label)
        for name, i in AXES.items():
            moved[name].append((heard.avd[i] - still.avd[i]) * AVD_MEANS[label][i] > 0.0)
    first, two = ([rank < n for rank in ranks] for n in (1, 2))
    return [
        share(data, f"{what}: asked label is heard first of 12", first, limits.first, by=labels),
        share(data, f"{what}: asked label is in the first two", two, limits.first_two, by=labels),
        *(
            share(data, f"{what}: heard {name} moves the asked way", moved[name], getattr(limits, name), by=labels)
            for name in AXES
        ),
    ]


def strength(bench: Bench, data: Recordings) -> list[Row]:
    """Neighbouring strengths of a source and a label: is more of it heard?"""
    given, way, chance, groups, whole = [], [], [], [], []
    for speaker, source, label in asked(data, data.strengths_per_source):
        ear = bench.told(speaker)
        still = bench.hear(bench.still(source), ear).place
        for value in STRENGTHS:
            options = {} if value == 1.0 else {"strength": value}  # 1 is the default, made by another part
            heard = bench.hear(bench.convert(source, emotion=label, **options), ear)
            given.append(value)
            way.append(float(along(heard.place, still, np.array(AVD_MEANS[label]))))
            chance.append(heard.labels[label])
            groups.append((source.path, label))
        whole.append(way[-1])
    risen, likelier = (neighbour_pairs(given, values, groups)[0].tolist() for values in (way, chance))
    names = [label for _, label in dict.fromkeys(groups) for _ in STRENGTHS[1:]]
    return [
        share(data, "strength 0.25, 0.5, 0.75, 1: neighbours heard in order", risen, data.limits.order, by=names),
        share(data, "strength: probability of the label in order", likelier, None, by=names),
        plain(data, "strength 1: way from strength 0 to the label's place", whole, "{median:.2f} of it"),
    ]


def timing(bench: Bench, data: Recordings) -> list[Row]:
    """Words laid over the source and over the result: how far do their borders lie apart?"""
    shifts, floor, ends = [], [], []
    for _, source, label in asked(data, min(3, data.labels_per_source)):
        before, after = bench.load(source), bench.convert(source, emotion=label)
        ends.append(1_000.0 * abs(len(after.waveform) - len(before.waveform)) / 24_000.0)
        borders = [np.array(bench.borders(clip, source.text)) for clip in (before, after, bench.copy(source))]
        shifts += (1_000.0 * np.abs(borders[1] - borders[0])).tolist()
        floor += (1_000.0 * np.abs(borders[2] - borders[0])).tolist()
    limit = data.limits.shift_ms
    numbers = {"result": spread(shifts), "copy synthesis": spread(floor), "lengths": spread(ends)}
    (wide, wider), worst = np.percentile(shifts, [95, 99]), max(shifts)
    usual = np.percentile(floor, 95)
    return [
        Row(
            named(data, "timing: word border shift, worst"), f"<= {limit:g} ms",
            f"{worst:.1f} ms (copy synthesis {max(floor):.1f} ms, n {len(shifts)})", worst <= limit, numbers,
        ),
        Row(
            named(data, "timing: word border shift, 95th percentile"), f"<= {limit:g} ms",
            f"{wide:.1f} ms (99th {wider:.1f} ms, copy synthesis {usual:.1f} ms)", bool(wide <= limit), numbers,
        ),
        plain(data, "timing: difference in length", ends, "worst {worst:.1f} ms"),
    ]  # fmt: skip


def voice(bench: Bench, data: Recordings) -> list[Row]:
    """Every source, neutral or not, to a named voice and to one known from recordings: whose voice, which words, how it feels."""
    rows = []
    for kind, targets in (
        ("named voice", named_targets(bench)),
        ("recordings of a voice", zero_shot_targets(bench, data)),
    ):
        if not targets:
            continue
        likeness, nearer, errors, same, apart = [], [], [], [], []
        for i, (speaker, source) in enumerate([*data.pairs("neutral"), *data.pairs("emotional")]):
            target, ear = other_voice(targets, speaker, i)
            before, after = bench.load(source), bench.convert(source, target)
            likeness.append(bench.likeness(after, target.own))
            nearer.append(likeness[-1] > bench.likeness(after, [before, *map(bench.load, speaker.told)]))
            errors.append(bench.word_change(source, after))
            was, heard = bench.hear(bench.copy(source), bench.told(speaker)), bench.hear(after, ear)
            same.append(was.rank(max(heard.labels, key=lambda name: heard.labels[name])) == 0)
            apart.append(float(np.linalg.norm(heard.place - was.place)))
        limits = data.limits
        rows += [
            at_least(data, f"voice, {kind}: similarity to the target", likeness, limits.target_likeness),
            share(data, f"voice, {kind}: target beats source", nearer, limits.target_share),
            word_row(data, f"voice, {kind}: WER rise over the source", errors, None),
            share(data, f"voice, {kind}: judge hears the label it heard in the source", same, None),
            plain(data, f"voice, {kind}: distance of what is heard before and after (A, V, D)", apart, "{median:.2f}"),
        ]
    return rows


# --- what is asked


def asked(data: Recordings, count: int) -> Iterator[tuple[Speaker, Source, str]]:
    """Yield `count` labels for each neutral source, all of them equally often."""
    for i, (speaker, source) in enumerate(data.pairs("neutral")):
        for j in range(count):
            yield speaker, source, EMOTIONS[(count * i + j) % len(EMOTIONS)]


def named_targets(bench: Bench) -> list[tuple[Target, tuple[Clip, ...]]]:
    """Return named voices, each with what a judge is told of it."""
    return [(bench.named(name), bench.neutral(name)) for name in VOICES]


def zero_shot_targets(bench: Bench, data: Recordings) -> list[tuple[Target, tuple[Clip, ...]]]:
    return [(bench.zero_shot(speaker), bench.told(speaker)) for speaker in data.targets]


def other_voice(targets: Sequence[tuple[Target, Any]], speaker: Speaker, i: int) -> tuple[Target, Any]:
    """Return the i-th target in turn that is not the speaker."""
    others = [pair for pair in targets if pair[0].name != speaker.name]
    return others[i % len(others)]


# --- rows


def named(data: Recordings, measure: str) -> str:
    return f"{measure}, {data.name}"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean with its interval, median, spread and extremes."""
    interval = bootstrap_mean(values)
    low, high = np.percentile(values, [5, 95])
    return {
        "mean": round(interval.value, 4), "mean_low": round(interval.low, 4), "mean_high": round(interval.high, 4),
        "median": round(float(np.median(values)), 4), "sd": round(float(np.std(values)), 4), "p5": round(float(low), 4),
        "p95": round(float(high), 4), "least": round(min(values), 4), "worst": round(max(values), 4), "n": len(values),
    }  # fmt: skip


def at_least(
    data: Recordings, measure: str, values: Sequence[float], limit: float | None, by: Sequence[str] = ()
) -> Row:
    return _mean_row(data, measure, values, limit, 1.0, by)


def at_most(
    data: Recordings, measure: str, values: Sequence[float], limit: float | None, by: Sequence[str] = ()
) -> Row:
    return _mean_row(data, measure, values, limit, -1.0, by)


def share(data: Recordings, measure: str, hits: Sequence[bool], limit: float | None, by: Sequence[str] = ()) -> Row:
    rate = 100.0 * float(np.mean(hits))
    interval = bootstrap_mean([100.0 * hit for hit in hits])
    numbers = {"percent": rate, "low": interval.low, "high": interval.high, "n": len(hits)} | _each(hits, by)
    target = "-" if limit is None else f">= {100 * limit:g} %"
    is_met = None if limit is None else rate >= 100.0 * limit
    value = f"{rate:.1f} % [{interval.low:.1f}, {interval.high:.1f}] (n {len(hits)})"
    return Row(named(data, measure), target, value, is_met, numbers)


def plain(data: Recordings, measure: str, values: Sequence[float], form: str) -> Row:
    """Return a row without a target; `form` names what of `spread` is shown."""
    numbers = spread(values)
    return Row(named(data, measure), "-", f"{form.format(**numbers)} (n {len(values)})", None, numbers)


def word_row(data: Recordings, measure: str, errors: Sequence[tuple[int, int, int]], limit: float | None) -> Row:
    """Compare word error rates of all words together: errors in the source, in the result, words."""
    before, after, words = np.array(errors, float).T
    was, now = (100.0 * x.sum() / words.sum() for x in (before, after))
    rise = now - was
    numbers = {"source": was, "result": now, "words": int(words.sum()), "n": len(errors)}
    target = "-" if limit is None else f"<= {limit:g} points"
    value = f"{rise:+.1f} points ({was:.1f} % to {now:.1f} %, n {len(errors)})"
    return Row(named(data, measure), target, value, None if limit is None else bool(rise <= limit), numbers)


def _mean_row(
    data: Recordings, measure: str, values: Sequence[float], limit: float | None, sign: float, by: Sequence[str]
) -> Row:
    numbers = spread(values)
    target = "-" if limit is None else f"{'>=' if sign > 0 else '<='} {limit:g}"
    is_met = None if limit is None else sign * float(np.mean(values)) >= sign * limit
    value = f"{numbers['mean']:.3f} (median {numbers['median']:.3f}, sd {numbers['sd']:.3f}, n {len(values)})"
    return Row(named(data, measure), target, value, is_met, numbers | _each(values, by))


def _each(values: Sequence[float], by: Sequence[str]) -> dict[str, Any]:
    """Return the mean for every name."""
    names = sorted(set(by))
    return (
        {"each": {n: round(float(np.mean([v for v, b in zip(values, by, strict=True) if b == n])), 4) for n in names}}
        if names
        else {}
    )


TARGETED: dict[str, Part] = {"emotion": emotion, "told": told, "strength": strength, "timing": timing, "voice": voice}
