"""Compare what an experiment made from scratch with what is shipped, part by part, on the corpus that the experiment simulated.

    python recipes/run_experiment.py name=simulated_cpu      # hours; leaves runs/
    python benchmarks/reproduction.py                        # half an hour on 2 cores; --parts acoustic vocoder for some

Both sides are measured now, by the same code on the same rows: recogniser and judge on voices and sentences that neither has
learnt from, the vocoder on copies of held-out recordings, the acoustic model by its losses on held-out rows with the noise fixed,
and whole models by `emotts evaluate --suite quick`, whose judges are the shipped ones for both. What recogniser and judge recorded
of themselves is compared too, each side on the corpus of its own run. A figure is reproduced if it is no worse than the shipped
one's by more than the tolerance that stands beside it: 5 % of its size, or of a figure of the evaluation, what its 95 % interval
allows. Results: benchmarks/results/reproduction.*
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import ROOT, git_commit

sys.path.append(str(ROOT / "recipes"))

from hydra import compose, initialize_config_dir  # noqa: E402
from omegaconf import DictConfig  # noqa: E402

from emotts.acoustic.model import AcousticModel  # noqa: E402
from emotts.acoustic.objective import Dropout, acoustic_losses, total  # noqa: E402
from emotts.audio import SPEC  # noqa: E402
from emotts.checkpoint import load_checkpoint  # noqa: E402
from emotts.data.manifest import read_manifest  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
NO_DROPOUT = Dropout(0.0, 0.0, 0.0, 0.0, 0.0)
SHARE = 0.05  # of a figure's size that another run may be worse by
BATCHES = 24  # of held-out rows
RECORDED = ("recogniser", "judge")  # parts that keep their figures
HEARD = ("uar", "top2", "ece", "ccc_arousal", "ccc_valence", "ccc_dominance")
ERRORS = ("ece", "error", "WER")  # what is better lower; of the vocoder and the acoustic model all is
EVALUATED = (  # name of a row, judge
    ("recall", "features"), ("recall", "recognizer"), ("emotion similarity", "features"), ("arousal: Spearman", "features"),
    ("valence: Spearman", "features"), ("dominance: Spearman", "features"), ("arousal: Spearman", "recognizer"),
    ("valence: Spearman", "recognizer"), ("dominance: Spearman", "recognizer"), ("order by place", "features"),
    ("WER, neutral (%)", ""), ("WER, emotional (%)", ""), ("DNSMOS overall, neutral", ""), ("DNSMOS overall, emotional", ""),
    ("speaker similarity, emotional", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One figure on both sides; `tolerance` is how much worse the new one may be."""

    part: str
    measure: str
    shipped: float
    new: float
    tolerance: float
    is_lower_better: bool

    @property
    def is_reproduced(self) -> bool:
        """Whether the new one is no worse than the tolerance allows."""
        worse = self.new - self.shipped if self.is_lower_better else self.shipped - self.new
        return worse <= self.tolerance


def figures_of(part: str, shipped: dict[str, float], new: dict[str, float]) -> list[Figure]:
    """Pair the figures of both sides by name; the size of a bias is what counts."""
    rows = []
    for name in (name for name in shipped if name in new):
        old, now = (abs(side[name]) if "bias" in name else side[name] for side in (shipped, new))
        is_lower_better = part in ("vocoder", "acoustic") or any(word in name for word in ERRORS)
        rows.append(Figure(part, name, old, now, SHARE * abs(old), is_lower_better))
    return rows


