"""What a judge hears in a recording of any length, with an analysis of the voice: a file comes in, a `Recognition` goes out.

A recording is read and judged in pieces, so that memory stays small however long it is.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.heard import Heard, Judge
from emotts.metrics.voice import VoiceAnalysis, summarise
from emotts.metrics.voice_frames import join_frames, measure_frames
from emotts.recordings import duration_of, read_pieces

PIECE_S = 30.0  # what is judged at once
# name in VoiceAnalysis -> (heading of the table, words of the block, unit, decimals)
VOICE_COLUMNS: dict[str, tuple[str, str, str, int]] = {
    "f0_hz": ("F0", "F0, median", "Hz", 0),
    "f0_range_st": ("range", "F0 range", "st", 1),
    "f0_slope_st_per_s": ("slope", "F0 slope", "st/s", 1),
    "level_db": ("level", "level", "dBFS", 1),
    "level_sd_db": ("l.sd", "level, standard deviation", "dB", 1),
    "syllable_rate": ("syl/s", "syllables", "/s", 1),
    "pause_count": ("paus", "pauses", "", 0),
    "pause_share": ("p.sh", "share of pauses", "", 2),
    "pause_mean_s": ("p.mn", "pause, mean", "s", 2),
    "tilt_db_per_oct": ("tilt", "spectral tilt", "dB/oct", 1),
    "alpha_ratio_db": ("alpha", "alpha ratio", "dB", 1),
    "hammarberg_db": ("hamm", "Hammarberg index", "dB", 1),
    "hnr_db": ("HNR", "harmonics to noise", "dB", 1),
    "jitter_pct": ("jitt", "jitter", "%", 2),
    "shimmer_pct": ("shim", "shimmer", "%", 1),
}


@dataclass(frozen=True)
class Recognition:
    """What was found in one recording.

    Attributes:
        path: of the recording.
        duration_s: of the recording.
        heard: the judge's answer to the whole.
        windows: its answers to every half second, where they were asked for.
        voice: analysis of the voice.
    """

    path: Path
    duration_s: float
    heard: Heard
    windows: list[Heard]
    voice: VoiceAnalysis


def recognize_file(
    judge: Judge, path: Path, wants_windows: bool = False, told: Callable[[float], None] | None = None
) -> Recognition:
    """Judge one recording piece by piece.

    Args:
        judge: who hears. path: of the recording. wants_windows: judge every half second too.
        told: is told after each piece which part of the recording was heard.

    Raises:
        ValueError: it cannot be read, or no piece of it can be judged.
        FileNotFoundError: it does not exist.
    """
    rate, start_s = SPEC.sample_rate, 0.0
    frames, weights = [], []
    pieces: list[Heard] = []
    windows: list[Heard] = []
    refusal: ValueError | None = None
    for waveform in read_pieces(path, rate, PIECE_S):
        measured = measure_frames(waveform, rate)
        frames.append(replace(measured, bands_db=measured.bands_db[:, :0]))  # the largest part, needed no more
        try:
            pieces.append(_shift(judge.hear(waveform, rate), start_s))
            weights.append(max(1, int(measured.is_speech.sum())))
            if wants_windows:
                windows.extend(_shift(heard, start_s) for heard in judge.windows(waveform, rate))
        except ValueError as error:  # a silent half minute does not spoil the rest
            refusal = refusal or error
        start_s += len(waveform) / rate
        if told is not None:
            told(min(1.0, start_s / duration_of(path)))
    if not pieces:
        raise refusal or ValueError("the recording holds no samples.")
    return Recognition(path, start_s, join_heard(pieces, weights), windows, summarise(join_frames(frames)))


def join_heard(pieces: Sequence[Heard], weights: Sequence[float]) -> Heard:
    """Average what was heard in consecutive pieces; the standard deviations then hold the change over time too.

    Args:
        pieces: at least one.
        weights: of each; seconds or frames of speech.
    """
    if len(pieces) == 1:
        return pieces[0]
    share = np.asarray(weights, np.float64) / np.sum(weights)
    points = np.array([piece.avd for piece in pieces])
    mean = share @ points
    std = np.sqrt(share @ (np.array([piece.avd_std for piece in pieces]) ** 2 + (points - mean) ** 2))
    embedding = share @ np.array([piece.embedding for piece in pieces])
    norm = max(float(np.linalg.norm(embedding)), 1e-9)
    return Heard(
        start_s=pieces[0].start_s,
        end_s=pieces[-1].end_s,
        labels={name: float(share @ [piece.labels[name] for piece in pieces]) for name in pieces[0].labels},
        avd=(float(mean[0]), float(mean[1]), float(mean[2])),
        avd_std=(float(std[0]), float(std[1]), float(std[2])),
        embedding=(embedding / norm).astype(np.float32),
        is_uncertain=bool(share @ [piece.is_uncertain for piece in pieces] >= 0.5),
    )


def to_json(recognition: Recognition, judge: str, with_windows: bool) -> str:
    """Return one line of JSON."""
    facts: dict[str, Any] = {
        "path": str(recognition.path),
        "judge": judge,
        "duration_s": round(recognition.duration_s, 3),
        **recognition.heard.to_dict(),
        "voice": recognition.voice.to_dict(),
    }
    if with_windows:
        facts["windows"] = [heard.to_dict() for heard in recognition.windows]
    return json.dumps(facts)


def _shift(heard: Heard, seconds: float) -> Heard:
    return replace(heard, start_s=heard.start_s + seconds, end_s=heard.end_s + seconds)
