"""The parts of benchmarks/steer.py: each asks for many utterances one way and says how well the judge heard what was asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from steer_bench import SEED, Bench, Figure, least, most, place, rate

from emotts.emotion.heard import Heard
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.evaluation.measures import along, leak_matrix, neighbour_pairs
from emotts.judges import load_judge
from emotts.metrics.statistics import pearson, spearman
from emotts.reference import neutral_speech

EMOTIONS = tuple(name for name in LABELS if name != "neutral")
INTENSITIES = (0.25, 0.5, 0.75, 1.0)
CONTROL_AVD = "arousal, valence, dominance"
SWEEP = (-1.0, -0.5, 0.0, 0.5, 1.0)
PAIRS = (
    ("happy", "sad"), ("angry", "sad"), ("fearful", "bored"), ("excited", "tender"), ("surprised", "sad"), ("happy", "angry"),
    ("calm", "fearful"), ("disgusted", "excited"), ("tender", "angry"), ("contempt", "surprised"),
)  # fmt: skip
REFUSED = (
    ("angry:0.8", "fearful"), ("happy:0.8", "excited"), ("sad:0.8", "bored"), ("calm:0.8", "tender"), ("fearful:0.8", "surprised"),
    ("disgusted:0.8", "contempt"), ("excited:0.8", "surprised"), ("tender:0.8", "sad"),
)  # fmt: skip


def intensity(bench: Bench) -> list[Figure]:
    """Two labels for every text, at four intensities; heard strength is the way from neutral to the label's place."""
    asked, strength, groups = [], [], []
    for i, text, voice in bench.pairs():
        for label in (EMOTIONS[(2 * i) % len(EMOTIONS)], EMOTIONS[(2 * i + 5) % len(EMOTIONS)]):
            for value in INTENSITIES:
                heard = place(bench.heard(text, voice, emotion=f"{label}:{value}"))
                asked.append(value)
                strength.append(float(along(heard, np.zeros(3), np.array(AVD_MEANS[label]))))
                groups.append((i, label))
    risen, _ = neighbour_pairs(asked, strength, groups)
    return [rate("intensity 0.25, 0.5, 0.75, 1", "neighbours heard in order", risen.tolist(), 0.90)]


def dimensions(bench: Bench) -> list[Figure]:
    """Each text sweeps all three dimensions, the others held at 0."""
    asked, heard, groups, swept = [], [], [], []
    for _, text, voice in bench.pairs():
        for d, name in enumerate(DIMENSIONS):
            for value in SWEEP:
                options = {**dict.fromkeys(DIMENSIONS, 0.0), name: value}
                heard.append(place(bench.heard(text, voice, **options)))
                asked.append([options[key] for key in DIMENSIONS])
                groups.append((text, voice))
                swept.append(d)
    a, h, s = np.array(asked), np.array(heard), np.array(swept)
    figures = []
    for (d, name), target in zip(enumerate(DIMENSIONS), (0.90, 0.80, 0.75), strict=True):
        order = spearman(a[s == d, d], h[s == d, d])
        figures.append(least(CONTROL_AVD, f"Spearman of asked and heard {name}", order, target, int((s == d).sum())))
    leak = leak_matrix(a, h, groups)
    off = float(np.abs(leak[~np.eye(3, dtype=bool)]).mean())
    return [
        *figures,
        most(CONTROL_AVD, "leak: mean absolute slope off the diagonal", off, 0.25, len(a)),
    ]


def mixtures(bench: Bench) -> list[Figure]:
    """Half and half: is the heard distribution nearer to the mixture than that of either label alone?"""
    hits: dict[str, list[bool]] = {mode: [] for mode in ("joint", "embedding", "velocity", "schedule")}
    for i, text, voice in bench.pairs():
        one, other = PAIRS[i % len(PAIRS)]
        asked = np.array([0.5 if name in (one, other) else 0.0 for name in LABELS])

        def likeness(_asked: np.ndarray = asked, _text: str = text, _voice: str = voice, **options: Any) -> float:
            heard = bench.heard(_text, _voice, **options).labels
            shares = np.array([heard[name] for name in LABELS])
            return float(shares @ _asked / np.linalg.norm(shares) / np.linalg.norm(_asked))

        pure = max(likeness(emotion=one), likeness(emotion=other))
        for mode, found in hits.items():
            found.append(likeness(emotion=f"{one}:0.5+{other}:0.5", mixing=mode) > pure)
    return [
        rate("mixture of two labels", f"nearer to it than either label alone, mixing={mode}", found, 0.90)
        for mode, found in hits.items()
    ]


