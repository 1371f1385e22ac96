"""The parts of benchmarks/align.py: heard clips come in, rows of the table go out."""

import gzip
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from safetensors import safe_open
from tables import Row

from emotts.audio import SPEC, load_audio, resample
from emotts.content.listener import Listener
from emotts.content.segments import LOWEST_FIT, fit_tokens, recognise
from emotts.content.speech_encoder import ACTIVITIES, Heard
from emotts.data.alignment import align
from emotts.data.manifest import ManifestRow, read_manifest
from emotts.data.nonspeech import KINDS, make_nonspeech
from emotts.text.phonemize import phonemize
from emotts.text.symbols import is_pause, split_stress

FRAME_MS = 1e3 / SPEC.frame_rate
NEAR_MS = 20.0
NARROW_HZ = 8_000  # sample rate of a telephone
N_NARROW, N_NONSPEECH, NONSPEECH_S = 60, 20, 3.0
N_WRONG = 3  # other texts that each clip is offered
FOLDS, RIDGE = 5, 10.0
SHORTEST_TEXT = 12  # characters of a prompt; a shorter one is a word or two
AUDIBLE_DB = -40.0  # below the peak; frames of a sound that are quieter may be heard as silence


@dataclass(frozen=True)
class Clip:
    """A clip with exact borders: its row, mel [T, M] and natural log energy [T], and what is heard in it."""

    row: ManifestRow
    mel: np.ndarray
    energy: np.ndarray
    heard: Heard


@dataclass(frozen=True)
class Prompt:
    """A recording of a person: waveform [L] at 24 kHz and the tokens that it should say."""

    waveform: np.ndarray
    tokens: list[str]


