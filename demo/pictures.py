"""Pictures of sound for `SpeechView`: a result, a recording or a conversion in, a dict that is ready for JSON out.

Its entries; times are seconds from the start:

    kind        "speech", "recording" or "conversion"
    duration_s  what is shown; total_s: the whole. note: a sentence where there is more to know, else ""
    alt         the picture in words, for those who do not see it
    facts       mean_f0_hz, low_f0_hz, high_f0_hz (None without voice), level_db (None in silence), words (their number)
    waveform    step_s, low, high: int8 in base64, full scale 127
    mel         png: a data URI; start_s, end_s; top_hz: where the mel scale ends
    f0, level   start_s, step_s, values (Hz, None unvoiced; dB below full scale)
    before      f0, level, mean_f0_hz, low_f0_hz, high_f0_hz of the recording that was converted, else None
    tokens      [phoneme, start_s, end_s]; words: [word, start_s, end_s]
    feeling     asked: [time_s, A, V, D], None where free; heard: [start_s, end_s, A, V, D, deviations of A, V, D]
    labels      [start_s, end_s, label, probability]
    spans       [start_s, end_s, kind], of the recording that was converted
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from emotts.audio import SPEC, LogMel, extract_f0, resample, speech_level_db
from emotts.conversion.reading import check_samples
from emotts.conversion.result import Conversion
from emotts.emotion.heard import Heard
from emotts.speech import Result

from .picture_lanes import Asked, contour, feeling, label_runs, levels, outline, token_times, word_times
from .picture_mel import MEL_FLOOR, mel_picture

MAX_SHOWN_S = 60.0
HALF_FRAME_S = 0.5 / SPEC.frame_rate
SAME_LENGTH_S = 0.05  # a conversion that differs by less from its recording keeps its time
MAX_TOLD = 40  # words, and labels, that the text in place of the picture names
SHOWN_KINDS = {"speech": "Speech", "recording": "Recording", "conversion": "Converted speech"}


def picture_of_result(
    result: Result, heard_windows: Sequence[Heard] | None = None, asked: Asked | None = None
) -> dict[str, Any]:
    """Draw speech that was synthesised.

    Args:
        result: of it the first MAX_SHOWN_S seconds are drawn.
        heard_windows: what a judge heard in it, in order of time.
        asked: arousal, valence, dominance for the whole (None where free), or rows [time_s, A, V, D], see `asked_along`.
    """
    shown_s = min(result.duration_s, MAX_SHOWN_S)
    words = word_times(result, shown_s)
    picture = _picture("speech", result.waveform, result.duration_s, heard_windows, asked)
    picture |= _frames(result.mel, result.f0, HALF_FRAME_S, shown_s)
    return _told(picture | {"tokens": token_times(result.tokens, result.durations, shown_s), "words": words})


def picture_of_recording(
    waveform: np.ndarray, sample_rate: int, windows: Sequence[Heard] | None = None, asked: Asked | None = None
) -> dict[str, Any]:
    """Draw a recording: samples [L] in [-1, 1] or of a PCM format, [channels, L] too, at any rate.

    Raises:
        ValueError: no samples, or samples that are not finite.
    """
    shown, total_s = _beginning(waveform, sample_rate)
    picture = _picture("recording", shown, total_s, windows, asked)
    return _told(picture | _frames(_log_mel(shown), extract_f0(shown), 0.0, picture["duration_s"]))


def picture_of_conversion(
    source_waveform: np.ndarray,
    source_rate: int,
    conversion: Conversion,
    heard_windows: Sequence[Heard] | None = None,
    asked: Asked | None = None,
) -> dict[str, Any]:
    """Draw a conversion, with F0 and level of its recording behind its own, each over its own time.

    Args:
        source_waveform: the recording, as `picture_of_recording` takes it; source_rate: in Hz.
        conversion: what became of it.
        heard_windows: what a judge heard in the result.
        asked: as in `picture_of_result`.

    Raises:
        ValueError: a recording without samples, or samples that are not finite.
    """
    source, source_s = _beginning(source_waveform, source_rate)
    shown_s = min(conversion.duration_s, MAX_SHOWN_S)
    picture = _picture("conversion", conversion.waveform, conversion.duration_s, heard_windows, asked)
    picture |= _frames(conversion.mel, conversion.f0, HALF_FRAME_S, shown_s)
    before_f0 = extract_f0(source)
    picture["before"] = {"f0": contour(before_f0, 0.0), "level": levels(source), **_register(before_f0)}
    picture["tokens"] = token_times(conversion.tokens, conversion.durations, shown_s)
    picture["spans"] = [
        [round(span.start_s, 3), round(min(span.end_s, MAX_SHOWN_S), 3), span.kind]
        for span in conversion.spans
        if span.start_s < MAX_SHOWN_S
    ]
    if abs(source_s - conversion.duration_s) > SAME_LENGTH_S:
        own = f"The recording lasts {source_s:.2f} s; its lines and spans keep their own time."
        picture["note"] = f"{picture['note']} {own}".strip()
        picture["duration_s"] = max(picture["duration_s"], round(min(source_s, MAX_SHOWN_S), 5))
    return _told(picture)


def _picture(
    kind: str, waveform: np.ndarray, total_s: float, windows: Sequence[Heard] | None, asked: Asked | None
) -> dict[str, Any]:
    """Return what all pictures share, with empty lanes for the rest."""
    shown = waveform[: round(MAX_SHOWN_S * SPEC.sample_rate)]
    shown_s = min(total_s, MAX_SHOWN_S)
    level_db = speech_level_db(shown)
    return {
        "kind": kind,
        "duration_s": round(shown_s, 5),
        "total_s": round(total_s, 5),
        "note": f"The first {MAX_SHOWN_S:.0f} s of {total_s:.1f} s are shown." if total_s > MAX_SHOWN_S else "",
        "facts": {"level_db": round(level_db, 1) if np.isfinite(level_db) else None},
        "waveform": outline(shown, SPEC.sample_rate),
        "level": levels(shown),
        "before": None,
        "tokens": [],
        "words": [],
        "feeling": feeling(windows or (), asked, shown_s),
        "labels": label_runs(windows or (), shown_s),
        "spans": [],
    }


def _frames(mel: np.ndarray, f0: np.ndarray, centre_s: float, shown_s: float) -> dict[str, Any]:
    """Return mel and F0; `centre_s` is where the middle of the first frame lies."""
    n_frames = max(1, int(np.ceil(shown_s * SPEC.frame_rate)))
    mel, f0 = mel[:n_frames], f0[:n_frames]
    if not len(mel):  # a conversion in which nothing was spoken has no frames
        mel = np.full((1, SPEC.n_mels), MEL_FLOOR, np.float32)
    start_s = centre_s - HALF_FRAME_S
    end_s = start_s + len(mel) / SPEC.frame_rate
    picture = {"start_s": round(start_s, 5), "end_s": round(end_s, 5), "top_hz": SPEC.sample_rate // 2}
    return {"mel": {"png": mel_picture(mel), **picture}, "f0": contour(f0, centre_s), "register": _register(f0)}


def _register(f0: np.ndarray) -> dict[str, float | None]:
    """Return the mean of F0 over the logarithm, and the bounds of the middle nine tenths."""
    octaves = np.log2(f0[f0 > 0])
    if not len(octaves):
        return {"mean_f0_hz": None, "low_f0_hz": None, "high_f0_hz": None}
    low, high = np.percentile(octaves, [5.0, 95.0])
    names = ("mean_f0_hz", "low_f0_hz", "high_f0_hz")
    return {name: round(float(2.0**value), 1) for name, value in zip(names, (octaves.mean(), low, high), strict=True)}


def _told(picture: dict[str, Any]) -> dict[str, Any]:
    """Complete the facts, and tell the picture in words."""
    told = {name: value for name, value in picture.items() if name != "register"}
    facts = picture["facts"] | picture["register"] | {"words": len(picture["words"])}
    sentences = [f"{SHOWN_KINDS[picture['kind']]} of {picture['total_s']:.2f} s."]
    if facts["mean_f0_hz"] is None:
        sentences.append("No voiced sound.")
    else:
        bounds = f"mostly {facts['low_f0_hz']:.0f} to {facts['high_f0_hz']:.0f} Hz"
        sentences.append(f"Mean F0 {facts['mean_f0_hz']:.0f} Hz, {bounds}.")
    if picture["before"] and picture["before"]["mean_f0_hz"]:
        sentences.append(f"Before: {picture['before']['mean_f0_hz']:.0f} Hz.")
    silent = "Silence." if facts["level_db"] is None else f"Level {facts['level_db']:.0f} dB."
    sentences.append(silent)
    words = [word for word, _, _ in picture["words"] if word]
    if words:
        more = " and more" if len(words) > MAX_TOLD else ""
        sentences.append(f"Words: {' '.join(words[:MAX_TOLD])}{more}.")
    if picture["labels"]:
        sentences.append(f"Heard: {', '.join(label for _, _, label, _ in picture['labels'][:12])}.")
    return told | {"facts": facts, "alt": " ".join([*sentences, picture["note"]]).strip()}


def _beginning(waveform: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Return what is shown as mono samples at 24 kHz, and how many seconds there are in all."""
    samples, rate = check_samples(waveform, sample_rate)
    shown = samples[: round(MAX_SHOWN_S * rate)]
    return np.ascontiguousarray(resample(shown, rate, SPEC.sample_rate)), len(samples) / rate


def _log_mel(waveform: np.ndarray) -> np.ndarray:
    padded = np.pad(waveform, (0, max(0, SPEC.n_fft - len(waveform))))  # reflection needs half a window
    with torch.inference_mode():
        return LogMel()(torch.from_numpy(padded)[None])[0].numpy()[: 1 + len(waveform) // SPEC.hop_length]
