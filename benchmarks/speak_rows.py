"""The rows of the benchmark: each function measures one requirement on a `Plan` and returns its `Row`s."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from speak_plan import (
    Plan,
    as_list,
    embedding,
    grouped,
    mean_embedding,
    overall_quality,
    word_error_rate,
)
from speak_speed import speed_rows
from speak_systems import Ask, Bench, System
from tables import Row

from emotts.metrics.prosody import contour_correlation
from emotts.metrics.statistics import Interval, bootstrap_mean, spearman
from emotts.metrics.texture import diversity, modulation_distance_db, variance_ratio

SWEEP = tuple(np.linspace(-1.0, 1.0, 9).round(3).tolist())
# The features that emotts/emotion/rendering.py moves with each dimension, with the sign of the effect.
SWEEP_FEATURES: dict[str, dict[str, int]] = {
    "arousal": {"f0_mean_st": 1, "level_db": 1, "alpha_ratio_db": 1, "syllable_rate": 1},
    "valence": {"f0_mean_st": 1, "syllable_rate": 1, "level_db": -1, "tilt_db_per_oct": -1},
    "dominance": {"f0_mean_st": -1, "f0_slope_st": -1, "level_db": 1, "hnr_high_db": 1},
}
DIMENSION_INDEX = {"arousal": 0, "valence": 1, "dominance": 2}
SWEEP_TARGET = {"arousal": 0.95, "valence": 0.85, "dominance": 0.85}


def word_error_rows(bench: Bench, plan: Plan) -> list[Row]:
    def rates(asks: list[Ask], group: Callable[[Ask], str]) -> dict[str, tuple[Interval, Interval]]:
        return {
            name: (word_error_rate(bench, bench.model, part), word_error_rate(bench, bench.teacher, part))
            for name, part in grouped(asks, group).items()
        }

    rows = []
    parts = (
        ("WER neutral, worst voice", 1.0, rates(plan.neutral, lambda ask: ask.voice)),
        ("WER emotional, worst category", 2.0, rates(plan.emotional, lambda ask: str(ask.label))),
        ("WER emotional, worst voice", 2.0, rates(plan.emotional, lambda ask: ask.voice)),
    )
    for measure, allowed, table in parts:
        excess = {name: model.value - teacher.value for name, (model, teacher) in table.items()}
        worst = max(excess, key=lambda name: excess[name])
        model, teacher = table[worst]
        numbers = {name: {"model": as_list(m), "teacher": as_list(t)} for name, (m, t) in table.items()}
        value = f"{worst}: {model} % (teacher {teacher.value:.2f} %)"
        rows.append(Row(measure, f"teacher + {allowed:.0f} point", value, excess[worst] <= allowed, numbers))
    return rows


def quality_rows(bench: Bench, plan: Plan) -> list[Row]:
    asks = plan.emotional
    difference = {
        name: bootstrap_mean(
            [overall_quality(bench, bench.model, ask) - overall_quality(bench, bench.teacher, ask) for ask in part]
        )
        for name, part in grouped(asks, lambda ask: str(ask.label)).items()
    }
    worst = min(difference, key=lambda name: difference[name].value)
    everyone = {
        s.name: bootstrap_mean([overall_quality(bench, s, ask) for ask in asks]) for s in (bench.model, bench.teacher)
    }
    numbers = {name: as_list(interval) for name, interval in {**difference, **everyone}.items()}
    value = (
        f"{worst}: {difference[worst]} (all: {everyone['model'].value:.2f}, teacher {everyone['teacher'].value:.2f})"
    )
    return [
        Row("DNSMOS OVRL against teacher, worst category", ">= -0.15", value, difference[worst].value >= -0.15, numbers)
    ]


def vocoder_rows(bench: Bench, plan: Plan) -> list[Row]:
    """Copy synthesis: the teacher's mel and F0 through the trained vocoder, and through the untrained one."""
    import torch

    from emotts.vocoder.baseline import BaselineVocoder
    from emotts.vocoder.losses import copy_synthesis_measures

    asks = plan.emotional[:: max(1, len(plan.emotional) // 60)]
    vocoders = {"vocoder": bench.model.tts.vocoder, "baseline": BaselineVocoder().eval()}  # type: ignore[attr-defined]

    @torch.inference_mode()
    def compute(vocoder: Any, ask: Ask) -> dict[str, Any]:
        speech = bench.speak(bench.teacher, ask)
        generator = torch.Generator().manual_seed(ask.seed)
        mel, f0 = torch.from_numpy(speech.mel)[None], torch.from_numpy(speech.f0)[None]
        copy = vocoder(mel, f0, generator=generator)[0].float().numpy()
        measures: dict[str, Any] = copy_synthesis_measures(copy, speech.waveform[: len(copy)], speech.f0)
        measures["quality"] = bench.dnsmos(copy).dns_overall
        errors = bench.recogniser.word_errors([copy], [ask.text])[0]
        return {**measures, "errors": errors.errors, "words": errors.words}

    copies = {
        name: [
            bench.keep(bench.model, f"{ask.key}/copy/{name}/{bench.teacher.digest}", lambda v=v, a=ask: compute(v, a))  # type: ignore[misc]
            for ask in asks
        ]
        for name, v in vocoders.items()
    }
    mean = {
        name: {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]} for name, rows in copies.items()
    }
    wer = 100.0 * sum(r["errors"] for r in copies["vocoder"]) / sum(r["words"] for r in copies["vocoder"])
    input_wer = word_error_rate(bench, bench.teacher, asks).value
    input_quality = float(np.mean([overall_quality(bench, bench.teacher, ask) for ask in asks]))
    rows = [
        Row(
            "copy synthesis, WER", "input + 0.5 point", f"{wer:.2f} % (input {input_wer:.2f} %)", wer <= input_wer + 0.5
        ),
        Row(
            "copy synthesis, DNSMOS OVRL",
            "input - 0.1",
            f"{mean['vocoder']['quality']:.2f} (input {input_quality:.2f})",
            mean["vocoder"]["quality"] >= input_quality - 0.1,
            mean,
        ),
    ]
    lower_is_better = [key for key in mean["vocoder"] if key in ("mel_l1", "f0_cents") or key.startswith("periodicity")]
    for key in lower_is_better:
        trained, untrained = mean["vocoder"][key], mean["baseline"][key]
        rows.append(Row(f"copy synthesis, {key}", f"< baseline {untrained:.3f}", f"{trained:.3f}", trained < untrained))
    return rows


def likeness_rows(bench: Bench, plan: Plan) -> list[Row]:
    """Level, F0 mean and F0 SD of the model against the teacher, as the bias of the worst category."""
    limits = (("level", "level_db", 1.0, "dB"), ("F0 mean", "f0_mean_st", 0.5, "st"), ("F0 SD", "f0_sd_st", 10.0, "%"))
    rows = []
    for name, key, limit, unit in limits:
        bias: dict[str, float] = {}
        for label, asks in grouped(plan.emotional, lambda ask: str(ask.label)).items():
            model, teacher = (
                np.nanmean([bench.measure(system, ask, "prosody")[key] for ask in asks])
                for system in (bench.model, bench.teacher)
            )
            bias[label] = float(100.0 * (model / teacher - 1.0) if unit == "%" else model - teacher)
        worst = max(bias, key=lambda label: abs(bias[label]))
        mean = float(np.mean(np.abs(list(bias.values()))))
        value = f"{worst}: {bias[worst]:+.2f} {unit} (mean of sizes {mean:.2f})"
        rows.append(
            Row(
                f"{name} against teacher, worst category",
                f"within {limit:g} {unit}",
                value,
                abs(bias[worst]) <= limit,
                bias,
            )
        )
    return rows


def sweep_rows(bench: Bench, plan: Plan) -> list[Row]:
    rows = []
    for dimension, features in SWEEP_FEATURES.items():
        scores = {system.name: _sweep(bench, system, plan, dimension) for system in (bench.model, bench.teacher)}
        target = SWEEP_TARGET[dimension]
        each = ", ".join(f"{key} {scores['model'][key]:.3f} ({scores['teacher'][key]:.3f})" for key in features)
        values = [scores["model"][key] for key in features]
        is_met = min(values) >= target if dimension == "arousal" else float(np.mean(values)) >= target
        kind = "each" if dimension == "arousal" else "mean"
        value = f"mean {np.mean(values):.3f}: {each}"
        rows.append(Row(f"{dimension} sweep, Spearman (teacher)", f">= {target} {kind}", value, is_met, scores))
    return rows


def speaker_rows(bench: Bench, plan: Plan) -> list[Row]:
    """Emotional utterances against the neutral mean of their voice, and of every other voice."""
    numbers: dict[str, Any] = {}
    for system in (bench.model, bench.teacher):
        centres = {
            voice: mean_embedding(bench, system, asks)
            for voice, asks in grouped(plan.neutral, lambda a: a.voice).items()
        }
        names = list(centres)
        asks = [ask for ask in plan.emotional if ask.label != "neutral"]
        similarity = np.array([embedding(bench, system, a) @ np.stack(list(centres.values())).T for a in asks])
        own = np.array([names.index(ask.voice) for ask in asks])
        numbers[system.name] = {
            "own": float(similarity[np.arange(len(own)), own].mean()),
            "ranked_first": float(np.mean(similarity.argmax(axis=1) == own)),
            "voices": {a: {b: round(float(centres[a] @ centres[b]), 3) for b in names} for a in names},
        }
    model, teacher = numbers["model"], numbers["teacher"]
    return [
        Row(
            "speaker similarity, emotional to neutral",
            ">= 0.80",
            f"{model['own']:.3f} (teacher {teacher['own']:.3f})",
            model["own"] >= 0.8,
            numbers,
        ),
        Row(
            "own voice is the nearest",
            ">= 95 %",
            f"{100 * model['ranked_first']:.1f} % (teacher {100 * teacher['ranked_first']:.1f} %)",
            model["ranked_first"] >= 0.95,
        ),
    ]


def seed_rows(bench: Bench, plan: Plan) -> list[Row]:
    correlations, changes = [], []
    asked: list[Ask] = []
    first_ask = Ask(plan.texts[0], plan.voices[0], "happy", seed=1)
    same = np.array_equal(bench.model.speak(first_ask).waveform, bench.model.speak(first_ask).waveform)
    for voice in plan.voices:
        for text in plan.texts:
            asks = [Ask(text, voice, "happy", seed=seed) for seed in plan.seeds]
            takes = [bench.speak(bench.model, ask) for ask in asks]
            for a, b in combinations(takes, 2):
                correlations.append(contour_correlation(a.f0, a.durations, b.f0, b.durations))
                changes.append(float(np.mean(a.durations != b.durations)))
            asked += asks
    model, teacher = (word_error_rate(bench, system, asked).value for system in (bench.model, bench.teacher))
    correlation = float(np.nanmean(correlations))
    numbers = {
        "contour_correlation": correlation,
        "largest": float(np.nanmax(correlations)),
        "wer": model,
        "wer_teacher": teacher,
    }
    changed = 100.0 * float(np.mean(changes))
    value = f"F0 correlation {correlation:.3f}, {changed:.0f} % of durations differ, WER {model:.2f} % (teacher {teacher:.2f} %)"
    return [
        Row(
            "different seeds",
            "< 0.98, durations differ, WER teacher + 2 point",
            value,
            correlation < 0.98 and min(changes) > 0.0 and model <= teacher + 2.0,
            numbers,
        ),
        Row("same seed", "the same samples", "equal" if same else "different", bool(same)),
    ]


def flow_rows(bench: Bench, plan: Plan) -> list[Row]:
    """What each flow gives over its prior; the priors are the same model with 0 steps."""
    variants: dict[str, dict[str, int | None]] = {
        "both flows": {},
        "mel prior": {"steps": 0},
        "prosody prior": {"prosody_steps": 0},
        "both priors": {"steps": 0, "prosody_steps": 0},
    }
    base = [
        Ask(text, voice, label, seed=1)
        for voice in plan.voices
        for text in plan.texts
        for label in ("neutral", "happy", "sad")
    ]
    references = [bench.speak(bench.teacher, ask).mel for ask in base]
    rows = []
    for name, flow in variants.items():
        asks = [Ask(a.text, a.voice, a.label, a.intensity, a.point, a.seed, **flow) for a in base]
        mels = [bench.speak(bench.model, ask).mel for ask in asks]
        spread = _spread(bench, plan, flow)
        numbers = {
            "variance_ratio": variance_ratio(mels, references),
            "modulation_distance_db": modulation_distance_db(mels, references),
            "f0_sd_st": float(np.nanmean([bench.measure(bench.model, a, "prosody")["f0_sd_st"] for a in asks])),
            "quality": float(np.mean([overall_quality(bench, bench.model, a) for a in asks])),
            "wer": word_error_rate(bench, bench.model, asks).value,
            **spread,
        }
        value = ", ".join(f"{key} {number:.3f}" for key, number in numbers.items())
        rows.append(Row(f"flow: {name}", "-", value, None, numbers))
    return rows


ROWS: dict[str, Callable[[Bench, Plan], list[Row]]] = {
    "wer": word_error_rows,
    "quality": quality_rows,
    "vocoder": vocoder_rows,
    "likeness": likeness_rows,
    "sweeps": sweep_rows,
    "speaker": speaker_rows,
    "seeds": seed_rows,
    "flow": flow_rows,
    "speed": speed_rows,
}


def _sweep(bench: Bench, system: System, plan: Plan, dimension: str) -> dict[str, float]:
    """Return the mean over texts and voices of each feature's signed rank correlation with the request."""
    scores: dict[str, list[float]] = {key: [] for key in SWEEP_FEATURES[dimension]}
    for voice in plan.voices:
        for text in plan.texts:
            measured = []
            for x in SWEEP:
                point = [0.0, 0.0, 0.0]
                point[DIMENSION_INDEX[dimension]] = x
                ask = Ask(text, voice, None, point=(point[0], point[1], point[2]), seed=1)
                measured.append(bench.measure(system, ask, "prosody"))
            for key, sign in SWEEP_FEATURES[dimension].items():
                scores[key].append(sign * spearman(SWEEP, [m[key] for m in measured]))
    return {key: float(np.mean(values)) for key, values in scores.items()}


def _spread(bench: Bench, plan: Plan, flow: dict[str, int | None]) -> dict[str, float]:
    """Return what varies over seeds: duration (% of the mean), F0 contour (correlation), mel (at fixed durations)."""
    durations, contours, mels = [], [], []
    for text in plan.texts[:3]:
        takes = [bench.speak(bench.model, Ask(text, plan.voices[0], seed=seed, **flow)) for seed in plan.seeds]
        totals = np.array([take.durations.sum() for take in takes], np.float64)
        durations.append(100.0 * totals.std() / totals.mean())
        pairs = combinations(takes, 2)
        contours.append(np.nanmean([contour_correlation(a.f0, a.durations, b.f0, b.durations) for a, b in pairs]))
        fixed: dict[str, int | None] = {**flow, "prosody_steps": 0}
        still = [bench.speak(bench.model, Ask(text, plan.voices[0], seed=seed, **fixed)) for seed in plan.seeds]
        mels.append(diversity([take.mel for take in still]))
    return {
        "duration_sd_pct": float(np.mean(durations)),
        "contour_correlation": float(np.mean(contours)),
        "mel_sd": float(np.mean(mels)),
    }
