"""Measure what minutes of a voice are worth: fine-tuned against known from a recording, and what the old voices lose.

    python recipes/simulate_crowd.py output=runs/finetune_voices utterances=160 \
        voices='[crowd-h160,crowd-h163,crowd-p030,crowd-k022]'
    python benchmarks/finetune.py                      # fine-tunes each of the four voices, then speaks and measures
    python benchmarks/finetune.py --modes voice lora full --minutes 5

The four voices are held out: no shipped model has learnt from them. Some minutes of each are learnt from; what is spoken is in
none of these, and similarity is the cosine to the mean of the voice's other calm recordings. Results: benchmarks/results/finetune.*
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from convert_data import CALM, calmness
from convert_store import SEED, Clip
from instruments import Instruments
from tables import ROOT, Row, git_commit, markdown

from emotts import EmoTTS
from emotts.audio import load_audio
from emotts.data.manifest import ManifestRow, parse_row, write_manifest
from emotts.pipeline import bundled_checkpoint
from emotts.simulation.plan import read_sentences

RESULTS = ROOT / "benchmarks" / "results"
SENTENCES = ROOT / "recipes" / "sentences" / "test.txt"
VALID_SHARE = 0.1
REFERENCE_S = 30.0  # of calm recordings, what a voice can be known from at most
N_OLD = 5  # sentences of each old voice
FEELINGS = ("neutral", "happy", "sad", "angry", "neutral")
GAIN, WER_RISE = 0.05, 2.0  # to be reached: similarity, points


@dataclass(frozen=True)
class Voice:
    """A voice: the folder that is learnt from, sentences that are not in it, recordings to compare with and to be known from."""

    name: str
    corpus: Path
    sentences: tuple[str, ...]
    own: tuple[Path, ...]
    told: tuple[Path, ...]


class Bench(Instruments):
    """What measures, on few threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def centre(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        mean = np.mean([self.encoder.embed(clip) for clip in clips], axis=0)
        return mean / np.linalg.norm(mean)

    def likeness(self, clips: Sequence[np.ndarray], centre: np.ndarray) -> list[float]:
        return [float(self.encoder.embed(clip) @ centre) for clip in clips]

    def wer(self, clips: Sequence[np.ndarray], texts: Sequence[str]) -> tuple[int, int]:
        counted = self.recogniser.word_errors(list(clips), list(texts))
        return sum(one.errors for one in counted), sum(one.words for one in counted)

    def quality(self, clips: Sequence[np.ndarray]) -> float:
        return float(np.mean([self.dnsmos(clip).dns_overall for clip in clips]))


def voice_of(folder: Path, name: str, minutes: float, n_sentences: int, output: Path) -> Voice:
    """Divide the recordings of a voice: a corpus of some minutes, and the rest to compare with."""
    record = json.loads((folder / "shards" / f"{name}-test-0000.json").read_text(encoding="utf-8"))
    rows = [parse_row(json.dumps(row)) for row in record["rows"]]
    ends = np.cumsum([row.duration_s for row in rows])
    n = int(np.searchsorted(ends, 60.0 * minutes))
    learnt, rest = rows[:n], rows[n:]
    n_valid = max(2, round(VALID_SHARE * n))
    split = [replace(row, split="valid" if i >= n - n_valid else "train") for i, row in enumerate(learnt)]
    corpus = output / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for part in ("audio", "features"):
        if not (corpus / part).is_symlink():
            (corpus / part).symlink_to(os.path.relpath(folder / part, corpus))
    write_manifest(corpus / "manifest.jsonl", split)
    said = {row.text for row in rows}
    unseen = [text for text in read_sentences([SENTENCES]) if text not in said]
    return Voice(name, corpus, tuple(unseen[:n_sentences]), calm(folder, rest), told(folder, split))


def calm(folder: Path, rows: Sequence[ManifestRow]) -> tuple[Path, ...]:
    return tuple(folder / row.audio for row in rows if calmness(row) <= CALM)


def told(folder: Path, rows: Sequence[ManifestRow]) -> tuple[Path, ...]:
    """Return calm recordings of up to REFERENCE_S."""
    chosen = sorted((row for row in rows if calmness(row) <= CALM), key=calmness)
    ends = np.cumsum([row.duration_s for row in chosen])
    return tuple(folder / row.audio for row in chosen[: int(np.searchsorted(ends, REFERENCE_S)) + 1])


def train(voice: Voice, mode: str, output: Path, options: Sequence[str]) -> dict[str, Any]:
    """Fine-tune unless that was done; returns the steps and minutes that it took."""
    folder = output / mode
    if not (folder / "done.json").is_file():
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "recipes/finetune.py", f"corpus={voice.corpus}", f"output={folder}", f"mode={mode}"]
        started = time.monotonic()
        subprocess.run([*command, *options], cwd=ROOT, env=environment, check=True)
        facts = json.loads((folder / "best.json").read_text()) | {"wall_minutes": (time.monotonic() - started) / 60.0}
        (folder / "done.json").write_text(json.dumps(facts))
    return dict(json.loads((folder / "done.json").read_text()))


