"""Measure what descriptions and sentences are taken to mean against written targets, and print the table.

    python benchmarks/words.py        # seconds; with the extra `sentences` installed also the words on no list, a minute

The targets in tests/data were written before the word list and the rules. Results: benchmarks/results/words.json, words.md.
"""

import json
import platform
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tables import Row, git_commit, markdown

from emotts.emotion.affect import own_words
from emotts.emotion.auto import read_emotions
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.neighbours import Embed, load_embedder, neighbour_place
from emotts.emotion.spec import EmotionSpec
from emotts.emotion.words import describe

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
RESULTS = ROOT / "benchmarks" / "results"
NEUTRAL_VALENCE = 0.12  # a smaller valence counts as neither pleasant nor unpleasant
LOW_AROUSAL, HIGH_AROUSAL = -0.08, 0.38  # borders of the three levels of arousal
HELD_OUT_SHARE = 0.2  # of the listed single words, to see how words on no list are placed
SAME_STEM = 5  # letters; words that begin alike are held out together


def main() -> int:
    figures = [descriptions(), triples(), *sentences(), *unseen_words()]
    run = {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": git_commit(),
        "python": platform.python_version(),
        "words": len(own_words()),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"rows": [asdict(figure) for figure in figures], "run": run}, indent=1) + "\n"
    (RESULTS / "words.json").write_text(text, encoding="utf-8")
    table = markdown(figures)
    (RESULTS / "words.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def descriptions() -> Row:
    """Return the mean absolute error over dimensions and rows."""
    errors = np.array([np.abs(place_of(describe(row["text"]).spec) - target_of(row)) for row in rows("descriptions")])
    each = ", ".join(f"{name} {error:.3f}" for name, error in zip(DIMENSIONS, errors.mean(axis=0), strict=True))
    mean = float(errors.mean())
    return Row(f"{len(errors)} descriptions, mean AVD error", "<= 0.30", f"{mean:.3f} ({each})", mean <= 0.30)


def triples() -> Row:
    """Return the share of triples whose distances from neutral, along the strongest, rise."""
    right = []
    for row in rows("degree_triples"):
        weak, middle, strong = (place_of(describe(row[name]).spec) for name in ("weak", "middle", "strong"))
        right.append(bool(weak @ strong < middle @ strong < strong @ strong))
    share = sum(right) / len(right)
    return Row(
        "degree triples in order", ">= 90 %", f"{100 * share:.1f} % ({sum(right)} of {len(right)})", share >= 0.9
    )


def sentences() -> list[Row]:
    """Return the shares of sentences, each alone, whose sign of valence and whose level of arousal are right."""
    data = rows("auto_sentences")
    places = [place_of(read_emotions([row["text"]])[0]) for row in data]
    signs = [0 if abs(place[1]) < NEUTRAL_VALENCE else int(np.sign(place[1])) for place in places]
    levels = ["low" if p[0] < LOW_AROUSAL else "high" if p[0] > HIGH_AROUSAL else "middle" for p in places]
    n_signs = sum(sign == row["valence_sign"] for sign, row in zip(signs, data, strict=True))
    n_levels = sum(level == row["arousal_level"] for level, row in zip(levels, data, strict=True))
    return [
        Row("auto: sign of valence (unpleasant, neither, pleasant)", "-", f"{100 * n_signs / len(data):.1f} %"),
        Row("auto: level of arousal (low, middle, high)", "-", f"{100 * n_levels / len(data):.1f} %"),
    ]


def unseen_words() -> list[Row]:
    """Return how near words taken off the list come to their places by neighbours; nothing without the extra."""
    try:
        embed: Embed = load_embedder()
    except ImportError as error:
        print(f"left out: {error}", file=sys.stderr)
        return []
    entries = own_words()
    words = sorted(
        word for word, entry in entries.items() if entry.use in ("feeling", "description") and " " not in word
    )
    held_out = sorted(random.Random(0).sample(words, round(HELD_OUT_SHARE * len(words))))
    stems = {word[:SAME_STEM] for word in held_out}
    listed = {word: entry for word, entry in entries.items() if word[:SAME_STEM] not in stems}
    places = np.array([entries[word].place for word in held_out])
    guesses = np.array([place for place, _ in neighbour_place(held_out, listed, embed)])
    neutral, guessed = float(np.abs(places).mean()), float(np.abs(places - guesses).mean())
    value = f"{guessed:.3f} (taken as neutral: {neutral:.3f})"
    return [Row(f"{len(held_out)} words taken off the list, by neighbours: mean AVD error", "-", value)]


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def target_of(row: dict[str, Any]) -> np.ndarray:
    return np.array([row[name] for name in DIMENSIONS])


def place_of(spec: EmotionSpec) -> np.ndarray:
    return np.array([spec.dimensions.get(name, 0.0) for name in DIMENSIONS])


if __name__ == "__main__":
    raise SystemExit(main())
