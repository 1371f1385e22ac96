"""The hibari teacher: an open network that returns spectral envelopes instead of samples, so everything can be steered.

In: phoneme tokens, controls and a reading. Out: a `Rendition`. The network of the `hibari-tts` package (Apache-2.0) is
cut into three stages in memory: durations, F0, envelopes. Between the stages we set tempo and F0; after them tilt,
breathiness and formants. Five voices come from one by moving register, formants and tilt.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC
from emotts.emotion.rendering import Controls
from emotts.simulation.contour import edit_f0, spread_over_frames
from emotts.simulation.delivery import duration_factors, finish_rendition, whole_units
from emotts.simulation.readings import Reading
from emotts.simulation.teachers import Rendition, VoiceInfo, VoiceShape
from emotts.text.symbols import PUNCTUATION, SIL, SPACE, split_stress

Array = NDArray[np.float64]
Envelope = NDArray[np.float32]

UNIT_LENGTH = 600  # samples per unit of duration
ENVELOPE_HOP = 300  # samples per frame of the envelopes
N_FFT = 1200
BOUNDARY_LEAD = 1_000  # samples by which sounds come before the network's token boundaries, measured at tempo 0.75-1.3
MIN_VOICED_HZ = 40.0
VOICED_FLOOR = 1e-4  # frames 40 dB below the loudest are not voiced
CREAK_BALANCE = 10.0  # power below 1.5 kHz over power above 3 kHz from which a frame without harmonics is creak
EDGE_MIN = 0.4  # of the median F0: lower values are slides to 0 Hz, not voice
EDGE_DROP = 0.85  # an edge frame below this part of its neighbour is a slide too
PAD_ID = 0

_DURATION, _HIDDEN, _UNITS = "/Sub_output_0", "/Transpose_55_output_0", "/Clip_output_0"
_EXPANDED = ["/ReduceSum_1_output_0", "/Reshape_41_output_0"]
_ENVELOPES = ["lh", "theta", "ln", "lr", "phi"]

_PHONES = {"oʊ": "O", "aɪ": "I", "eɪ": "A", "aʊ": "W", "ɔɪ": "Y", "d͡ʒ": "ʤ", "t͡ʃ": "ʧ", "t͡s": "ts"}


SHAPES: dict[str, VoiceShape] = {  # chosen so that a speaker encoder tells them apart: at most 0.87 alike
    "heart": VoiceShape(),
    "ada": VoiceShape(0.93, -4.0, 0.5),
    "pip": VoiceShape(1.13, 4.0, 1.0),
    "max": VoiceShape(0.84, -7.5, 1.0),
    "otto": VoiceShape(0.96, -11.0, -1.2),
}


def _info(name: str, gender: str, description: str) -> VoiceInfo:
    return VoiceInfo(name, gender, "American English", "hibari", "Apache-2.0", description)


class HibariTeacher:
    """Five American English voices from the `hibari-tts` network."""

    voices: dict[str, VoiceInfo] = {
        "heart": _info("heart", "female", "clear, warm; the network's own voice"),
        "ada": _info("ada", "female", "alto, darker"),
        "pip": _info("pip", "child", "light and high"),
        "max": _info("max", "male", "large, clear, low"),
        "otto": _info("otto", "male", "slight, dark, deep"),
    }

    def __init__(self) -> None:
        self._durations, self._pitch, self._envelopes, self._vocabulary = _load_stages()

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
        from hibari import dsp

        generator = np.random.default_rng(seed)
        ids, owners = teacher_ids(tokens, self._vocabulary)
        network_ids = np.array([ids], np.int64)
        units, hidden = self._durations.run(None, {"ids": network_ids})
        units = whole_units(units * duration_factors(tokens, controls, reading)[owners])
        timed = {_UNITS: units.astype(np.float32), _HIDDEN: hidden, "ids": network_ids}
        natural_f0, *expanded = self._pitch.run(None, timed)
        boundaries = token_boundaries(np.bincount(owners, units, len(tokens)))  # [N + 1]
        times = (np.arange(natural_f0.shape[1]) + 0.5) * ENVELOPE_HOP  # samples
        spoken_f0 = clean_voicing_edges(natural_f0[0])
        rate = SPEC.sample_rate
        f0 = edit_f0(
            spoken_f0, times / rate, tokens, boundaries / rate, controls, reading, generator, shape.register_st
        )
        network_f0 = np.where(f0 > 0, f0, np.minimum(natural_f0[0], MIN_VOICED_HZ)).astype(np.float32)[None]
        inputs = {"f0": network_f0, "ids": network_ids, **dict(zip(_EXPANDED, expanded, strict=True))}
        envelopes = [envelope[0] for envelope in self._envelopes.run(None, inputs)]
        envelopes = _edit_envelopes(envelopes, f0, times, boundaries, controls, shape)
        waveform = dsp.synth(*envelopes, f0.astype(np.float32), generator)
        audible_f0 = np.where(is_audibly_voiced(envelopes, f0), f0, 0.0)
        return finish_rendition(waveform, audible_f0, times, tokens, boundaries, controls, reading)


def teacher_ids(tokens: list[str], vocabulary: dict[str, int]) -> tuple[list[int], NDArray[np.int64]]:
    """Spell our tokens in the network's alphabet.

    Args:
        tokens: Tokens with `<sil>` at both ends.
        vocabulary: The network's ids by character.

    Returns:
        The ids, and int64 of the same length: which token each id belongs to.

    Raises:
        ValueError: If a token has no counterpart.
    """
    ids: list[int] = []
    owners: list[int] = []
    for i, token in enumerate(tokens):
        spelling = _spell(token, has_next=i + 1 < len(tokens) and tokens[i + 1] != SIL)
        missing = [c for c in spelling if c not in vocabulary]
        if missing:
            raise ValueError(f"token {token!r} cannot be spoken by hibari: {missing} is not in its alphabet")
        new = [PAD_ID] if token == SIL else [vocabulary[c] for c in spelling]
        ids += new
        owners += [i] * len(new)
    return ids, np.array(owners, np.int64)


def clean_voicing_edges(f0: NDArray[np.floating]) -> Array:
    """Decide what is voiced, and undo the network's slide from and to 0 Hz at the edges of voiced stretches.

    Args:
        f0: [F] as the network gives it: near 0 in unvoiced frames, halfway in frames that are partly voiced.

    Returns:
        [F] Hz, 0 where unvoiced; an edge frame takes over the value of its inner neighbour if it lies far below it.
    """
    clean = np.where(f0 > MIN_VOICED_HZ, f0, 0.0).astype(np.float64)
    if not clean.any():
        return clean
    clean[clean < EDGE_MIN * np.median(clean[clean > 0])] = 0.0
    padded = np.pad(clean, 2)
    before, after = padded[1:-3], padded[3:-1]
    inner = np.where(before == 0, after, np.where(after == 0, before, 0.0))
    return np.where((clean > 0) & (clean < EDGE_DROP * inner), inner, clean)


def is_audibly_voiced(envelopes: list[Envelope], f0: Array) -> NDArray[np.bool_]:
    """Tell the frames in which F0 is heard: the network continues F0 through silences and voiceless sounds.

    Args:
        envelopes: Harmonic, phase, noise, free, free phase, each [601, F].
        f0: [F] Hz, 0 where unvoiced.

    Returns:
        [F], True where harmonics prevail below 3 kHz, or where the free branch speaks with a low spectrum (creak).
    """
    harmonic, _, noise, free, _ = (np.minimum(envelope, 7.0) for envelope in envelopes)
    hz_per_bin = SPEC.sample_rate / N_FFT
    low, middle = int(1_500 / hz_per_bin), int(3_000 / hz_per_bin)
    # A harmonic of amplitude 1 fills 1.5 bins of the Hann window; the noise of the synthesis has variance 2 per bin.
    harmonic_power = 1.5 * np.exp(2.0 * harmonic) * hz_per_bin / np.maximum(f0, MIN_VOICED_HZ)
    other_power = 2.0 * np.exp(2.0 * noise) + np.exp(2.0 * free)
    total = harmonic_power + other_power
    is_loud = total[:middle].sum(axis=0) > VOICED_FLOOR * total[:middle].sum(axis=0).max(initial=0.0)
    is_harmonic = harmonic_power[:middle].sum(axis=0) > other_power[:middle].sum(axis=0)
    is_dark = total[:low].sum(axis=0) > CREAK_BALANCE * total[middle:].sum(axis=0)
    return (f0 > 0) & is_loud & (is_harmonic | is_dark)


def token_boundaries(units: NDArray[np.integer] | NDArray[np.floating]) -> Array:
    """Return where tokens really begin and end.

    Args:
        units: [N] units of duration per token.

    Returns:
        [N + 1] in samples; all but the ends lie `BOUNDARY_LEAD` before the network's own.
    """
    boundaries = np.concatenate([[0.0], np.cumsum(units)]) * UNIT_LENGTH
    boundaries[1:-1] = np.maximum(boundaries[1:-1] - BOUNDARY_LEAD, 0.0)
    return boundaries


@lru_cache(maxsize=1)
def _load_stages() -> tuple[Any, Any, Any, dict[str, int]]:
    import json
    from importlib.resources import files

    import onnx
    import onnxruntime
    from onnx.utils import Extractor

    assets = files("hibari") / "assets"
    graph = onnx.load_model_from_string((assets / "hibari.onnx").read_bytes())
    extractor = Extractor(onnx.shape_inference.infer_shapes(graph))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3

    def stage(inputs: list[str], outputs: list[str]) -> Any:
        model = extractor.extract_model(inputs, outputs).SerializeToString()
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    return (
        stage(["ids"], [_DURATION, _HIDDEN]),
        stage(["ids", _UNITS, _HIDDEN], ["f0", *_EXPANDED]),
        stage(["ids", "f0", *_EXPANDED], _ENVELOPES),
        json.loads((assets / "vocab.json").read_text(encoding="utf-8")),
    )


def _spell(token: str, has_next: bool) -> str:
    if token in (SIL, SPACE):
        return "" if token == SIL else " "
    if token in PUNCTUATION:
        return token + (" " if has_next else "")
    phoneme, stress = split_stress(token)
    mark = ("", "ˈ", "ˌ")[stress]
    if phoneme == "ɚ":
        return mark + ("ɜɹ" if stress else "əɹ")
    return mark + _PHONES.get(phoneme, phoneme)


def _edit_envelopes(
    envelopes: list[Envelope],
    f0: Array,
    times: Array,
    boundaries: Array,
    controls: Controls,
    shape: VoiceShape,
) -> list[Envelope]:
    """Apply formants, tilt and breathiness to the envelopes [601, F]."""

    def per_frame(values: Array) -> Array:
        return spread_over_frames(values, boundaries, times)

    harmonic, phase, noise, free, free_phase = warp_frequency(envelopes, shape.formant * per_frame(controls.formant))
    slope = shape.tilt_db_per_oct + per_frame(controls.tilt_db_per_oct)
    tilt = _tilt_curve()[:, None] * slope[None, :].astype(np.float32)  # [601, F]
    harmonic, noise, free = harmonic + tilt, noise + tilt, free + tilt
    breath = (per_frame(controls.breathiness) * (f0 > 0)).astype(np.float32)
    # The network's noise lies far below its harmonics: breath is set relative to those, weaker at low frequencies.
    added = np.logaddexp(harmonic, free) + np.log(np.maximum(breath, 1e-6)) + _breath_shape()[:, None]
    noise = np.logaddexp(noise, added).astype(np.float32)
    free = (free + 2.3 * np.minimum(breath, 0.0)).astype(
        np.float32
    )  # a tense voice loses part of its irregular component, up to 2 dB
    return [harmonic, phase, noise, free, free_phase]


def warp_frequency(envelopes: list[Envelope], factors: Array) -> list[Envelope]:
    """Stretch envelopes [601, F] along frequency by `factors` [F]; magnitudes are interpolated, phases are not."""
    if np.abs(factors - 1.0).max() < 1e-3:
        return list(envelopes)
    n_bins = envelopes[0].shape[0]
    source = np.minimum(np.arange(n_bins)[:, None] / factors[None, :], n_bins - 1.0)  # [601, F]
    low = np.minimum(source.astype(np.int64), n_bins - 2)
    weight = (source - low).astype(np.float32)
    nearest = low + (weight > 0.5)
    is_phase = (False, True, False, False, True)
    warped = []
    for envelope, phase in zip(envelopes, is_phase, strict=True):
        if phase:
            warped.append(np.take_along_axis(envelope, nearest, 0))
        else:
            below, above = np.take_along_axis(envelope, low, 0), np.take_along_axis(envelope, low + 1, 0)
            warped.append(below + weight * (above - below))
    return warped


def _tilt_curve() -> NDArray[np.float32]:
    """Natural log of amplitude per dB/octave of tilt, pivot 1 kHz, constant below 125 Hz and above 8 kHz: [601]."""
    hz = np.arange(N_FFT // 2 + 1) * SPEC.sample_rate / N_FFT
    octaves = np.log2(np.clip(hz, 125.0, 8_000.0) / 1_000.0)
    return (octaves * np.log(10.0) / 20.0).astype(np.float32)


def _breath_shape() -> NDArray[np.float32]:
    """Natural log of the weight of added breath noise: -12 dB below 500 Hz, 0 dB above 2 kHz: [601]."""
    hz = np.arange(N_FFT // 2 + 1) * SPEC.sample_rate / N_FFT
    weight_db = np.interp(np.log2(np.maximum(hz, 1.0)), np.log2([500.0, 2_000.0]), [-12.0, 0.0])
    return (weight_db * np.log(10.0) / 20.0).astype(np.float32)