def speak(tts: EmoTTS, texts: Sequence[str], voice: Any, feelings: Sequence[str] = ("neutral",)) -> list[np.ndarray]:
    return [
        tts.synthesize(text, voice=voice, emotion=feelings[i % len(feelings)], seed=SEED).waveform
        for i, text in enumerate(texts)
    ]


def measure(bench: Bench, clips: Sequence[np.ndarray], texts: Sequence[str], centre: np.ndarray) -> dict[str, Any]:
    errors, words = bench.wer(clips, texts)
    return {"likeness": bench.likeness(clips, centre), "errors": errors, "words": words, "dnsmos": bench.quality(clips)}


def old_voices(bench: Bench, base: EmoTTS, tuned: EmoTTS, texts: Sequence[str], was: dict[str, Any]) -> dict[str, Any]:
    """Compare what the old voices say before and after: likeness of the voice, errors, and whether the samples are the same."""
    likeness, errors, words, same = [], [0, 0], 0, []
    for card in base.voices:
        if card.name not in was:
            clips = speak(base, texts, card.name, FEELINGS)
            was[card.name] = (clips, bench.wer(clips, texts))
        before, counted = was[card.name]
        after = speak(tuned, texts, card.name, FEELINGS)
        likeness += [float(bench.encoder.embed(a) @ bench.encoder.embed(b)) for a, b in zip(before, after, strict=True)]
        same += [len(a) == len(b) and bool(np.array_equal(a, b)) for a, b in zip(before, after, strict=True)]
        errors[0] += counted[0]
        errors[1] += bench.wer(after, texts)[0]
        words += counted[1]
    return {"likeness": likeness, "errors": errors, "words": words, "same": float(np.mean(same))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "finetune_voices")
    parser.add_argument("--voices", nargs="+", default=["crowd-h160", "crowd-h163", "crowd-p030", "crowd-k022"])
    parser.add_argument("--modes", nargs="+", default=["voice", "lora"])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "bench" / "finetune")
    parser.add_argument("--train-only", action="store_true", help="measure nothing yet")
    parser.add_argument("--options", nargs="*", default=[], help="further options of the recipe")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bench, base, was = Bench(arguments.threads), EmoTTS.from_pretrained(bundled_checkpoint()), {}
    found: dict[str, dict[str, Any]] = {}
    for name in arguments.voices:
        output = arguments.output / name
        voice = voice_of(arguments.folder, name, arguments.minutes, arguments.sentences, output)
        trained = {mode: train(voice, mode, output, arguments.options) for mode in arguments.modes}
        if arguments.train_only:
            continue
        own = [Clip(load_audio(path)).waveform for path in voice.own]
        centre = bench.centre(own)
        profile = base.voice_of(voice.told)
        found[name] = {
            "recordings": {
                "likeness": [
                    float(bench.encoder.embed(c) @ bench.centre([*own[:i], *own[i + 1 :]])) for i, c in enumerate(own)
                ]
            },
            "zero_shot": measure(bench, speak(base, voice.sentences, profile), voice.sentences, centre),
        }
        for mode in arguments.modes:
            tuned = EmoTTS.from_pretrained(output / mode / "export")
            measured = measure(bench, speak(tuned, voice.sentences, name), voice.sentences, centre)
            old = old_voices(bench, base, tuned, voice.sentences[:N_OLD], was)
            found[name][mode] = measured | {"old": old, "training": trained[mode]}
        print(name, {k: round(float(np.mean(v["likeness"])), 3) for k, v in found[name].items()}, flush=True)
    if arguments.train_only:
        return 0
    figures = rows(found, arguments.modes, arguments.minutes)
    run = {"command": " ".join(["python", *sys.argv]), "date": time.strftime("%Y-%m-%d"), "commit": git_commit()}
    text = json.dumps({"rows": [asdict(figure) for figure in figures], "voices": found, "run": run}, indent=1) + "\n"
    (RESULTS / "finetune.json").write_text(text, encoding="utf-8")
    (RESULTS / "finetune.md").write_text(markdown(figures), encoding="utf-8")
    print(markdown(figures))
    return 0


