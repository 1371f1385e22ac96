"""Render planned shards to a corpus on disk: audio, features, and a manifest that says exactly what each utterance is.

In: `Shard` plans. Out: `audio/<shard>/<id>.flac`, `features/<shard>.safetensors`, `shards/<shard>.json`, and at the end
`manifest.jsonl` and `report.json`. A shard is finished when its JSON exists; everything is renamed into place, so a run
that was stopped continues where it was.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tqdm import tqdm

from emotts.audio import SPEC, LogMel, frame_energy, save_audio
from emotts.data.manifest import ManifestRow, row_of, write_atomically, writing
from emotts.emotion.labels import LABELS
from emotts.emotion.rendering import controls_for
from emotts.simulation.checks import Recogniser, WhisperTiny, recognise_shard, rejection_reasons
from emotts.simulation.plan import Shard, Utterance, fingerprint
from emotts.simulation.readings import sample_reading
from emotts.simulation.teachers import Rendition, Teacher, VoiceInfo
from emotts.workers import end_with_parent

LANGUAGE = "en-us"
Seconds = defaultdict[str, float]  # processor time by step


@dataclass(frozen=True)
class CorpusJob:
    """What a worker process needs besides the shard.

    Attributes:
        folder: Where the corpus lies.
        teachers: Class names such as "emotts.simulation.hibari.HibariTeacher".
        phonemizer: Name of a function from text to tokens.
        check_words: Whether a recogniser must hear the words.
    """

    folder: Path
    teachers: tuple[str, ...]
    phonemizer: str = "emotts.text.phonemize.phonemize"
    check_words: bool = True


@dataclass(frozen=True)
class Take:
    """A rendered utterance that passed the checks of the signal."""

    utterance: Utterance
    tokens: list[str]
    avd: NDArray[np.float64]
    weights: NDArray[np.float64]
    waveform: NDArray[np.float32]
    rendition: Rendition


def render_shard(job: CorpusJob, shard: Shard) -> str:
    """Render one shard unless it is finished.

    Args:
        job: Where and how.
        shard: What.

    Returns:
        The name of the shard.

    Raises:
        ValueError: If a finished shard of this name belongs to another plan.
    """
    record_path = job.folder / "shards" / f"{shard.name}.json"
    if record_path.is_file():
        _check_fingerprint(record_path, shard)
        return shard.name
    torch.set_num_threads(1)
    seconds: Seconds = defaultdict(float)
    rejected: Counter[str] = Counter()
    takes = _render(job, shard, rejected, seconds)
    if job.check_words:
        takes = _keep_understood(takes, rejected, seconds)
    rows = _store(job, shard, takes, seconds)
    record = {
        "fingerprint": fingerprint(shard),
        "rejected": dict(sorted(rejected.items())),
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "rows": [asdict(row) for row in rows],
    }
    write_atomically(record_path, json.dumps(record, ensure_ascii=False))
    return shard.name


def render_shards(job: CorpusJob, shards: list[Shard], processes: int) -> None:
    """Render what is not finished yet, in worker processes with a progress bar; errors are those of `render_shard`."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        jobs = [pool.submit(render_shard, job, shard) for shard in shards]
        try:
            for done in tqdm(as_completed(jobs), total=len(jobs), unit="shard"):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def merge_shards(folder: Path, shards: list[Shard]) -> dict[str, Any]:
    """Write `manifest.jsonl` and `report.json` from finished shards, in the order of the plan; return the report.

    One shard is in memory at a time.
    """
    n = 0
    rejected: Counter[str] = Counter()
    seconds: Seconds = defaultdict(float)
    hours: dict[str, Seconds] = {attribute: defaultdict(float) for attribute in ("split", "voice", "label")}
    with writing(folder / "manifest.jsonl") as manifest:
        for shard in shards:
            record = json.loads((folder / "shards" / f"{shard.name}.json").read_text(encoding="utf-8"))
            for row in map(row_of, record["rows"]):
                manifest.write(row.to_json() + "\n")
                n += 1
                for attribute, totals in hours.items():
                    totals[str(getattr(row, attribute))] += row.duration_s / 3_600.0
            rejected.update(record["rejected"])
            for step, value in record["seconds"].items():
                seconds[step] += value
    by_split, by_voice, by_label = (
        {key: round(value, 3) for key, value in sorted(totals.items())} for totals in hours.values()
    )
    report = {
        "utterances": n,
        "planned": sum(len(shard.utterances) for shard in shards),
        "rejected": dict(rejected),
        "hours": by_split,
        "hours_by_voice": by_voice,
        "hours_by_label": by_label,
        "processor_seconds": {key: round(value, 1) for key, value in seconds.items()},
    }
    write_atomically(folder / "report.json", json.dumps(report, indent=2) + "\n")
    return report


