"""The parts of benchmarks/convert.py that mostly report: copies, bounds from above, pace, both at once, languages, speed."""

import os
import time
from collections.abc import Sequence

import numpy as np
import torch
from convert_bench import Bench
from convert_data import LEAST_INTENSITY, Recordings
from convert_rows import (
    EMOTIONS,
    TARGETED,
    VOICES,
    Part,
    asked,
    at_least,
    at_most,
    named,
    named_targets,
    other_voice,
    plain,
    share,
    spread,
    word_row,
)
from convert_store import Clip, mel_distance_db
from tables import Row

from emotts.audio import SPEC

REAL_TIME = 0.1
PACES = ("sad", "excited")
OTHER = {"happy": "sad", "sad": "happy", "angry": "calm", "calm": "angry", "bored": "excited", "excited": "bored"}
ELSE = "happy"  # what a source that feels something else is asked to be


def copy(bench: Bench, data: Recordings) -> list[Row]:
    """Strength 0 beside the vocoder's own copy of the recording, and both beside the recording."""
    same, lost, quality, worse, errors = [], [], [], [], []
    for _, source in data.pairs("neutral"):
        before, own = bench.load(source), bench.copy(source)
        after = bench.still(source)
        same.append(mel_distance_db(after.waveform, own.waveform))
        lost.append(mel_distance_db(own.waveform, before.waveform))
        quality.append(bench.quality(before) - bench.quality(own))
        worse.append(bench.quality(own) - bench.quality(after))
        errors.append(bench.word_change(source, own))
    return [
        plain(data, "strength 0: mel distance to copy synthesis", same, "{mean:.2f} dB, worst {worst:.2f} dB"),
        plain(data, "strength 0: DNSMOS loss against copy synthesis", worse, "{mean:.2f}"),
        plain(data, "copy synthesis: mel distance to the recording", lost, "{mean:.2f} dB"),
        plain(data, "copy synthesis: DNSMOS loss against the recording", quality, "{mean:.2f}"),
        word_row(data, "copy synthesis: WER rise over the source", errors, None),
    ]


def sources(bench: Bench, data: Recordings) -> list[Row]:
    """What no conversion can be better than: a voice beside itself in another file, the words, the quality, what is heard."""
    calm, centred, felt, strangers, quality, errors = [], [], [], [], [], []
    first, two, felt_as = [], [], []
    for speaker in data.speakers:
        told = [bench.load(source) for source in speaker.told]
        others = [bench.load(other.told[0]) for other in data.speakers if other is not speaker]
        for source in speaker.neutral:
            clip = bench.load(source)
            calm.append(bench.likeness(clip, told[:1]))
            centred.append(bench.likeness(clip, told))
            strangers += [bench.likeness(clip, [other]) for other in others]
            quality.append(bench.quality(clip))
            errors.append(bench.words(clip, source.text))
        for source in speaker.emotional:
            clip = bench.load(source)
            felt.append(bench.likeness(clip, told[:1]))
            rank = bench.hear(bench.copy(source), bench.told(speaker)).rank(str(source.label))
            first.append(rank == 0)
            two.append(rank <= 1)
            felt_as.append(str(source.label))
    wrong, words = (sum(column) for column in zip(*errors, strict=True))
    rate = 100.0 * wrong / words
    rows = [
        plain(
            data, "sources: similarity of a voice to itself, two neutral files", calm, "{mean:.3f}, least {least:.3f}"
        ),
        plain(data, "sources: similarity of a voice to itself, to the mean of three", centred, "{mean:.3f}"),
        plain(data, "sources: DNSMOS", quality, "{mean:.2f}"),
        Row(named(data, "sources: WER"), "-", f"{rate:.1f} % (words {words})", None, {"percent": rate, "words": words}),
    ]
    if strangers:
        rows.append(plain(data, "sources: similarity of a voice to another", strangers, "{mean:.3f}, most {worst:.3f}"))
    if felt:
        rows.append(
            plain(
                data,
                "sources: similarity of a voice to itself, neutral and emotional",
                felt,
                "{mean:.3f}, least {least:.3f}",
            )
        )
        rows.append(share(data, "sources: label of an emotional source is heard first of 12", first, None, by=felt_as))
        rows.append(share(data, "sources: label of an emotional source is in the first two", two, None, by=felt_as))
    return rows + _own_ear(bench, data)


