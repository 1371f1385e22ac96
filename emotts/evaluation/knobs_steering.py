"""The finer ways of asking in the register of knobs: forms of the specification, text with marks, time, timing and the reading.

Importing this module registers them; see emotts/evaluation/knobs.py.
"""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.direction import Direction, save_direction
from emotts.emotion.labels import AVD_MEANS
from emotts.emotion.spec import parse_emotion
from emotts.evaluation.knobs import EMOTION, Knob, Take, register
from emotts.evaluation.measures import along
from emotts.intonation import Intonation, intonation_of
from emotts.metrics.statistics import pearson
from emotts.word_times import WordTime

CHEERFUL = "What a wonderful surprise, we won the whole thing!"
OTHER_WORDS = "You will find the keys under the green bowl."
EMPHASISED = ("She put the blue bottle on the table.", "She put the *blue* bottle on the table.")
SPANNED = (
    "[excited]We went to the market.[/] [sad]Then we came back home.[/]",
    "[sad]We went to the market.[/] [excited]Then we came back home.[/]",
)


def _towards(label: str, take: Take) -> float:
    return float(along(np.array(take.heard.avd), np.zeros(3), np.array(AVD_MEANS[label])))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of all files that knobs read; it goes when the program ends."""
    return tempfile.TemporaryDirectory(prefix="emotts-knobs-")


def _new_file(suffix: str) -> Path:
    return Path(tempfile.mkdtemp(dir=_folder().name)) / f"knob{suffix}"


def _file_of(take: Take, **options: Any) -> Path:
    """Write another take of the same voice to a file that later takes read."""
    path = _new_file(".wav")
    take.again(**options).result.save(path)
    return path


def _norms(arousal: float) -> dict[str, Any]:
    path = _new_file(".txt")
    path.write_text(f"furious\t0.5\t{0.5 + 0.5 * arousal:g}\t0.5\n", encoding="utf-8")
    return {"emotion": '"furious"', "norms": path}


def _direction_to(label: str) -> Path:
    vector = coordinates_of_spec(parse_emotion(label))
    path = _new_file(".safetensors")
    save_direction(path, Direction(vector, 1, "pairs", {}))
    return path


def _like(value: float, take: Take) -> dict[str, Any]:
    files = {name: _file_of(take, emotion=name) for name in ("neutral", "excited")}
    return {"emotion": f'like="{files["excited"]}":{value}', "like_neutral": [files["neutral"]]}


def _like_neutral(is_told: bool, take: Take) -> dict[str, Any]:
    options = _like(1.0, take)
    return options if is_told else {"emotion": options["emotion"]}


def _word_times(delay_s: float, take: Take) -> dict[str, Any]:
    """Ask for every word as spoken plainly, all of them later by `delay_s`."""
    times = take.result.word_times
    shift = 0.1 + delay_s - times[0].start_s
    return {"word_times": [WordTime("", time.start_s + shift, time.end_s + shift) for time in times]}


def _first_word_s(take: Take) -> float:
    return take.result.word_times[0].start_s


def _raised(factor: float, take: Take) -> dict[str, Any]:
    """Give back the reading of a plain take with its F0 multiplied."""
    sheets = [
        replace(sheet, f0_hz=tuple((a * factor, b * factor) for a, b in sheet.f0_hz)) for sheet in take.result.prosody
    ]
    return {"prosody": sheets}


def _surprised(take: Take) -> Intonation:
    """Return the melody of other words, said with surprise."""
    result = replace(take, text=OTHER_WORDS).again(emotion="surprised", seed=5).result
    return intonation_of(result.waveform, result.sample_rate)


def _surprised_melody(weight: float, take: Take) -> dict[str, Any]:
    return {"intonation": _surprised(take), "intonation_weight": weight}


def _likeness_of_melody(take: Take) -> float:
    """Return the correlation of F0 with the melody that was given, where the speech is voiced."""
    octaves = take.options["intonation"].octaves
    f0 = np.asarray(take.result.f0)
    words = np.repeat(take.result.words, take.result.durations)
    spoken = np.flatnonzero(words >= 0)
    place = (np.arange(len(f0)) - spoken[0] + 0.5) / (spoken[-1] + 1 - spoken[0])
    shape = np.interp(place, (np.arange(len(octaves)) + 0.5) / len(octaves), octaves)
    voiced = f0 > 0
    return pearson(np.log2(f0[voiced]), shape[voiced])


def _halves_st(take: Take) -> float:
    """Return how much higher the second half is than the first, in semitones."""
    f0 = np.asarray(take.result.f0)
    parts = [half[half > 0] for half in np.array_split(f0, 2)]
    return float(12.0 * (np.log2(parts[1]).mean() - np.log2(parts[0]).mean()))


def _emphasis(take: Take) -> float:
    """Return how far the word "blue" lies above the rest, in semitones, plus how long it lasts in tenths of a second."""
    result = take.result
    words = np.repeat(result.words, result.durations)
    f0 = np.asarray(result.f0)
    inside, outside = (f0[(words == 3) == is_it] for is_it in (True, False))
    height = 12.0 * (np.log2(inside[inside > 0]).max() - np.log2(outside[outside > 0]).mean())
    return float(height + 10.0 * (words == 3).sum() / SPEC.frame_rate)


def _sound(take: Take) -> np.ndarray:
    """Return register, level and brightness in units of what is plainly heard [3]."""
    p = take.prosody
    return np.array([p.f0_mean_st / 2.0, p.level_db / 3.0, p.alpha_ratio_db / 3.0])


for _knob in (
    Knob("mixture", "happy+sad: valence falls with the part of sad", (0.1, 0.5, 0.9),
         lambda v: {"emotion": f"happy:{1 - v:g}+sad:{v:g}"}, lambda take: take.heard.avd[1], -1, 0.3, parameter="emotion"),
    Knob("away", "sad without excited: what excited would bring falls", (0.01, 0.5, 1.0),
         lambda v: {"emotion": f"happy:0.8-excited:{v:g}"}, lambda take: _towards("excited", take), -1, 0.15, parameter="emotion"),
    Knob("words", "descriptions of growing anger: heard anger rises", ("barely annoyed", "angry", "absolutely furious"),
         lambda v: {"emotion": f'"{v}"'}, lambda take: _towards("angry", take), 1, 0.2, parameter="emotion"),
    Knob("norms", "a user's norms decide what a word means", (-0.8, 0.8), _norms, lambda take: take.heard.avd[0], 1, 0.3),
    Knob("auto", "a cheerful text sounds more so", (0.0, 0.4, 0.8), lambda v: {"emotion": f"auto:{v:g}", "text": CHEERFUL},
         lambda take: _towards("happy", take), 1, 0.2, parameter="emotion"),
    Knob("like", "the feeling of an excited recording is heard", (0.0, 0.5, 1.0), _like, lambda take: _towards("excited", take),
         1, 0.2, parameter="emotion"),
    Knob("like_neutral", "what is heard in the recording changes", (False, True), _like_neutral,
         lambda take: np.array(take.heard.avd), 0, 0.02),
    Knob("direction", "a direction towards sad: heard sadness rises", (-0.5, 0.0, 0.5, 1.0),
         lambda v: {"emotion": f'neutral,direction="{_direction_to("sad")}":{v:g}'}, lambda take: _towards("sad", take), 1, 0.25,
         parameter="emotion"),
    Knob("erase", "sad with sad erased is no longer sad", (False, True),
         lambda v: {"emotion": f'sad,erase="{_direction_to("sad")}"' if v else "sad"}, lambda take: _towards("sad", take), -1, 0.25,
         parameter="emotion"),
    Knob("spans", "the second half rises against the first", (0, 1), lambda v: {"text": SPANNED[v]}, _halves_st, 1, 2.0,
         parameter="text", keeps_voice=False),
    Knob("emphasis", "the word is higher and longer", (0, 1), lambda v: {"text": EMPHASISED[v]}, _emphasis, 1, 1.0,
         parameter="text", keeps_voice=False),
    Knob("timeline", "the second half rises against the first", ("fall:excited", "rise:excited"), lambda v: {"timeline": v},
         _halves_st, 1, 2.0),
    Knob("duration", "it lasts as long as asked", (0.8, 1.0, 1.3), lambda v, take: {"duration": v * take.result.duration_s},
         lambda take: take.result.duration_s, 1, 0.4),
    Knob("word_times", "the first word begins later", (0.1, 0.3, 0.6), _word_times, _first_word_s, 1, 0.45),
    Knob("prosody", "mean F0 rises as the sheet says, in semitones", (0.9, 1.0, 1.12), _raised,
         lambda take: take.prosody.f0_mean_st, 1, 2.0),
    Knob("intonation", "the melody follows the recording", (0.0, 0.5, 1.0), _surprised_melody, _likeness_of_melody, 1, 0.2),
    Knob("intonation_weight", "the melody follows the recording", (0.0, 0.5, 1.0), _surprised_melody, _likeness_of_melody, 1, 0.2),
    Knob("mixing", "each way of mixing sounds its own", ("joint", "embedding", "velocity", "schedule"),
         lambda v: {"emotion": "excited:0.5+sad:0.5", "mixing": v}, _sound, 0, 0.01),
    Knob("speaker_guidance", "the voice is exaggerated", (1.0, 1.5, 2.0), lambda v: {"speaker_guidance": v}, _sound,
         0, 0.02, keeps_voice=False),
    Knob("content_guidance", "the articulation is exaggerated", (1.0, 1.15, 1.3), lambda v: {"content_guidance": v},
         _sound, 0, 0.02),
    Knob("classifier", f"{EMOTION} sounds more so", (0.0, 0.3, 0.6), lambda v: {"emotion": EMOTION, "classifier": v},
         _sound, 0, 0.02),
    Knob("classifier_away", f"{EMOTION} sounds different", (0.0, 0.3, 0.6),
         lambda v: {"emotion": f"{EMOTION}-surprised:0.01", "classifier_away": v}, _sound, 0, 0.02),
):  # fmt: skip
    register(_knob)