def configured(recipe: str, *options: str) -> DictConfig:
    """Return what a recipe would be asked by these options."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(recipe, overrides=list(options))


def recogniser(folder: Path, corpus: Path, scratch: Path) -> dict[str, float]:
    """Return what a recogniser hears in voices and sentences that it has not learnt, the voice known by neutral clips."""
    from recognizer_data import parts_of
    from recognizer_figures import Measurement, evaluate

    config = configured("train_recognizer", f"corpus={corpus}", f"output={scratch / 'recogniser'}")
    (scratch / "recogniser").mkdir(parents=True, exist_ok=True)
    model: Any = load_checkpoint(folder)[0]["recognizer"]
    report = evaluate(Measurement(model, config.n_references, config.clear_intensity), parts_of(config), config)
    return {f"{name}, voice known": float(report["test_known"][name]) for name in HEARD}


def judge(folder: Path, corpus: Path, scratch: Path) -> dict[str, float]:
    """Return what a judge of features hears in voices and sentences that it has not learnt, beside neutral clips."""
    from train_judge import FeatureCache, evaluate

    from emotts.metrics.features_judge import FeaturesJudge

    config = configured("train_judge", f"corpus={corpus}")
    (scratch / "judge").mkdir(parents=True, exist_ok=True)
    rows = read_manifest(corpus / "manifest.jsonl")
    cache = FeatureCache(corpus, scratch / "judge/features.npz", config.seed)
    heard = evaluate(FeaturesJudge.from_pretrained(folder), rows, cache, config)["beside/clean"]
    return {f"{name}, beside neutral clips": float(heard[name]) for name in HEARD}


def recorded(part: str, shipped: Path, new: Path) -> list[Figure]:
    """Return what both recorded of themselves when they were trained, each on the corpus of its own run."""
    if part == "recogniser":
        row, how = "test_known", "voice known"
        sides = [load_checkpoint(folder)[1] for folder in (shipped, new)]
    else:
        row, how = "beside/clean", "beside neutral clips"
        sides = [json.loads((folder / "judge.json").read_text("utf-8"))["metadata"] for folder in (shipped, new)]
    named = [{f"{name}, {how}": float(side["figures"][row][name]) for name in HEARD} for side in sides]
    return figures_of(f"{part}, as it recorded", *named)


@torch.inference_mode()
def vocoder(folder: Path, corpus: Path, scratch: Path) -> dict[str, float]:
    """Return how near copies of held-out recordings are, in the mean over up to 60 of them."""
    from held_out import open_train_and_valid
    from train_vocoder import LogMel, Recordings, copy_synthesis_measures

    model: Any = load_checkpoint(folder)[0]["vocoder"]
    recordings, log_mel = Recordings(open_train_and_valid(corpus)[1]), LogMel(SPEC)
    measures = []
    for i in range(0, len(recordings.rows), max(1, len(recordings.rows) // 60))[:60]:
        waveform, f0 = recordings.whole(i)
        mel = log_mel(torch.from_numpy(waveform)[None])[:, : len(f0)]
        copy = model(mel, torch.from_numpy(f0)[None], generator=torch.Generator().manual_seed(0))[0].numpy()
        measures.append(copy_synthesis_measures(copy, waveform, f0))
    return {name: float(np.nanmean([m[name] for m in measures])) for name in measures[0]}


@torch.inference_mode()
def acoustic(folder: Path, corpus: Path, scratch: Path) -> dict[str, float]:
    """Return the losses on the first held-out batches, each with noise of its own number."""
    from train_acoustic import Lessons, condition_of, load, target_of

    model = load_checkpoint(folder)[0]["acoustic"]
    assert isinstance(model, AcousticModel)
    config = configured("train_acoustic", f"corpus={corpus}", f"output={scratch}")
    config.voices = list(model.voices.names)
    _, valid = load(config)
    valid.n_marks = model.text_encoder.n_stresses
    lessons = Lessons(valid, list(model.text_encoder.languages) or ["en-us"], config, 0.0)
    sums: dict[str, float] = {}
    for number in range(BATCHES):
        lesson = lessons(number)
        generator = torch.Generator().manual_seed(number)
        told, target = condition_of(lesson.batch, lesson.language), target_of(lesson.batch)
        losses = acoustic_losses(model, told, target, generator, NO_DROPOUT)
        for name, value in (losses | {"loss": total(losses)}).items():
            sums[name] = sums.get(name, 0.0) + float(value) / BATCHES
    return sums


def evaluation(folder: Path, corpus: Path, scratch: Path, is_new: bool) -> dict[tuple[str, str], dict[str, float]]:
    """Return the rows of `emotts evaluate --suite quick`, by name and judge, with their intervals."""
    output = scratch / ("evaluation-new" if is_new else "evaluation-shipped")
    code = "from emotts.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "evaluate", "--checkpoint", str(folder), "--out", str(output)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    rows = json.loads((output / "report.json").read_text(encoding="utf-8"))["table"]
    return {(row["name"], row["judge"]): row["values"]["emotts"] for row in rows if row["values"].get("emotts")}


def evaluated(shipped: Path, new: Path, corpus: Path, scratch: Path) -> Iterator[Figure]:
    """Give the rows of both evaluations; the tolerance is how far the shipped one's 95 % interval reaches to the worse side."""
    sides = [evaluation(folder, corpus, scratch, folder == new) for folder in (shipped, new)]
    for key in EVALUATED:
        old, now = (side.get(key) for side in sides)
        if old is None or now is None:
            raise ValueError(f"the evaluation has no row {key}; it has {sorted(sides[0])}.")
        is_lower_better = any(word in key[0] for word in ERRORS)
        reach = old["high"] - old["value"] if is_lower_better else old["value"] - old["low"]
        name = f"{key[0]} ({key[1]})" if key[1] else key[0]
        yield Figure("evaluation", name, old["value"], now["value"], reach, is_lower_better)


