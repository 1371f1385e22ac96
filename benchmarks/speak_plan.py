"""Which requests the benchmark makes, what a row of its table is, and the measures that several rows share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from speak_systems import Ask, Bench, System

from emotts.emotion.labels import LABELS
from emotts.metrics.statistics import Interval, bootstrap_ratio


@dataclass(frozen=True)
class Plan:
    """Which requests are made.

    Attributes:
        neutral: neutral requests. emotional: requests of every category at intensity 1.
        texts: sentences for sweeps, seeds and the flow. voices: voices of sweeps, seeds and the flow.
        seeds: of the row on different readings.
    """

    neutral: list[Ask]
    emotional: list[Ask]
    texts: list[str]
    voices: list[str]
    seeds: tuple[int, ...]


def make_plan(
    sentences: list[str], voices: list[str], per_voice: int, n_texts: int, n_voices: int, n_seeds: int, offset: int = 0
) -> Plan:
    """Deal sentences to voices and categories in turn, so that every cell gets different ones.

    Args:
        sentences: unseen ones.
        voices: all voices under test.
        per_voice: neutral and, again, emotional requests of each voice.
        n_texts, n_voices, n_seeds: of sweeps and seeds.
        offset: first sentence.
    """
    neutral, emotional = [], []
    for v, voice in enumerate(voices):
        for i in range(per_voice):
            text = sentences[(offset + v * per_voice + i) % len(sentences)]
            neutral.append(Ask(text, voice, seed=i))
            emotional.append(Ask(text, voice, LABELS[(i + v) % len(LABELS)], seed=i))
    # the longest sentences say most about tempo and contour
    texts = sorted(sentences[: max(4 * n_texts, 8)], key=len)[-n_texts:]
    return Plan(neutral, emotional, texts, voices[:n_voices], tuple(range(1, n_seeds + 1)))


def grouped(asks: Iterable[Ask], group: Callable[[Ask], str]) -> dict[str, list[Ask]]:
    """Sort requests into groups, keeping their order."""
    parts: dict[str, list[Ask]] = {}
    for ask in asks:
        parts.setdefault(group(ask), []).append(ask)
    return parts


def word_error_rate(bench: Bench, system: System, asks: list[Ask]) -> Interval:
    """Return the corpus word error rate in per cent with its interval."""
    heard = [bench.measure(system, ask, "asr") for ask in asks]
    rate = bootstrap_ratio([count_errors(h) for h in heard], [count_words(h) for h in heard])
    return Interval(100.0 * rate.value, 100.0 * rate.low, 100.0 * rate.high)


def count_errors(heard: dict[str, Any]) -> int:
    """Return the wrong words of what the recogniser heard."""
    return sum(int(heard[f"whisper_wer_{kind}"]) for kind in ("delete", "insert", "replace"))


def count_words(heard: dict[str, Any]) -> int:
    """Return the words of the reference."""
    return sum(int(heard[f"whisper_wer_{kind}"]) for kind in ("delete", "replace", "equal"))


def overall_quality(bench: Bench, system: System, ask: Ask) -> float:
    """Return DNSMOS OVRL of an answer."""
    return float(bench.measure(system, ask, "quality")["dns_overall"])


def embedding(bench: Bench, system: System, ask: Ask) -> np.ndarray:
    """Return the speaker embedding of an answer [256]."""
    return np.asarray(bench.measure(system, ask, "speaker")["embedding"])


def mean_embedding(bench: Bench, system: System, asks: list[Ask]) -> np.ndarray:
    """Return the normalised mean of the embeddings of answers [256]."""
    mean = np.mean([embedding(bench, system, ask) for ask in asks], axis=0)
    return mean / np.linalg.norm(mean)


def as_list(interval: Interval) -> list[float]:
    """Return value, low and high, rounded for the JSON file."""
    return [round(x, 3) for x in (interval.value, interval.low, interval.high)]
