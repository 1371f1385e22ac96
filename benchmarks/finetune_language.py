"""Measure what a model loses of English while it learns German, with the rehearsal of recipes/finetune.py and without it.

    python benchmarks/finetune_language.py             # needs espeak-ng as a program: it is the German voice

espeak-ng says the sentences below; the bundled model learns them as a new voice (mode=full languages=[de]), once with what
conf/finetune.yaml keeps and once with keep=0. Measured on English sentences that none of this saw: how far the mel has moved that
the model makes of the same readings by the old voices, and words. Results: benchmarks/results/finetune_language.*
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from instruments import Instruments
from tables import ROOT, Row, git_commit, markdown

sys.path.append(str(ROOT / "recipes"))
from finetune_keep import Rehearsal, answers  # noqa: E402
from finetune_rehearse import reading_of  # noqa: E402

from emotts import EmoTTS  # noqa: E402
from emotts.pipeline import bundled_checkpoint  # noqa: E402
from emotts.simulation.plan import read_sentences  # noqa: E402
from emotts.text import phonemize  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
DB = 20.0 / np.log(10.0)  # of a natural log magnitude
GERMAN = (
    "Heute scheint die Sonne über der alten Stadt.", "Der kleine Hund schläft unter dem Tisch.",
    "Wir fahren morgen früh nach Köln.", "Meine Schwester liest ein dickes Buch.", "Im Garten blühen die ersten Rosen.",
    "Kannst du mir bitte das Salz geben?", "Der Zug kommt zehn Minuten später.", "Er hat gestern zwei Bücher gekauft.",
    "Das Wasser im See ist sehr kalt.", "Am Abend spielen die Kinder auf der Straße.", "Sie möchte einen Kaffee mit Milch.",
    "Die Tür war nicht verschlossen.", "Ich weiß nicht, wo mein Schlüssel liegt.", "Der Lehrer erklärt die Aufgabe noch einmal.",
    "Vor dem Haus steht ein grünes Auto.", "Nach dem Essen gehen wir spazieren.", "Das Wetter soll morgen besser werden.",
    "Der Bäcker öffnet um sechs Uhr.", "Sie singt ein Lied für ihre Mutter.", "Auf dem Berg liegt noch viel Schnee.",
    "Der Vogel sitzt auf dem höchsten Ast.", "Wir haben lange auf euch gewartet.", "Die Suppe schmeckt heute besonders gut.",
    "Er öffnet leise das Fenster.", "Am Wochenende besuchen wir unsere Freunde.", "Das Kind zeichnet ein Haus mit rotem Dach.",
    "Die Katze jagt eine graue Maus.", "Im Herbst fallen die Blätter von den Bäumen.", "Der Arzt hat wenig Zeit.",
    "Ihre Stimme klingt müde und traurig.",
)  # fmt: skip


def german_corpus(folder: Path) -> Path:
    """Let espeak-ng say the sentences and prepare them as anyone's recordings are; returns the corpus."""
    spoken, corpus = folder / "recordings", folder / "corpus"
    spoken.mkdir(parents=True, exist_ok=True)
    lines = ["path,text,speaker,split"]
    for i, text in enumerate(GERMAN):
        subprocess.run(["espeak-ng", "-v", "de", "-s", "150", "-w", str(spoken / f"{i:02d}.wav"), text], check=True)
        lines.append(f'{i:02d}.wav,"{text}",berta,{"valid" if i % 6 == 5 else "train"}')
    (spoken / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not (corpus / "manifest.jsonl").is_file():
        run("prepare_corpus", "corpus=folder", f"root={spoken}", f"output={corpus}", "corpus.language=de", "aligner=listened",
            "settings.phonemizer=espeak", "corpus.licence=CC0-1.0", "processes=1")  # fmt: skip
    return corpus


def run(recipe: str, *options: str) -> None:
    """Run a recipe."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, f"recipes/{recipe}.py", *options], cwd=ROOT, env=environment, check=True)


@torch.inference_mode()
def moved_db(base: EmoTTS, tuned: EmoTTS, texts: list[str]) -> float:
    """Return the mean distance in dB of what both make of the same English readings, of every old voice in random feelings."""
    voices = list(range(len(base.voices)))
    read = [
        (reading_of(base.acoustic, phonemize(text), 0, voices[i % len(voices)], i, 0.5), 0)
        for i, text in enumerate(texts)
    ]
    rehearsal = Rehearsal(read, base.acoustic.voices.mean_log_f0, voices, 1_000_000, 0)
    question = rehearsal.question(0, len(texts))
    first, second = (answers(tts.acoustic, question)["mel"] * tts.acoustic.mel_std for tts in (base, tuned))
    return float(DB * (first - second).abs()[question.frame_mask].mean())


class Bench(Instruments):
    """What hears words, on few threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def wer(self, tts: EmoTTS, voices: list[str], texts: list[str]) -> float:
        """Return the word error rate in percent of English sentences, each by the next voice."""
        said = [
            tts.synthesize(text, voice=voices[i % len(voices)], seed=i, language="en-us")
            for i, text in enumerate(texts)
        ]
        counted = self.recogniser.word_errors([one.waveform for one in said], texts)
        return 100.0 * sum(one.errors for one in counted) / sum(one.words for one in counted)


def held_out(folder: Path) -> tuple[float, float]:
    """Return the loss on the held-out German sentences at the first hearing and the best one."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["split"] == "valid"]
    return losses[0], min(losses)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "bench" / "finetune_language")
    parser.add_argument("--no-words", action="store_true", help="leave word errors out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    corpus = german_corpus(arguments.output)
    texts = read_sentences([ROOT / "recipes" / "sentences" / "test.txt"])[: arguments.sentences]
    base, bench = EmoTTS.from_pretrained(bundled_checkpoint()), Bench(arguments.threads)
    voices = [card.name for card in base.voices]
    found: dict[str, dict[str, Any]] = {}
    ways = {"with rehearsal": ("keep=1",), "without": ("keep=0",)}
    for way, options in ways.items():
        folder = arguments.output / f"{way.replace(' ', '_')}_{arguments.steps}"
        run("finetune", f"corpus={corpus}", f"output={folder}", "mode=full", "languages=[de]", "learning_rate=1e-4",
            f"max_steps={arguments.steps}", "valid_every=20", "vocoder_steps=0", "device=cpu", *options)  # fmt: skip
        tuned = EmoTTS.from_pretrained(folder / "export")
        found[way] = {"moved_db": moved_db(base, tuned, texts), "german": held_out(folder)}
        if not arguments.no_words:
            found[way]["wer"] = bench.wer(tuned, voices, texts)
        print(way, found[way], flush=True)
    rows = [
        Row(f"{way}: English mel, moved", "-", f"{figures['moved_db']:.2f} dB", numbers=figures)
        for way, figures in found.items()
    ]
    rows += [
        Row(f"{way}: held-out German, loss at step 20 and best", "-", "{:.2f}, {:.2f}".format(*figures["german"]))
        for way, figures in found.items()
    ]
    if not arguments.no_words:
        rows.append(Row("before: English WER", "-", f"{bench.wer(base, voices, texts):.1f} %"))
        rows += [Row(f"{way}: English WER", "-", f"{figures['wer']:.1f} %") for way, figures in found.items()]
    told = {"command": " ".join(["python", *sys.argv]), "date": time.strftime("%Y-%m-%d"), "commit": git_commit()}
    text = json.dumps({"rows": [asdict(row) for row in rows], "run": told}, indent=1) + "\n"
    (RESULTS / "finetune_language.json").write_text(text, encoding="utf-8")
    (RESULTS / "finetune_language.md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