PARTS: dict[str, tuple[str, str, Callable[[Path, Path, Path], dict[str, float]] | None]] = {
    "recogniser": ("recognizer", "recognizer/export", recogniser),
    "judge": ("judge", "judge/export", judge),
    "vocoder": ("bundled", "vocoder/export", vocoder),
    "acoustic": ("bundled", "acoustic/export", acoustic),
    "evaluation": ("bundled", "bundle", None),
}


def table(figures: list[Figure], absent: list[str]) -> str:
    """Return the figures as Markdown."""
    lines = ["| part | measure | shipped | from scratch | may be worse by | |", "|---|---|---|---|---|---|"]
    for f in figures:
        mark = "reproduced" if f.is_reproduced else "**worse**"
        lines.append(f"| {f.part} | {f.measure} | {f.shipped:.3f} | {f.new:.3f} | {f.tolerance:.3f} | {mark} |")
    lines += [f"| {part} | | | not run | | |" for part in absent]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--shipped", type=Path, default=ROOT / "checkpoints", help="folder of bundled, recognizer and judge"
    )
    parser.add_argument("--new", type=Path, default=ROOT / "runs", help="where the experiment left its folders")
    parser.add_argument("--corpus", type=Path, help="default: corpus below --new")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=RESULTS / "reproduction")
    arguments = parser.parse_args(argv)
    corpus, scratch = arguments.corpus or arguments.new / "corpus", arguments.new / "reproduction"
    figures: list[Figure] = []
    absent = []
    for part in arguments.parts:
        old, now, measure = PARTS[part]
        shipped, new = arguments.shipped / old, arguments.new / now
        if not new.is_dir():
            absent.append(part)
        elif measure is None:
            figures += evaluated(shipped, new, corpus, scratch)
        else:
            figures += figures_of(part, measure(shipped, corpus, scratch), measure(new, corpus, scratch))
        if part in RECORDED and new.is_dir():
            figures += recorded(part, shipped, new)
        print(f"{part}: done", file=sys.stderr, flush=True)
    record = arguments.new / "experiments/simulated_cpu/record.json"
    steps = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else []
    result = {
        "commit": git_commit(),
        "figures": [asdict(f) | {"is_reproduced": f.is_reproduced} for f in figures],
        "not_run": absent,
        "steps": steps,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = table(figures, absent)
    arguments.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
