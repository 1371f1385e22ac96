"""Run the loaders over the published file names and tables of whole corpora, with a placeholder for every recording.

    git clone https://github.com/emo-box/EmoBox lists/EmoBox        # the lists of files, labels and folds
    git clone https://github.com/CheyneyComputerScience/CREMA-D lists/CREMA-D     # tables of actors, sentences and votes
    git clone https://github.com/declare-lab/MELD lists/MELD        # tables of lines, in the encoding that people get
    git clone https://github.com/NKU-HLT/EmotionTalk lists/EmotionTalk            # names, labels of three modalities
    git clone https://github.com/facebookresearch/textlesslib lists/textlesslib   # of Expresso: splits, stretches of speech
    python benchmarks/published_lists.py --lists lists

A recording that is published must be a row or a named problem, with the label of the list and, where the loader's folds are said to
be those of EmoBox, in its test part. What a list lacks is made up: texts of JL-Corpus, ratings of IEMOCAP, the JSON of EmotionTalk
(its speakers from the names). Folders that are not there are left out and said. Results: benchmarks/results/published_lists.*
"""

import argparse
import csv
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tables import ROOT, Row, keep

from emotts.data.corpora.registry import corpus_class
from emotts.data.corpora.rows import Listing

MOST_LINKS = 30_000  # to one file; file systems allow 65,000
LABELS = {  # of EmoBox: the canonical one, None for what has none
    "angry": "angry anger ANG a Angry ang", "disgusted": "disgust disgusted DIS d Disgust", "fearful": "fear fearful FEA f Fearful",
    "happy": "happy HAP h Happy hap", "sad": "sad SAD sa Sad", "neutral": "neutral NEU n Neutral neu",
    "surprised": "surprised su ps Surprise Surprised",
    "bored": "boredem", "calm": "Calm", "contempt": "contempt", "excited": "excited exc",
}  # fmt: skip
CANONICAL = {word: label for label, words in LABELS.items() for word in words.split()}
EMOBOX = {  # corpus: its folder there, and the folds that the loader shares with it
    "cremad": ("cremad", 0), "emodb": ("emodb", 0), "emovdb": ("emovdb", 0), "esd": ("esd", 5), "iemocap": ("iemocap", 5),
    "jl": ("jlcorpus", 4),
    "mead": ("mead", 0), "ravdess": ("ravdess", 6), "savee": ("savee", 4), "tess": ("tess", 0),
}  # fmt: skip
PARTS = {"emotiontalk": (15_413, 1_908, 1_929), "meld": (9_989, 1_109, 2_610)}  # clips that train, validate, test
RATINGS = {  # valence, activation, dominance, made up for IEMOCAP
    "ang": "[2.0000, 4.0000, 4.0000]", "exc": "[4.0000, 4.0000, 3.0000]", "hap": "[4.0000, 3.5000, 3.0000]",
    "neu": "[3.0000, 2.5000, 3.0000]", "sad": "[2.0000, 2.0000, 2.0000]",
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A recording of a list: its label there, None if there is none, and the folds in which it tests."""

    label: str | None
    tests_in: frozenset[int] = frozenset()


class Shelf:
    """Builds corpora of placeholders: half a second of noise, linked to by every name."""

    def __init__(self, root: Path) -> None:
        self.root, self.made = root, 0
        self._noise = np.random.default_rng(0).normal(0.0, 0.1, 8_000)
        self._place = root / "noise.wav"

    def put(self, path: Path) -> None:
        if self.made % MOST_LINKS == 0:
            self._place = self.root / f"noise{self.made}.wav"
            soundfile.write(self._place, self._noise, 16_000)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._place, path)
        self.made += 1


def words_of(lists: Path, folder: str, part: str = "") -> dict[str, str]:
    """Return the label of every recording of a corpus of EmoBox as it stands there, or of the files of one part."""
    words: dict[str, str] = {}
    for path in sorted((lists / "EmoBox" / "data" / folder).rglob(f"*{part}.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if "wav" in entry:  # the lists of EmoDB have lines of numbers too
                words[entry["wav"].split("/", 2)[2]] = entry["emo"]
    return words


def of_emobox(lists: Path, root: Path, shelf: Shelf, corpus: str) -> dict[str, Published]:
    folder, n_folds = EMOBOX[corpus]
    tests = {fold: words_of(lists, folder, f"_test_fold_{fold}") for fold in range(1, n_folds + 1)}
    words = words_of(lists, folder)
    published = {
        name: Published(CANONICAL.get(word), frozenset(fold for fold, names in tests.items() if name in names))
        for name, word in words.items()
    }
    for name in published:
        shelf.put(root / name)
        if corpus == "jl":
            (root / name).with_suffix(".txt").write_text("Carl leaps into a jeep.\n")
    if corpus == "iemocap":
        ratings: dict[str, list[str]] = {}
        for name, word in words.items():
            session, _, _, dialogue, clip = name.split("/")
            line = f"[1.0000 - 2.0000]\t{Path(clip).stem}\t{word}\t{RATINGS[word]}"
            ratings.setdefault(f"{session}/dialog/EmoEvaluation/{dialogue}.txt", []).append(line)
        for name, lines in ratings.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("\n".join(lines) + "\n")
    if corpus == "cremad":
        for name in ("VideoDemographics.csv", "SentenceFilenames.csv", "processedResults/tabulatedVotes.csv"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes((lists / "CREMA-D" / name).read_bytes())
    return published


def meld(lists: Path, root: Path, shelf: Shelf, _: str) -> dict[str, Published]:
    published = {}
    words = {
        "joy": "happy",
        "anger": "angry",
        "sadness": "sad",
        "surprise": "surprised",
        "fear": "fearful",
        "disgust": "disgusted",
    }
    for split, place in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        table = (lists / "MELD" / "data" / "MELD" / f"{split}_sent_emo.csv").read_bytes()
        (root / f"{split}_sent_emo.csv").write_bytes(table)
        for row in csv.DictReader(table.decode("utf-8", "replace").splitlines()):
            name = f"{split}/{place}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.wav"
            shelf.put(root / name)
            published[name] = Published(words.get(row["Emotion"], row["Emotion"]))
    return published


def emotiontalk(lists: Path, root: Path, shelf: Shelf, _: str) -> dict[str, Published]:
    published = {}
    table = lists / "EmotionTalk" / "EmotionTalk" / "dataset" / "mm-process" / "mm.csv"
    for row in csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()):
        name = f"audio/{row['file_name'].strip().removesuffix('.mp4')}.wav"
        shelf.put(root / name)
        entry = {
            "speaker_id": name.split("_")[-2],
            "emotion_result": row["emotion"].strip(),
            "data": [],
            "content": "你好",
        }
        (root / name).with_suffix(".json").write_text(json.dumps(entry))
        published[name] = Published(row["emotion"].strip())
    return published


def expresso(lists: Path, root: Path, shelf: Shelf, _: str) -> dict[str, Published]:
    source = lists / "textlesslib" / "examples" / "expresso" / "dataset" / "processing"
    (root / "splits").mkdir()
    (root / "VAD_segments.txt").write_bytes((source / "expresso_VAD_segments.txt").read_bytes())
    published = {}
    for split in ("train", "dev", "test"):
        text = (source / "expresso_splits" / f"{split}.txt").read_text(encoding="utf-8")
        (root / "splits" / f"{split}.txt").write_text(text)
        for line in text.splitlines():
            stem = line.split("\t")[0].strip()
            if not stem or line.startswith("#"):
                continue
            speaker, style, *rest = stem.split("_")
            part = "conversational" if "-" in speaker else "read"
            corpus = "" if part == "conversational" else "longform/" if "longform" in rest else "base/"
            name = f"audio_48khz/{part}/{speaker}/{style}/{corpus}{stem}.wav"
            if name not in published:
                shelf.put(root / name)
                published[name] = Published(None)
    return published


BUILDERS: dict[str, Callable[[Path, Path, Shelf, str], dict[str, Published]]] = {
    **dict.fromkeys(EMOBOX, of_emobox), "meld": meld, "emotiontalk": emotiontalk, "expresso": expresso,
}  # fmt: skip


def compare(
    name: str, root: Path, published: dict[str, Published], listing: Listing, left_out: list[str]
) -> Iterator[Row]:
    """Hold what the loader says against the list; add what has no list to `left_out`."""
    heard = {row.audio: row for row in listing.rows}
    told = " ".join(problem.place for problem in listing.problems)
    unsaid = [
        path
        for path in published
        if path not in heard and not re.search(rf"(?<!\w){re.escape(Path(path).stem)}(?!\w)", told)
    ]
    yield Row(
        f"{name}: recordings",
        f"{len(published)} read or named",
        f"{len(heard.keys() & published.keys())} read, {len(unsaid)} unsaid",
        not unsaid and heard.keys() <= published.keys(),
        {"splits": dict(Counter(row.split for row in listing.rows)), "speakers": len({row.speaker for row in listing.rows}),
         "rows": len(listing.rows), "problems": [str(problem) for problem in listing.problems][:20], "unsaid": unsaid[:20]},
    )  # fmt: skip
    if name in PARTS:
        parts = tuple(sum(row.split == split for row in listing.rows) for split in ("train", "valid", "test"))
        yield Row(f"{name}: train, valid, test", f"{PARTS[name]}", f"{parts}", parts == PARTS[name])
    if name != "expresso":
        other = [path for path, row in heard.items() if path in published and row.label != published[path].label]
        yield Row(
            f"{name}: labels",
            "all as listed",
            f"{len(other)} of {len(heard)} differ",
            not other,
            {"others": other[:20]},
        )
    for fold in range(1, EMOBOX.get(name, ("", 0))[1] + 1):
        tested = {path for path, row in published.items() if fold in row.tests_in}
        if not tested:
            left_out.append(f"{name}: fold {fold} has no list")
            continue
        ours = {row.audio for row in corpus_class(name)(fold=fold).read(root).rows if row.split == "test"}  # type: ignore[call-arg]
        yield Row(
            f"{name}: test of fold {fold}",
            f"{len(tested)} of EmoBox",
            f"{len(ours)}, {len(ours & tested)} of them",
            ours == tested,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=Path, required=True, help="folder of the clones")
    parser.add_argument("--corpora", nargs="+", choices=sorted(BUILDERS), default=sorted(BUILDERS))
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "published_lists")
    arguments = parser.parse_args()
    rows: list[Row] = []
    left_out: list[str] = []
    for name in arguments.corpora:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / name
            root.mkdir()
            try:
                published = BUILDERS[name](arguments.lists, root, Shelf(Path(folder)), name)
            except FileNotFoundError as error:
                left_out.append(f"{name}: {error.filename} is missing")
                continue
            if not published:
                left_out.append(f"{name}: the list is empty")
                continue
            rows += compare(name, root, published, corpus_class(name)().read(root), left_out)
            print(rows[-1].measure, flush=True)
    if not rows:
        sys.exit("no list was found; the head of this file says where to get them.")
    keep(arguments.output, rows, {"left_out": left_out})
    print("\n".join(f"left out: {each}" for each in left_out))


if __name__ == "__main__":
    main()