def _own_ear(bench: Bench, data: Recordings) -> list[Row]:
    """The same by the converter's own reference encoder."""
    pairs = [(a, b) for s in data.speakers for a, b in zip(s.neutral, s.neutral[1:], strict=False)]
    apart = [
        (a.neutral[0], b.neutral[0])
        for a in data.speakers
        for b in data.speakers
        if a is not b and a.neutral and b.neutral
    ]
    rows = []
    for measure, found in (("similarity of a voice to itself", pairs), ("similarity of a voice to another", apart)):
        if found:
            values = [float(bench.reference(bench.load(a)) @ bench.reference(bench.load(b))) for a, b in found]
            rows.append(plain(data, f"sources: {measure}, reference encoder", values, "{mean:.3f}"))
    return rows


def retime(bench: Bench, data: Recordings) -> list[Row]:
    """Is a conversion as much slower or faster as the model is when it speaks the same text?"""
    rows = []
    for label in PACES:
        reached, model = [], []
        for i, (_, source) in enumerate(data.pairs("neutral")):
            after = bench.convert(source, emotion=label, retime=True)
            reached.append(spoken_s(bench.load(source)) / spoken_s(after))
            voice = VOICES[i % len(VOICES)]
            model.append(
                spoken_s(bench.say(source.text, voice, "neutral")) / spoken_s(bench.say(source.text, voice, label))
            )
        numbers = {"conversion": spread(reached), "model": spread(model)}
        value = f"{np.mean(reached):.2f} times as fast (the model's own speech {np.mean(model):.2f}, n {len(reached)})"
        rows.append(Row(named(data, f"retime, {label}: speech rate"), "-", value, None, numbers))
    return rows


def both(bench: Bench, data: Recordings) -> list[Row]:
    """Another voice and another emotion at once."""
    targets = named_targets(bench)
    first, two, likeness, nearer, errors, labels = [], [], [], [], [], []
    for i, (speaker, source, label) in enumerate(asked(data, min(3, data.labels_per_source))):
        target, told = other_voice(targets, speaker, i)
        before, after = bench.load(source), bench.convert(source, target, emotion=label)
        rank = bench.hear(after, told).rank(label)
        first.append(rank == 0)
        two.append(rank <= 1)
        likeness.append(bench.likeness(after, target.own))
        nearer.append(likeness[-1] > bench.likeness(after, [before, *map(bench.load, speaker.told)]))
        errors.append(bench.word_change(source, after))
        labels.append(label)
    return [
        share(data, "voice and emotion: asked label is heard first of 12", first, None, by=labels),
        share(data, "voice and emotion: asked label is in the first two", two, None, by=labels),
        plain(data, "voice and emotion: similarity to the target", likeness, "{mean:.3f}"),
        share(data, "voice and emotion: target beats source", nearer, None),
        word_row(data, "voice and emotion: WER rise over the source", errors, None),
    ]