def teacher_class(name: str) -> Any:
    """Import a class or function by its full name."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def voice_teachers(teachers: tuple[str, ...]) -> dict[str, str]:
    """Return which teacher speaks each voice.

    Raises:
        ValueError: If two teachers claim one voice.
    """
    owners: dict[str, str] = {}
    for name in teachers:
        for voice in teacher_class(name).voices:
            if voice in owners:
                raise ValueError(f"voice {voice!r} belongs to both {owners[voice]} and {name}")
            owners[voice] = name
    return owners


@cache
def _teacher(name: str) -> Teacher:
    return teacher_class(name)()


@lru_cache(maxsize=1)
def _recogniser() -> Recogniser:
    return WhisperTiny()


@lru_cache(maxsize=1)
def _mel() -> LogMel:
    return LogMel(SPEC)


@lru_cache(maxsize=8192)
def _tokens(phonemizer: str, text: str) -> tuple[str, ...]:
    return tuple(teacher_class(phonemizer)(text))


def _render(job: CorpusJob, shard: Shard, rejected: Counter[str], seconds: Seconds) -> list[Take]:
    owners = voice_teachers(job.teachers)
    takes = []
    for utterance in shard.utterances:
        started = time.process_time()
        tokens = list(_tokens(job.phonemizer, utterance.text))
        seconds["text"] += time.process_time() - started
        started = time.process_time()
        avd, weights = utterance.avd(tokens), utterance.label_weights(tokens)
        controls = controls_for(avd, weights)
        reading = sample_reading(tokens, np.random.default_rng(utterance.seed))
        teacher = _teacher(owners[utterance.voice])
        rendition = teacher.speak(tokens, utterance.voice, controls, reading, utterance.seed)
        reasons = rejection_reasons(rendition, tokens)
        seconds["rendering"] += time.process_time() - started
        if reasons:
            rejected.update(reasons[:1])
            continue
        takes.append(Take(utterance, tokens, avd, weights, _quantise(rendition.waveform), rendition))
    return takes


def _keep_understood(takes: list[Take], rejected: Counter[str], seconds: Seconds) -> list[Take]:
    started = time.process_time()
    errors = recognise_shard(_recogniser(), [take.waveform for take in takes], [take.utterance.text for take in takes])
    kept = [take for take, error in zip(takes, errors, strict=True) if error.is_acceptable]
    rejected["words"] += len(takes) - len(kept)
    seconds["recognition"] += time.process_time() - started
    return kept


def _store(job: CorpusJob, shard: Shard, takes: list[Take], seconds: Seconds) -> list[ManifestRow]:
    """Write audio and features of a shard beside their final places, then rename both."""
    owners = voice_teachers(job.teachers)
    audio, features = job.folder / "audio" / shard.name, job.folder / "features" / f"{shard.name}.safetensors"
    unfinished = job.folder / "audio" / f".{shard.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    features.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    rows = []
    for take in takes:
        started = time.process_time()
        save_audio(unfinished / f"{take.utterance.id}.flac", take.waveform)
        seconds["writing"] += time.process_time() - started
        started = time.process_time()
        tensors.update(_features(take))
        seconds["features"] += time.process_time() - started
        info = teacher_class(owners[take.utterance.voice]).voices[take.utterance.voice]
        rows.append(_row(take, info, shard.name))
    temporary = features.with_suffix(".unfinished")
    save_file(tensors, temporary)
    temporary.replace(features)
    shutil.rmtree(audio, ignore_errors=True)
    unfinished.replace(audio)
    return rows


def _features(take: Take) -> dict[str, torch.Tensor]:
    n_frames = len(take.waveform) // SPEC.hop_length
    with torch.inference_mode():
        mel = _mel()(torch.from_numpy(take.waveform)[None])[0, :n_frames]  # [T, M]
        energy = frame_energy(mel)  # [T]
    name = take.utterance.id
    tensors = {
        f"{name}.mel": mel.half().clone(),
        f"{name}.f0": torch.from_numpy(take.rendition.f0.astype(np.float32)),
        f"{name}.energy": energy.half().clone(),
        f"{name}.avd": torch.from_numpy(take.avd.astype(np.float16)),
    }
    if take.utterance.weights:
        tensors[f"{name}.labels"] = torch.from_numpy(take.weights.astype(np.float16))
    return tensors


def _row(take: Take, info: VoiceInfo, shard_name: str) -> ManifestRow:
    utterance, n_samples = take.utterance, len(take.waveform)
    arousal, valence, dominance = (round(float(x), 4) for x in take.avd.mean(axis=0))
    return ManifestRow(
        id=utterance.id,
        audio=f"audio/{shard_name}/{utterance.id}.flac",
        text=utterance.text,
        voice=utterance.voice,
        language=LANGUAGE,
        phonemes=take.tokens,
        durations=take.rendition.durations.tolist(),
        label=utterance.label,
        intensity=utterance.intensity,
        arousal=arousal,
        valence=valence,
        dominance=dominance,
        split=utterance.split,
        licence=info.licence,
        n_frames=n_samples // SPEC.hop_length,
        duration_s=round(n_samples / SPEC.sample_rate, 4),
        features=f"features/{shard_name}.safetensors",
        mixture=_mixture(take),
    )


def _mixture(take: Take) -> dict[str, float] | None:
    """Return the mean weight of each label over the tokens, where more than one label is meant."""
    if not take.utterance.weights:
        return None
    mean = take.weights.mean(axis=0)
    return {name: round(float(weight), 4) for name, weight in zip(LABELS, mean, strict=True) if weight > 0.0}


def _quantise(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round samples to the 16 bits of the stored file, so that features describe what is stored."""
    return (np.clip(np.rint(waveform * 32_768.0), -32_768, 32_767) / 32_768.0).astype(np.float32)


def _check_fingerprint(path: Path, shard: Shard) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    if stored != fingerprint(shard):
        raise ValueError(
            f"{path} was made from other sentences, voices or seed; choose another output folder or delete its shards"
        )