def away(bench: Bench) -> list[Figure]:
    """A label with and without staying away from one that is easily confused with it."""
    fell, errors = [], {True: [0, 0], False: [0, 0]}
    for i, text, voice in bench.pairs():
        emotion, refused = REFUSED[i % len(REFUSED)]
        probability = {}
        for is_refused in (False, True):
            result = bench.say(text, voice, emotion=f"{emotion}-{refused}" if is_refused else emotion)
            probability[is_refused] = bench.hear(result).labels[refused]
            counted = bench.words.word_errors([result.waveform], [text])[0]
            errors[is_refused][0] += counted.errors
            errors[is_refused][1] += counted.words
        fell.append(probability[True] < probability[False])
    cost = 100.0 * (errors[True][0] / errors[True][1] - errors[False][0] / errors[False][1])
    return [
        rate("away from a label", "probability of the refused label falls", fell, 0.95),
        most("away from a label", "cost in word error rate", cost, 1.0, len(fell), " points"),
    ]


def classifier(bench: Bench) -> list[Figure]:
    """The recogniser's push: what it hears itself, and what the judge hears that does not steer."""
    hearing = load_judge("recognizer")
    told = {v: hearing.with_reference(neutral_speech(bench.tts, v)) for v in bench.voices}
    rose, rose_itself, fell = [], [], []
    for i, text, voice in bench.pairs():
        emotion, refused = REFUSED[i % len(REFUSED)]
        label = emotion.split(":")[0]
        plain, pushed = (bench.say(text, voice, emotion=emotion, **push) for push in ({}, {"classifier": 0.4}))
        by_itself = [told[voice].hear(x.waveform, x.sample_rate).labels[label] for x in (plain, pushed)]
        rose_itself.append(by_itself[1] > by_itself[0])
        heard = [bench.hear(x).labels for x in (plain, pushed)]
        rose.append(heard[1][label] > heard[0][label])
        pulled = bench.heard(text, voice, emotion=f"{emotion}-{refused}:0.01", classifier_away=0.4).labels
        fell.append(pulled[refused] < heard[0][refused])
    control = "classifier guidance 0.4"
    rows = (
        (f"{control}, by the recogniser that pushes", "probability of the label rises", rose_itself),
        (control, "probability of the label rises", rose),
        (f"{control}, away", "probability of the refused label falls", fell),
    )
    return [Figure(name, what, "-", f"{100 * float(np.mean(hits)):.1f} %", len(hits)) for name, what, hits in rows]


