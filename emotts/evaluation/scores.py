"""A grid small enough for training: a model and a judge come in, a few numbers for the log and for choosing a checkpoint go out."""

from typing import TYPE_CHECKING

import numpy as np

from emotts.emotion.heard import Judge
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABEL_INDEX, LABELS
from emotts.evaluation.grid import TEXTS, spread_voices
from emotts.evaluation.measures import along
from emotts.metrics.statistics import concordance, spearman
from emotts.reference import LearningJudge, acquaint

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS


def grid_scores(
    tts: "EmoTTS", judge: LearningJudge, n_points: int = 18, n_voices: int = 4, seed: int = 0
) -> dict[str, float]:
    """Speak every label and some free points once, and let one judge hear them.

    Choosing a checkpoint by it makes the judge part of training: give the recogniser, never the independent one.

    Args:
        tts: the model; only `voices` and `synthesize` are used.
        judge: who hears; it is told the neutral speech of every voice.
        n_points: free places in the emotion space, 3 or more.
        n_voices: voices at most, taken in turn.
        seed: of the readings and the places.

    Returns:
        recall over the labels; label_place, the mean way to the label's place (1 is there); Spearman and CCC per dimension over all
        utterances; unheard, the share that the judge refused (silence); score, the mean of recall and the CCCs, less unheard.
    """
    voices = spread_voices([card.name for card in tts.voices], [card.teacher for card in tts.voices])[:n_voices]
    places = np.random.default_rng(seed).uniform(-1.0, 1.0, (n_points, 3)).round(3)
    asked: list[tuple[str | None, np.ndarray]] = [(name, np.array(AVD_MEANS[name])) for name in LABELS]
    asked += [(None, place) for place in places]
    heard: list[tuple[str | None, np.ndarray, np.ndarray, bool]] = []
    judges: dict[str, Judge] = {}
    for i, (label, place) in enumerate(asked):
        options = {"emotion": label} if label else dict(zip(DIMENSIONS, map(float, place), strict=True))
        text, voice = TEXTS[i % len(TEXTS)], voices[(i + i // len(voices)) % len(voices)]
        result = tts.synthesize(text, voice=voice, seed=seed, **options)
        try:
            if voice not in judges:
                judges[voice] = acquaint(judge, tts, voice)
            answer = judges[voice].hear(result.waveform, result.sample_rate)
        except ValueError:
            continue  # an early model may say nothing that can be heard; it is counted below
        best = max(answer.labels, key=answer.labels.__getitem__)
        heard.append((label, place, np.array(answer.avd), best == label))
    return _summary(heard, len(asked))


def _summary(heard: list[tuple[str | None, np.ndarray, np.ndarray, bool]], n_asked: int) -> dict[str, float]:
    labelled = [row for row in heard if row[0] is not None]
    scores = {
        "recall": float(np.mean([is_hit for *_, is_hit in labelled])) if labelled else 0.0,
        "label_place": float(
            np.mean([along(a, np.zeros(3), p) for name, p, a, _ in labelled if LABEL_INDEX[str(name)]])
        )
        if len(labelled) > 1
        else 0.0,
    }
    for i, name in enumerate(DIMENSIONS):
        x, y = [float(place[i]) for _, place, _, _ in heard], [float(avd[i]) for _, _, avd, _ in heard]
        scores[f"{name}_spearman"] = spearman(x, y) if len(heard) > 2 else 0.0
        scores[f"{name}_ccc"] = concordance(x, y) if len(heard) > 2 else 0.0
    scores["unheard"] = 1.0 - len(heard) / n_asked
    parts = [scores["recall"], *(scores[f"{name}_ccc"] for name in DIMENSIONS)]
    scores["score"] = float(np.mean(parts)) - scores["unheard"]
    return scores