def felt(bench: Bench, data: Recordings) -> list[Row]:
    """Recordings that feel something already: to neutral, with the source's emotion heard or told, and to another emotion."""
    pairs = data.pairs("emotional")
    if not pairs:
        return []
    heard: dict[str, list[bool]] = {"heard": [], "told": []}
    two: dict[str, list[bool]] = {"heard": [], "told": []}
    right, other, other_two, likeness, wanted = [], [], [], [], []
    for speaker, source in pairs:
        told = bench.told(speaker)
        for way in heard:
            given = {} if way == "heard" else {"source_emotion": source.label}
            after = bench.convert(source, emotion="neutral", **given)
            rank = bench.hear(after, told).rank("neutral")
            heard[way].append(rank == 0)
            two[way].append(rank <= 1)
            if way == "heard":
                right.append(not bench.is_taken_for_neutral(source))
        label = OTHER.get(str(source.label), ELSE)
        after = bench.convert(source, emotion=label)
        rank = bench.hear(after, told).rank(label)
        other.append(rank == 0)
        other_two.append(rank <= 1)
        likeness.append(bench.likeness(after, [bench.load(source)]))
        wanted.append(f"{source.label} to {label}")
    return [
        share(data, "emotional to neutral: neutral is heard first, source's emotion heard", heard["heard"], None),
        share(data, "emotional to neutral: neutral in the first two, source's emotion heard", two["heard"], None),
        share(
            data,
            f"an emotional source (intensity >= {LEAST_INTENSITY}) is not taken for neutral",
            right,
            None,
        ),
        share(data, "emotional to neutral: neutral is heard first, source's emotion told", heard["told"], None),
        share(data, "emotional to neutral: neutral in the first two, source's emotion told", two["told"], None),
        share(data, "emotional to another emotion: heard first of 12", other, None, by=wanted),
        share(data, "emotional to another emotion: in the first two", other_two, None, by=wanted),
        plain(data, "emotional to another emotion: similarity to the source", likeness, "{mean:.3f}"),
    ]


def languages(bench: Bench, data: Recordings) -> list[Row]:
    """Prompts in languages that the model does not know: voice and quality kept, and a warning."""
    rows = []
    for language, speaker in data.foreign.items():
        likeness, loss, warned, length = [], [], [], []
        for i, source in enumerate(speaker.neutral):
            label = EMOTIONS[2 * i % len(EMOTIONS)]
            before, calm = bench.load(source), bench.still(source)
            after = bench.convert(source, emotion=label)
            likeness.append(bench.likeness(after, [before]))
            loss.append(bench.quality(calm) - bench.quality(after))
            warned.append(any("language" in warning for warning in after.warnings))
            length.append(len(after.waveform) / SPEC.sample_rate)
        rows += [
            at_least(data, f"prompts in {language}: speaker similarity to the source", likeness, None),
            at_most(data, f"prompts in {language}: DNSMOS loss against strength 0", loss, None),
            share(data, f"prompts in {language}: warned that the language is not known", warned, None),
        ]
    return rows


def speed(bench: Bench, data: Recordings) -> list[Row]:
    """Time of a whole conversion over the length of the recording; nothing comes from the store."""
    torch.set_num_threads(bench.threads)
    factors = []
    load = os.getloadavg()[0]
    pairs = data.pairs("neutral")[:9]
    for n, (_, source) in enumerate(pairs):
        started = time.perf_counter()
        result = bench.tts.convert(source.path, emotion=EMOTIONS[n % len(EMOTIONS)], seed=n)
        seconds = time.perf_counter() - started
        if n:  # the first one loads what is loaded when needed
            factors.append(seconds * SPEC.sample_rate / len(result.waveform))
    middle = float(np.median(factors))
    numbers = spread(factors) | {"threads": bench.threads, "load_before": round(load, 2)}
    value = (
        f"{middle:.3f} (worst {max(factors):.3f}, {bench.threads} threads, load before {load:.1f}, n {len(factors)})"
    )
    return [
        Row(named(data, "speed: real-time factor, median"), f"<= {REAL_TIME:g}", value, middle <= REAL_TIME, numbers)
    ]


def spoken_s(clip: Clip, below_peak_db: float = 40.0) -> float:
    """Return the seconds from the first to the last sound of a clip."""
    hop = SPEC.hop_length
    frames = clip.waveform[: len(clip.waveform) // hop * hop].reshape(-1, hop)
    power = (frames.astype(np.float64) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10.0 ** (-below_peak_db / 10.0))
    return float(loud[-1] + 1 - loud[0]) / SPEC.frame_rate


UNTARGETED: dict[str, Part] = {
    "copy": copy, "sources": sources, "retime": retime, "both": both, "felt": felt, "languages": languages, "speed": speed,
}  # fmt: skip
PARTS: dict[str, Part] = {**TARGETED, **UNTARGETED}


def of_set(parts: Sequence[str], data: Recordings) -> list[str]:
    """Return the parts that these recordings can answer."""
    return [name for name in parts if not (name == "languages" and not data.foreign)]
