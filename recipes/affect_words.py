"""Write the affect word list that `emotts.emotion.affect` reads, from the synonym clusters in recipes/affect_words.txt.

    python recipes/affect_words.py

A cluster is a place in arousal-valence-dominance space with the words that live there; a mark after a word moves it.
"""

import re
from pathlib import Path

from emotts.emotion.affect import WORDS_PATH, scale
from emotts.emotion.labels import LABELS

SOURCE = Path(__file__).with_suffix(".txt")
STEP = 0.15  # of arousal or dominance, by one mark
STRONGER, WEAKER = 1.3, 0.65
HEADER = "# Written by recipes/affect_words.py from recipes/affect_words.txt; change the words there.\n"
COLUMNS = "word\tarousal\tvalence\tdominance\tlabels\tuse\n"
USES = ("manner", "event")


def main() -> int:
    rows: dict[str, str] = {}
    for number, line in enumerate(SOURCE.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            for word, row in read_cluster(line, number).items():
                rows.setdefault(word, row)  # the first cluster that names a word keeps it
    WORDS_PATH.write_text(HEADER + COLUMNS + "".join(rows[word] for word in sorted(rows)), encoding="utf-8")
    print(f"{len(rows)} words and phrases in {WORDS_PATH}")
    return 0


def read_cluster(line: str, number: int) -> dict[str, str]:
    """Return the rows of one line of the source, by word."""
    head, bar, members = line.partition("|")
    numbers, labels, use = head.split()[:3], head.split()[3:], "feeling"
    if labels and labels[-1] in USES:
        use = labels.pop()
    if not bar or len(numbers) < 3 or any(label.partition(":")[0] not in LABELS for label in labels):
        raise SystemExit(
            f"{SOURCE.name}, line {number}: expected `A V D [label:weight ...] [use] | words`; got {line!r:.60}"
        )
    place = tuple(float(value) for value in numbers)
    rows = {}
    for member in members.split(","):
        word, marks = re.fullmatch(r"\s*(.*?)([-+^_<>~]*)\s*", member).groups()
        arousal, valence, dominance = move(place, marks.replace("~", ""))
        word_use = "description" if "~" in marks and use == "feeling" else use
        rows[word.lower()] = (
            f"{word.lower()}\t{arousal:.2f}\t{valence:.2f}\t{dominance:.2f}\t{','.join(labels)}\t{word_use}\n"
        )
    return rows


def move(place: tuple[float, ...], marks: str) -> tuple[float, ...]:
    """Return the place moved by each of the marks after a word."""
    for mark in marks:
        if mark in "+-":
            place = scale(place, STRONGER if mark == "+" else WEAKER)
        else:
            axis, sign = {"^": (0, 1), "_": (0, -1), ">": (2, 1), "<": (2, -1)}[mark]
            place = tuple(max(-1.0, min(1.0, x + sign * STEP * (i == axis))) for i, x in enumerate(place))
    return place


if __name__ == "__main__":
    raise SystemExit(main())
