"""What fewer steps of the mel flow cost: words, DNSMOS, the judge's agreement, and the distance from the settled mel.

Comes in: a checkpoint and a number of sentences. Goes out: a row for each number of steps, method and schedule. Every measure is
kept under runs/bench, so that a run that was stopped goes on. Sentences, voices and emotions take turns.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from instruments import Instruments
from speak_systems import ROOT, Ask, ModelSystem, _read_measures

from emotts.acoustic.flow import METHODS, SCHEDULES, evaluations
from emotts.emotion.labels import LABELS

STEPS = (1, 2, 3, 4, 6, 8, 16)
SETTLED = {"steps": 64, "solver": "heun", "schedule": "uniform"}
KINDS = ("delete", "insert", "replace", "equal")  # of words, as the recogniser counts them
CACHE = ROOT / "runs" / "bench"
SENTENCES = ROOT / "recipes" / "sentences" / "test.txt"
MOST_NFE_HEARD = 4  # ways that call the network more often are heard with even steps of Euler's method only


@dataclass(frozen=True)
class QualityRow:
    """One way of sampling, over all sentences.

    Attributes:
        steps, solver, schedule: of the mel flow; solver "student" is the student. nfe: calls of the network.
        wer: errors per word. dnsmos: mean overall score. agreement: share of clips in which the judge hears what was asked.
        distance: mean absolute difference in nepers from the mel of SETTLED, of the same reading and noise.

    What was not heard is None.
    """

    steps: int
    solver: str
    schedule: str
    nfe: int
    wer: float | None
    dnsmos: float | None
    agreement: float | None
    distance: float


class Quality(Instruments):
    """A model and what hears it, with every measure kept on disk; `settled` holds the mels that others are compared with."""

    def __init__(self, checkpoint: Path | None, threads: int = 2, cache: Path = CACHE) -> None:
        self.system, self.threads = ModelSystem(checkpoint), threads
        cache.mkdir(parents=True, exist_ok=True)
        self.file = cache / f"sampler-{self.system.digest}.jsonl"
        self.known = _read_measures(self.file)
        self.settled: dict[str, np.ndarray] = {}

    def measure(self, ask: Ask, options: dict[str, Any], is_heard: bool) -> dict[str, Any]:
        """Return the distance of a request spoken with these options and, if it is heard, its errors, DNSMOS and agreement."""
        key = f"{ask.key}/{json.dumps(options, sort_keys=True)}/{'heard' if is_heard else 'mel'}"
        if key not in self.known:
            self._keep(key, self._listen(ask, options, is_heard))
        return self.known[key]

    def hear(self, ask: Ask, options: dict[str, Any]) -> dict[str, Any]:
        """Return errors, DNSMOS and agreement of a request with a reading of its own."""
        key = f"{ask.key}/{json.dumps(options, sort_keys=True)}/own"
        if key not in self.known:
            self._keep(key, self._judged(self.speak(ask, options), ask))
        return self.known[key]

    def speak(self, ask: Ask, options: dict[str, Any]) -> Any:
        """Speak a request with these options."""
        told = {"seed": ask.seed, "voice": ask.voice, **options}
        return self.system.tts.synthesize(ask.text, emotion=f"{ask.label}:{ask.intensity:g}", **told)

    def _keep(self, key: str, values: dict[str, Any]) -> None:
        self.known[key] = values
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "values": values}) + "\n")

    def _listen(self, ask: Ask, options: dict[str, Any], is_heard: bool) -> dict[str, Any]:
        result = self._speak(ask, options)
        if ask.key not in self.settled:
            self.settled[ask.key] = self._speak(ask, SETTLED).mel
        distance = {"distance": float(np.abs(result.mel - self.settled[ask.key]).mean())}
        return distance | (self._judged(result, ask) if is_heard else {})

    def _judged(self, result: Any, ask: Ask) -> dict[str, Any]:
        heard = self.judge.hear(result.waveform, result.sample_rate)
        return {
            "asr": self.recogniser.word_errors([result.waveform], [ask.text])[0].to_dict(),
            "dnsmos": self.dnsmos(result.waveform).to_dict(),
            "agrees": max(heard.labels, key=lambda name: heard.labels[name]) == ask.label,
        }

    def _speak(self, ask: Ask, options: dict[str, Any]) -> Any:
        sampler = {} if self.system.tts.student is None else {"sampler": options.get("sampler", "flow")}
        # The reading is the prior's own, so that mels of different ways have the same frames.
        return self.speak(ask, {**options, **sampler, "prosody_steps": 0})

    @property
    def judge(self) -> Any:
        from emotts.judges import load_judge

        if not hasattr(self, "_judge"):
            self._judge = load_judge("features")
        return self._judge


def ways(has_student: bool, is_tiny: bool) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield options of every way of sampling, and how often it calls the network."""
    for steps in (1, 2) if is_tiny else STEPS:
        for solver in METHODS:
            for schedule in SCHEDULES:
                if steps > 1 or schedule == "uniform":  # one step lies nowhere else
                    yield {"steps": steps, "solver": solver, "schedule": schedule}, evaluations(steps, solver)
    for steps in (1, 2, 4) if has_student else ():
        yield {"steps": steps, "sampler": "student"}, steps


def measure_quality(
    checkpoint: Path | None, n_sentences: int, is_tiny: bool = False, make: Callable[..., Quality] = Quality
) -> list[QualityRow]:
    """Measure every way of sampling on N sentences, voices and emotions in turn."""
    bench = make(checkpoint)
    voices = bench.system.voices
    texts = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line.strip()]
    asks = [
        Ask(texts[i % len(texts)], voices[i % len(voices)], LABELS[i % len(LABELS)], seed=i) for i in range(n_sentences)
    ]
    rows = []
    for options, nfe in ways(bench.system.tts.student is not None, is_tiny):
        solver, schedule = options.get("solver", "student"), options.get("schedule", "")
        is_heard = nfe <= MOST_NFE_HEARD or (solver, schedule) == ("euler", "uniform")
        found = [bench.measure(ask, options, is_heard) for ask in asks]
        heard = _heard(found) if is_heard else (None, None, None)
        rows.append(QualityRow(options["steps"], solver, schedule, nfe, *heard, mean(f["distance"] for f in found)))
    return rows


def _heard(found: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Return word error rate, DNSMOS and the judge's agreement over clips."""
    counts = {kind: sum(f["asr"][f"whisper_wer_{kind}"] for f in found) for kind in KINDS}
    words = sum(counts.values()) - counts["insert"]
    wrong = words - counts["equal"] + counts["insert"]
    return wrong / max(1, words), mean(f["dnsmos"]["dns_overall"] for f in found), mean(f["agrees"] for f in found)


def quality_table(rows: list[QualityRow]) -> str:
    """Return a Markdown table."""
    lines = ["| NFE | steps | method | schedule | WER | DNSMOS | judge agrees | mel distance |", "|---" * 8 + "|"]
    for r in sorted(rows, key=lambda r: (r.nfe, r.solver, r.schedule)):
        heard = "- | - | -" if r.wer is None else f"{r.wer:.1%} | {r.dnsmos:.2f} | {r.agreement:.0%}"
        lines.append(f"| {r.nfe} | {r.steps} | {r.solver} | {r.schedule} | {heard} | {r.distance:.3f} |")
    return "\n".join(lines)