def reference(bench: Bench) -> list[Figure]:
    """The feeling of one voice's recording, spoken by another voice with other words."""
    close: dict[bool, list[bool]] = {True: [], False: []}
    own, is_own, named = [], [], []
    for i, text, voice in bench.pairs():
        other = bench.voices[(i + 1 + i // len(bench.voices) % (len(bench.voices) - 1)) % len(bench.voices)]
        words = bench.texts[(i + 7) % len(bench.texts)]
        label = EMOTIONS[i % len(EMOTIONS)]
        recording = bench.say(words, other, emotion=label, seed=SEED + 1)
        path = bench.folder / f"like-{i}.wav"
        recording.save(path)
        wanted = place(bench.hear(recording))
        neutral = bench.say(text, voice)
        far = np.linalg.norm(place(bench.hear(neutral)) - wanted)
        named.append(bool(np.linalg.norm(place(bench.heard(text, voice, emotion=label)) - wanted) < 0.5 * far))
        for is_told in (True, False):
            told = {"like_neutral": neutral_files(bench, other)} if is_told else {}
            result = bench.say(text, voice, emotion=f'like="{path}"', **told)
            close[is_told].append(bool(np.linalg.norm(place(bench.hear(result)) - wanted) < 0.5 * far))
            if is_told:
                sims = [float(bench.speaker(result.waveform) @ bench.speaker(x.waveform)) for x in (neutral, recording)]
                own.append(sims[0])
                is_own.append(sims[0] > sims[1])
    alone, nearer, by_name = (f"{100 * float(np.mean(hits)):.1f} %" for hits in (close[False], is_own, named))
    return [
        rate("like=recording, its speaker's neutral voice told", "error below half of neutral's", close[True], 0.85),
        Figure("the recording's own label, asked by name", "error below half of neutral's", "-", by_name, len(named)),
        Figure("like=recording alone", "error below half of neutral's", "-", alone, len(close[False])),
        least("like=recording", "speaker similarity to the voice", float(np.mean(own)), 0.80, len(own)),
        Figure("like=recording", "nearer to the voice than the recording's", "-", nearer, len(is_own)),
    ]


def neutral_files(bench: Bench, voice: str) -> list[Path]:
    """Return files with the neutral sentences of a voice."""
    found = []
    for k, (waveform, sample_rate) in enumerate(neutral_speech(bench.tts, voice)):
        path = bench.folder / f"neutral-{voice}-{k}.wav"
        if not path.is_file():
            from emotts.audio import save_audio

            save_audio(path, waveform, sample_rate)
        found.append(path)
    return found


def directions(bench: Bench) -> list[Figure]:
    """A direction from two pairs of one voice, added to and erased from another."""
    from emotts.emotion.direction import fit_pairs, save_direction

    hearing = load_judge("recognizer")
    told = {v: hearing.with_reference(neutral_speech(bench.tts, v)) for v in bench.voices}
    asked, strength, groups, erased = [], [], [], []
    for i, text, voice in bench.pairs():
        label = EMOTIONS[i % len(EMOTIONS)]
        donor = bench.voices[(i + 1) % len(bench.voices)]
        heard: dict[str, list[Heard]] = {"neutral": [], label: []}
        for words in (bench.texts[(i + 3) % len(bench.texts)], bench.texts[(i + 9) % len(bench.texts)]):
            for emotion, found in heard.items():
                result = bench.say(words, donor, emotion=emotion, seed=SEED + 2)
                found.append(told[donor].hear(result.waveform, result.sample_rate))
        path = bench.folder / f"direction-{i}.safetensors"
        save_direction(path, fit_pairs(heard["neutral"], heard[label]))
        target = np.array(AVD_MEANS[label])
        for value in INTENSITIES:
            spoken = bench.heard(text, voice, emotion=f'neutral,direction="{path}":{value}')
            asked.append(value)
            strength.append(float(along(place(spoken), np.zeros(3), target)))
            groups.append(i)
        full, gone = (
            place(bench.heard(text, voice, emotion=emotion)) for emotion in (label, f'{label},erase="{path}"')
        )
        calm = place(bench.heard(text, voice))
        erased.append(bool(np.linalg.norm(gone - calm) < 0.5 * np.linalg.norm(full - calm)))
    risen, _ = neighbour_pairs(asked, strength, groups)
    return [
        rate("direction from 2 pairs", "strengths 0.25 to 1 heard in order", risen.tolist(), 0.90),
        rate("direction erased", "less than half the way from neutral is left", erased, 0.80),
    ]


def time_line(bench: Bench) -> list[Figure]:
    """Three or four keyframes of arousal over three sentences; judged in windows of two seconds."""
    from emotts.emotion.timeline import Keyframe, Timeline

    random = np.random.default_rng(SEED)
    found = []
    for i in range(max(1, len(bench.texts) // 3)):
        text = " ".join(bench.texts[3 * i : 3 * i + 3])
        voice = bench.voices[i % len(bench.voices)]
        levels = random.permutation([-0.8, 0.8, *random.uniform(-0.8, 0.8, int(random.integers(1, 3)))])
        places = np.linspace(0.0, 1.0, len(levels))
        keyframes = [
            Keyframe(p, arousal=float(a), valence=0.0, dominance=0.0) for p, a in zip(places, levels, strict=True)
        ]
        line = Timeline("part", tuple(keyframes))
        result = bench.say(text, voice, timeline=line)
        ends = np.cumsum(result.durations) / 93.75
        middle = ends - 0.5 * np.asarray(result.durations) / 93.75
        part = (np.arange(len(ends)) + 0.5) / len(ends)
        windows = bench.judges[voice].windows(result.waveform, result.sample_rate, 2.0)
        asked = [
            line.coordinates_at(np.interp([0.5 * (w.start_s + w.end_s)], middle, part))[0, len(LABELS)] for w in windows
        ]
        if len(windows) >= 3:
            found.append(pearson(np.array(asked), np.array([w.avd[0] for w in windows])))
    return [
        least(
            "time line",
            "mean correlation of asked and heard arousal over windows",
            float(np.mean(found)),
            0.8,
            len(found),
        )
    ]


def timing(bench: Bench) -> list[Figure]:
    """Whole durations from 0.7 to 1.4 of the natural one, and every word at a time that was drawn for it."""
    from emotts.word_times import WordTime

    random = np.random.default_rng(SEED)
    whole, borders = [], []
    for i, text, voice in bench.pairs():
        emotion = EMOTIONS[i % len(EMOTIONS)]
        plain = bench.say(text, voice, emotion=emotion)
        wanted = round(plain.duration_s * float(random.uniform(0.7, 1.4)), 3)
        whole.append(abs(bench.say(text, voice, emotion=emotion, duration=wanted).duration_s - wanted))
        moved, end = [], 0.1
        for spoken in plain.word_times:
            begin = end + float(random.uniform(0.0, 0.06))
            end = begin + (spoken.end_s - spoken.start_s) * float(random.uniform(0.8, 1.3))
            moved.append(WordTime("", begin, end))
        reached = bench.say(text, voice, emotion=emotion, word_times=moved).word_times
        for asked, given in zip(moved, reached, strict=True):
            borders += [abs(asked.start_s - given.start_s), abs(asked.end_s - given.end_s)]
    return [
        most("duration of the whole", "largest error", 1000 * max(whole), 11.0, len(whole), " ms"),
        most("times of words", "largest error of a border", 1000 * max(borders), 11.0, len(borders), " ms"),
    ]


PARTS: dict[str, Callable[[Bench], list[Figure]]] = {
    "intensity": intensity, "dimensions": dimensions, "mixtures": mixtures, "away": away, "classifier": classifier,
    "reference": reference, "directions": directions, "time_line": time_line, "timing": timing,
}  # fmt: skip
