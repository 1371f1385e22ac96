"""The flite teacher: small statistical voices of four people, for variety of articulation rather than for beauty.

In: phoneme tokens, controls and a reading. Out: a `Rendition`. The program of Debian's package `flite` (BSD-like licence) is given
phones and tells when each ends; tempo is set for the utterance, F0, formants, tilt and breath are edits of the signal as for
piper. Reference: Black, "CLUSTERGEN: A statistical parametric synthesizer using trajectory modeling" (2006).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC, load_audio
from emotts.emotion.rendering import Controls
from emotts.simulation.contour import edit_f0, spread_over_frames
from emotts.simulation.delivery import duration_factors, finish_rendition
from emotts.simulation.readings import Reading
from emotts.simulation.signal import add_breath, exchange_f0, shape_spectrum, track_f0_range
from emotts.simulation.teachers import Rendition, VoiceShape
from emotts.text.symbols import PUNCTUATION, SIL, SPACE, split_stress

Array = NDArray[np.float64]

F0_RANGES_HZ = {"slt": (110.0, 300.0), "rms": (60.0, 190.0), "awb": (70.0, 230.0), "kal16": (60.0, 180.0)}
TIMEOUT_S = 30.0
_PHONES = {
    "ɪ": "ih", "ɛ": "eh", "æ": "ae", "ɑ": "aa", "ɔ": "ao", "ʊ": "uh", "ʌ": "ah", "ə": "ax", "ɚ": "er", "i": "iy", "u": "uw",
    "eɪ": "ey", "aɪ": "ay", "ɔɪ": "oy", "oʊ": "ow", "aʊ": "aw", "m": "m", "n": "n", "ŋ": "ng", "l": "l", "ɹ": "r", "j": "y",
    "w": "w", "ɾ": "d", "b": "b", "d": "d", "ɡ": "g", "p": "p", "t": "t", "k": "k", "ʔ": "t", "v": "v", "ð": "dh", "z": "z",
    "ʒ": "zh", "f": "f", "θ": "th", "s": "s", "ʃ": "sh", "h": "hh", "x": "hh", "d͡ʒ": "jh", "t͡ʃ": "ch",
}  # fmt: skip


class FliteTeacher:
    """The voices slt, rms, awb (Scottish) and kal16 of flite, each with a shape."""

    def __init__(self) -> None:
        if shutil.which("flite") is None:
            raise FileNotFoundError("the program flite is not installed; on Debian: apt install flite.")

    def speak_shaped(
        self, tokens: list[str], voice: str, shape: VoiceShape, controls: Controls, reading: Reading, seed: int
    ) -> Rendition:
        """Speak tokens of one utterance; the same arguments give the same samples.

        Raises:
            ValueError: If the voice is unknown, or a token has no counterpart.
        """
        if voice not in F0_RANGES_HZ:
            raise ValueError(f"voice must be one of {', '.join(F0_RANGES_HZ)}; got {voice!r}")
        generator = np.random.default_rng(seed)
        stretch = float(np.mean(duration_factors(tokens, controls, reading)))
        waveform, boundaries = self._read(tokens, voice, stretch)
        spoken_f0 = track_f0_range(waveform, *F0_RANGES_HZ[voice])  # [T]
        times: Array = np.arange(len(spoken_f0), dtype=np.float64) * SPEC.hop_length  # samples
        rate = SPEC.sample_rate
        f0 = edit_f0(
            spoken_f0, times / rate, tokens, boundaries / rate, controls, reading, generator, shape.register_st
        )

        def per_frame(values: Array) -> Array:
            return spread_over_frames(values, boundaries, times)

        waveform = exchange_f0(waveform, spoken_f0, f0)
        formant = shape.formant * per_frame(controls.formant)
        waveform = shape_spectrum(waveform, shape.tilt_db_per_oct + per_frame(controls.tilt_db_per_oct), formant)
        waveform = add_breath(waveform, f0, per_frame(controls.breathiness), generator)
        return finish_rendition(waveform, f0, times, tokens, boundaries, controls, reading)

    def _read(self, tokens: list[str], voice: str, stretch: float) -> tuple[NDArray[np.float32], Array]:
        """Return the waveform [L] at 24 kHz and the token boundaries [N + 1] in samples."""
        phones = [phone for token in tokens for phone in flite_phones(token)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spoken.wav"
            command = [
                "flite",
                "-voice",
                voice,
                "--setf",
                f"duration_stretch={stretch:.4f}",
                "-p",
                " ".join(phones),
                "-psdur",
            ]
            done = subprocess.run(
                [*command, "-o", str(path)], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
            )
            waveform = load_audio(path)
        ends = [float(item.rpartition(":")[2]) * SPEC.sample_rate for item in done.stdout.split()]
        if len(ends) != len(phones):
            raise ValueError(f"flite spoke {len(ends)} of {len(phones)} phones")
        boundaries, k = [0.0], 0
        for token in tokens:
            k += len(flite_phones(token))
            boundaries.append(ends[k - 1] if k else 0.0)
        edges = np.minimum(np.array(boundaries), len(waveform))
        edges[-1] = len(waveform)
        return waveform, edges


def flite_phones(token: str) -> list[str]:
    """Return what flite calls a token: a phone, a pause, or nothing for the space between words.

    Raises:
        ValueError: If there is no such phone.
    """
    if token == SPACE:
        return []
    if token == SIL or token in PUNCTUATION:
        return ["pau"]
    phoneme, stress = split_stress(token)
    if phoneme not in _PHONES:
        raise ValueError(f"token {token!r} cannot be spoken by flite")
    return [_PHONES[phoneme] + ("1" if stress == 1 else "")]