def load_clips(folder: Path, split: str, listener: Listener, count: int) -> list[Clip]:
    """Hear clips of a split, spread over it."""
    rows = [row for row in read_manifest(folder / "manifest.jsonl") if row.split == split]
    rows = [rows[k * len(rows) // min(count, len(rows))] for k in range(min(count, len(rows)))]
    if not rows:
        raise ValueError(
            f"{folder} has no clips of split {split!r}; run recipes/simulate_corpus.py or simulate_crowd.py."
        )
    clips = []
    for row in rows:
        with safe_open(folder / row.features, framework="pt") as store:
            mel, energy = (store.get_tensor(f"{row.id}.{name}").float() for name in ("mel", "energy"))
        clips.append(Clip(row, mel.numpy(), energy.numpy(), listener.hear_mel(mel[None])))
    return clips


def recognised(clips: Sequence[Clip], name: str) -> list[Row]:
    """Compare what `recognise` finds with the phonemes and frames of the clips."""
    n_wrong = n_sounds = n_right = n_frames = 0
    started = time.process_time()
    found = [recognise(clip.heard) for clip in clips]
    seconds = time.process_time() - started
    for clip, sounds in zip(clips, found, strict=True):
        said = sounds_of(clip.row.phonemes)
        n_wrong, n_sounds = n_wrong + distance(said, sounds_of(sounds.tokens)), n_sounds + len(said)
        truth, heard = by_frame(clip.row.phonemes, clip.row.durations), by_frame(sounds.tokens, sounds.durations)
        n_right, n_frames = n_right + int((truth == heard)[truth != ""].sum()), n_frames + int((truth != "").sum())
    per, right = n_wrong / n_sounds, n_right / n_frames
    speed = 1e3 * seconds / (sum(clip.row.n_frames for clip in clips) / SPEC.frame_rate)
    return [
        Row(f"{name}: phoneme error rate of `recognise`", "", f"{per:.3f}", None, {"per": per, "n": n_sounds}),
        Row(
            f"{name}: frames of speech with the right phoneme",
            "",
            f"{right:.3f}",
            None,
            {"share": right, "n": n_frames},
        ),
        Row(f"{name}: ms of one core for a second", "at most 5", f"{speed:.2f}", speed <= 5.0, {"ms": speed}),
    ]


def aligned(clips: Sequence[Clip], name: str) -> list[Row]:
    """Compare the borders of `fit_tokens`, and those of the expected durations, with the exact ones."""
    rows = []
    for method in ("listened", "expected"):
        errors: list[float] = []
        for clip in clips:
            tokens = clip.row.phonemes
            if method == "listened":
                durations = fit_tokens(clip.heard, tokens).durations
            else:
                durations = align(tokens, [-1] * len(tokens), clip.energy).durations
            is_sound = np.array([not is_pause(token) for token in tokens])
            starts = [np.cumsum(d) - np.asarray(d) for d in (durations, clip.row.durations)]
            errors.extend(np.abs(starts[0] - starts[1])[is_sound] * FRAME_MS)
        middle, far, near = np.median(errors), np.percentile(errors, 90), np.mean(np.asarray(errors) <= NEAR_MS)
        value = f"{middle:.0f} / {far:.0f} ms, {100 * near:.0f} % within {NEAR_MS:.0f} ms"
        numbers = {"median_ms": float(middle), "p90_ms": float(far), "near": float(near), "n": len(errors)}
        rows.append(Row(f"{name}: border error, {method}, median / 90th percentile", "", value, None, numbers))
    return rows


def texts(pairs: Sequence[tuple[Heard, list[str]]], name: str) -> list[Row]:
    """Say how many right texts are taken and how many of other clips are refused."""
    right = [fit_tokens(heard, tokens).score for heard, tokens in pairs]
    wrong: list[float] = []
    for k, (heard, tokens) in enumerate(pairs):
        for step in range(1, N_WRONG + 1):
            other = pairs[(k + step * 7) % len(pairs)][1]
            fits = sum(not is_pause(token) for token in other) <= heard.begins.shape[1]
            if sounds_of(other) != sounds_of(tokens):
                wrong.append(fit_tokens(heard, other).score if fits else 0.0)
    taken, refused = np.mean(np.asarray(right) >= LOWEST_FIT), np.mean(np.asarray(wrong) < LOWEST_FIT)
    value = f"{100 * taken:.1f} % / {100 * refused:.1f} %"
    numbers = {"taken": float(taken), "refused": float(refused), "right": spread(right), "wrong": spread(wrong)}
    return [Row(f"{name}: right texts taken / others refused", "", value, None, numbers)]


def narrowed(folder: Path, clips: Sequence[Clip], listener: Listener) -> list[Row]:
    """Say what is heard of clips that went through a telephone's sample rate."""
    some = clips[:: max(1, len(clips) // N_NARROW)][:N_NARROW]
    wrong = n = 0
    speech: list[float] = []
    for clip in some:
        waveform = soundfile.read(folder / clip.row.audio, dtype="float32")[0]
        waveform = resample(resample(waveform, SPEC.sample_rate, NARROW_HZ), NARROW_HZ, SPEC.sample_rate)
        heard = listener.hear(waveform)
        said = sounds_of(clip.row.phonemes)
        wrong, n = wrong + distance(said, sounds_of(recognise(heard).tokens)), n + len(said)
        is_said = by_frame(clip.row.phonemes, clip.row.durations) != ""
        speech.append(
            float((kinds(heard) == ACTIVITIES.index("speech"))[: len(is_said)][is_said[: len(kinds(heard))]].mean())
        )
    value = f"{wrong / n:.3f}, {100 * np.mean(speech):.0f} % of speech heard as speech"
    numbers = {"per": wrong / n, "speech": float(np.mean(speech)), "n": n}
    return [
        Row(
            f"{folder.name}, {len(some)} clips at {NARROW_HZ // 1000} kHz: phoneme error rate", "", value, None, numbers
        )
    ]


def activity(listener: Listener) -> list[Row]:
    """Say how often sounds that are no speech are heard as such."""
    rows = []
    for k, kind in enumerate(KINDS):
        passed: list[float] = []
        for seed in range(N_NONSPEECH):
            waveform = make_nonspeech(kind, NONSPEECH_S, np.random.default_rng([1_000 + seed, k]))
            found = kinds(listener.hear(waveform))
            level = np.abs(waveform[: len(found) * SPEC.hop_length]).reshape(-1, SPEC.hop_length).max(axis=1)
            loud = level > waveform.max() * 10.0 ** (AUDIBLE_DB / 20.0)
            passed.append(float((found[loud] != ACTIVITIES.index("speech")).mean()))
        share = float(np.mean(passed))
        rows.append(Row(f"frames of {kind} not heard as speech", "", f"{100 * share:.0f} %", None, {"share": share}))
    return rows


def probes(clips: Sequence[Clip], name: str) -> list[Row]:
    """Say how well a linear reader tells voice and emotion from the mean of an utterance."""
    rows = []
    spoken = [np.array([not is_pause(t) for t in clip.row.phonemes]).repeat(clip.row.durations) for clip in clips]
    sources = {
        "content": [clip.heard.content[0].numpy()[mask].mean(axis=0) for clip, mask in zip(clips, spoken, strict=True)],
        "mel": [clip.mel[: len(mask)][mask].mean(axis=0) for clip, mask in zip(clips, spoken, strict=True)],
    }
    for what in ("voice", "label"):
        names = [getattr(clip.row, what) for clip in clips]
        keep = [k for k, value in enumerate(names) if value is not None]
        if len({names[k] for k in keep}) < 2:
            continue
        groups = np.unique([clips[k].row.text for k in keep], return_inverse=True)[1] % FOLDS
        classes, target = np.unique([names[k] for k in keep], return_inverse=True)
        chance = float(np.bincount(target).max() / len(target))
        found = {key: ridge_accuracy(np.array(values)[keep], target, groups) for key, values in sources.items()}
        value = f"{100 * found['content']:.0f} % from content, {100 * found['mel']:.0f} % from mel, chance {100 * chance:.0f} %"
        word = "emotion" if what == "label" else what
        numbers = found | {"chance": chance, "classes": len(classes), "n": len(keep)}
        rows.append(Row(f"{name}: {word} of {len(classes)} told by a linear reader", "", value, None, numbers))
    return rows


def human(prompts: Sequence[Prompt], listener: Listener) -> list[Row]:
    """Say what is heard of a person."""
    heard = [listener.hear(prompt.waveform) for prompt in prompts]
    found = [recognise(one) for one in heard]
    said = [sounds_of(prompt.tokens) for prompt in prompts]
    wrong = sum(distance(a, sounds_of(b.tokens)) for a, b in zip(said, found, strict=True))
    n = sum(map(len, said))
    sure = [c for one in found for c, t in zip(one.confidence, one.tokens, strict=True) if not is_pause(t)]
    sureness = float(np.mean(sure)) if sure else 0.0
    name = f"a person, {len(prompts)} prompts at {NARROW_HZ // 1000} kHz"
    return [
        Row(f"{name}: phoneme error rate", "", f"{wrong / n:.3f}", None, {"per": wrong / n, "n": n}),
        Row(f"{name}: mean confidence of the phonemes", "", f"{sureness:.2f}", None, {"confidence": sureness}),
        *texts([(one, prompt.tokens) for one, prompt in zip(heard, prompts, strict=True)], name),
    ]


def read_prompts(folder: Path, listing: Path) -> list[Prompt]:
    """Read recordings whose text is spoken words: lines "name: text", those with a sound in brackets left out."""
    data = listing.read_bytes()
    lines = (gzip.decompress(data) if listing.suffix == ".gz" else data).decode("utf-8").splitlines()
    prompts = []
    for line in lines:
        match = re.match(r"([^;:\s]+):\s+(.+)", line)
        if match is None or "[" in match[2] or len(match[2]) < SHORTEST_TEXT:
            continue
        path = folder / f"{match[1]}.wav"
        if path.is_file():
            prompts.append(Prompt(load_audio(path), phonemize(match[2])))
    if not prompts:
        raise ValueError(f"{folder} holds none of the recordings that {listing} names.")
    return prompts


def ridge_accuracy(rows: np.ndarray, target: np.ndarray, folds: np.ndarray) -> float:
    """Return the share of rows [N, D] whose class [N] a ridge regression tells that learnt from the other folds [N]."""
    right = 0
    for fold in np.unique(folds):
        train = folds != fold
        mean, scale = rows[train].mean(axis=0), rows[train].std(axis=0) + 1e-9
        x = np.concatenate([(rows - mean) / scale, np.ones((len(rows), 1))], axis=1)
        hot = np.eye(target.max() + 1)[target]
        weights = np.linalg.solve(x[train].T @ x[train] + RIDGE * np.eye(x.shape[1]), x[train].T @ hot[train])
        right += int(((x[~train] @ weights).argmax(axis=1) == target[~train]).sum())
    return right / len(target)


def kinds(heard: Heard) -> np.ndarray:
    """Return the likeliest activity of every frame [T]."""
    return np.asarray(heard.activity[0].argmax(dim=-1).numpy())


def by_frame(tokens: Sequence[str], durations: Sequence[int]) -> np.ndarray:
    """Return the phoneme of every frame [T], empty in pauses."""
    return np.repeat(["" if is_pause(token) else split_stress(token)[0] for token in tokens], durations)


def sounds_of(tokens: Sequence[str]) -> list[str]:
    """Return phonemes without stress and pauses."""
    return [split_stress(token)[0] for token in tokens if not is_pause(token)]


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many insertions, deletions and substitutions lead from one to the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return percentiles."""
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (1, 5, 50, 95, 99)}