def rows(found: dict[str, dict[str, Any]], modes: Sequence[str], minutes: float) -> list[Row]:
    """Return the table."""

    def pooled(system: str, key: str) -> np.ndarray:
        return np.concatenate([np.atleast_1d(voice[system][key]) for voice in found.values()])

    def wer(system: str) -> float:
        return 100.0 * float(pooled(system, "errors").sum() / pooled(system, "words").sum())

    base, base_wer = float(pooled("zero_shot", "likeness").mean()), wer("zero_shot")
    n = len(pooled("zero_shot", "likeness"))
    table = [
        Row(
            "recordings of a voice against each other: similarity",
            "-",
            f"{pooled('recordings', 'likeness').mean():.3f}",
        ),
        Row("zero-shot, 30 s of recordings: similarity", "-", f"{base:.3f} (n {n}, {len(found)} voices)"),
        Row("zero-shot: WER", "-", f"{base_wer:.1f} %"),
        Row("zero-shot: DNSMOS", "-", f"{pooled('zero_shot', 'dnsmos').mean():.2f}"),
    ]
    for mode in modes:
        likeness, said = pooled(mode, "likeness").mean(), f"{mode}, {minutes:g} minutes"
        each = ", ".join(
            f"{np.mean(v[mode]['likeness']) - np.mean(v['zero_shot']['likeness']):+.3f}" for v in found.values()
        )
        gain, rise = float(likeness - base), wer(mode) - base_wer
        old = [voice[mode]["old"] for voice in found.values()]
        words = sum(o["words"] for o in old)
        before, after = (100.0 * sum(o["errors"][i] for o in old) / words for i in (0, 1))
        took = [voice[mode]["training"] for voice in found.values()]
        table += [
            Row(
                f"{said}: similarity over zero-shot",
                f">= +{GAIN}",
                f"{gain:+.3f} ({likeness:.3f}; {each})",
                gain >= GAIN,
            ),
            Row(
                f"{said}: WER over zero-shot",
                f"<= +{WER_RISE:g} points",
                f"{rise:+.1f} points ({wer(mode):.1f} %)",
                rise <= WER_RISE,
            ),
            Row(f"{said}: DNSMOS", "-", f"{pooled(mode, 'dnsmos').mean():.2f}"),
            Row(
                f"{said}: old voices, similarity to themselves before",
                "-",
                f"{np.mean([x for o in old for x in o['likeness']]):.3f}",
            ),
            Row(
                f"{said}: old voices, the same to the sample", "-", f"{100.0 * np.mean([o['same'] for o in old]):.0f} %"
            ),
            Row(f"{said}: old voices, WER before and after", "-", f"{before:.1f} %, {after:.1f} %"),
            Row(
                f"{said}: steps, minutes of training",
                "-",
                f"{np.mean([t['step'] for t in took]):.0f}, {np.mean([t['minutes'] for t in took]):.1f}",
            ),
        ]
    return table


if __name__ == "__main__":
    sys.exit(main())
