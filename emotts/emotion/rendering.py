"""Map arousal, valence, dominance and category weights to acoustic controls relative to a neutral reading.

In: `avd [N, 3]` and `label_weights [N, K]` per phoneme token. Out: `Controls`. The coefficients condense Schröder,
"Speech and Emotion Research" (2003) with the MARY rules, Schröder et al., "Acoustic Correlates of Emotion Dimensions in
View of Speech Synthesis" (2001), Murray & Arnott (1993, 1995), Banse & Scherer (1996) and Goudbeek & Scherer, "Beyond
Arousal" (2010). Dominance speaks as a larger body, with lower formants and falling F0: Ohala, "An ethological
perspective on common cross-language utilization of F0 of voice" (1984).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from emotts.emotion.labels import LABELS

Array = NDArray[np.float64]

# Tilt and breathiness cost quality when several edits meet, so both get 0.7 of the published size.
VOICE_QUALITY_SCALE = 0.7
NEUTRAL_BREATHINESS = 0.15

LIMITS: dict[str, tuple[float, float]] = {
    "f0_shift_st": (-6.0, 8.0),
    "f0_range": (0.4, 2.0),
    "rate": (0.7, 1.45),
    "pause": (0.5, 2.0),
    "gain_db": (-9.0, 9.0),
    "tilt_db_per_oct": (-2.5, 3.0),
    "breathiness": (-0.15, 0.35),
    "formant": (0.92, 1.10),
    "jitter_pct": (0.0, 2.0),
    "tremor_st": (0.0, 0.6),
    "accent": (-0.3, 0.5),
    "energy_range": (0.6, 1.6),
    "final_slope_st": (-5.0, 6.0),
    "phrase_slope_st": (-4.0, 4.0),
}


@dataclass(frozen=True)
class Controls:
    """Acoustic edits of a neutral reading; arrays are [N], one value per phoneme token.

    Attributes:
        f0_shift_st: Shift of F0 in semitones.
        f0_range: Factor on the deviation of log F0 from its mean over the utterance.
        rate: Tempo factor of ordinary tokens, above 1 is faster.
        pause: Duration factor of pause tokens (space and punctuation).
        gain_db: Level relative to the neutral reading.
        tilt_db_per_oct: Spectral tilt around 1 kHz, positive is brighter.
        breathiness: Noise mixed into voiced speech relative to neutral: 0 none added, 1 as strong as the harmonics.
        formant: Factor on the formant frequencies.
        jitter_pct: Random change of F0 from period to period, per cent.
        tremor_st: Amplitude of a 5-8 Hz tremor of F0 in semitones.
        accent: Extra height of the F0 peak on stressed vowels, as a part of the voice's usual range (10 semitones).
        energy_range: Factor on the deviation of the loudness contour from its mean.
        final_slope_st: Rise or fall of F0 in semitones from the last stressed vowel to the end.
        phrase_slope_st: Change of F0 in semitones from the start of the utterance to its end, mean kept.
    """

    f0_shift_st: Array
    f0_range: Array
    rate: Array
    pause: Array
    gain_db: Array
    tilt_db_per_oct: Array
    breathiness: Array
    formant: Array
    jitter_pct: Array
    tremor_st: Array
    accent: Array
    energy_range: Array
    final_slope_st: float
    phrase_slope_st: float

    def __len__(self) -> int:
        return len(self.f0_shift_st)


@dataclass(frozen=True)
class Residual:
    """What a category adds to the mapping of its coordinates at weight 1; factors are natural logarithms."""

    f0_shift_st: float = 0.0
    log_f0_range: float = 0.0
    log_rate: float = 0.0
    log_pause: float = 0.0
    gain_db: float = 0.0
    tilt_db_per_oct: float = 0.0
    breathiness: float = 0.0
    log_formant: float = 0.0
    jitter_pct: float = 0.0
    tremor_st: float = 0.0
    accent: float = 0.0
    final_slope_st: float = 0.0


# Disgust, contempt and tenderness have positive arousal in self-reports although their voices are low and slow:
# three dimensions cannot express everything (Schröder 2001).
RESIDUALS: dict[str, Residual] = {
    "neutral": Residual(),
    "calm": Residual(log_rate=-0.04, final_slope_st=-0.5),
    "happy": Residual(log_formant=0.02, accent=0.15, final_slope_st=0.5),
    "excited": Residual(log_formant=0.01, accent=0.20, log_f0_range=0.08),
    "sad": Residual(
        log_rate=-0.08, log_pause=0.18, gain_db=-1.5, tilt_db_per_oct=-0.8, breathiness=0.08, final_slope_st=-1.0
    ),
    "angry": Residual(tilt_db_per_oct=0.7, jitter_pct=0.3, accent=0.20, gain_db=1.0, final_slope_st=-2.0),
    "fearful": Residual(f0_shift_st=2.0, log_f0_range=-0.29, tremor_st=0.4, breathiness=0.10, final_slope_st=1.5),
    "disgusted": Residual(
        f0_shift_st=-2.5, log_rate=-0.20, gain_db=-3.0, tilt_db_per_oct=-1.5, jitter_pct=0.5, final_slope_st=-2.5
    ),
    "surprised": Residual(log_f0_range=0.18, accent=0.10, final_slope_st=4.0),
    "contempt": Residual(
        f0_shift_st=-2.5, log_f0_range=-0.22, log_rate=-0.05, gain_db=-2.0, tilt_db_per_oct=-1.0, final_slope_st=-1.0
    ),
    "bored": Residual(log_f0_range=-0.15, log_rate=-0.05, final_slope_st=-0.5),
    "tender": Residual(f0_shift_st=-1.0, log_rate=-0.16, gain_db=-3.0, tilt_db_per_oct=-1.0, breathiness=0.25),
}
_RESIDUAL_FIELDS = tuple(f.name for f in fields(Residual))


def controls_for(avd: NDArray[np.floating], label_weights: NDArray[np.floating] | None = None) -> Controls:
    """Compute the controls of one utterance; the identity where everything is zero.

    Args:
        avd: [N, 3] arousal, valence, dominance in [-1, 1], already scaled by intensity.
        label_weights: [N, K] category weight x intensity in the order of `LABELS`; None means zeros.

    Returns:
        Controls within `LIMITS`. The two slopes belong to the utterance: the final one follows the last token.

    Raises:
        ValueError: If the shapes do not fit or a value is not finite.
    """
    avd, weights = _checked(avd, label_weights)
    a, v, d = avd.T  # each [N]
    residual = {name: weights @ _COLUMNS[name] for name in _RESIDUAL_FIELDS}  # each [N]
    quality = VOICE_QUALITY_SCALE
    breath = np.clip(NEUTRAL_BREATHINESS - 0.30 * a + 0.05 * v - 0.25 * d, 0.0, 1.0) - NEUTRAL_BREATHINESS
    jitter = 0.5 * np.maximum(-v, 0) * (0.5 + 0.5 * np.abs(a)) + 0.3 * np.maximum(-d, 0) * np.maximum(a, 0)
    values: dict[str, Array] = {
        "f0_shift_st": 4.5 * a + 1.0 * v - 1.0 * d + residual["f0_shift_st"],
        "f0_range": np.exp(0.60 * a + 0.15 * v - 0.10 * d + residual["log_f0_range"]),
        "rate": np.exp(0.28 * a + 0.08 * v + residual["log_rate"]),
        "pause": np.exp(-0.30 * a - 0.10 * v + residual["log_pause"]),
        "gain_db": 5.0 * a - 1.0 * v + 1.0 * d + residual["gain_db"],
        "tilt_db_per_oct": quality * (2.0 * a - 0.75 * v + residual["tilt_db_per_oct"]),
        "breathiness": quality * (breath + residual["breathiness"]),
        "formant": np.exp(0.03 * v + 0.01 * a - 0.04 * d + residual["log_formant"]),
        "jitter_pct": jitter + residual["jitter_pct"],
        "tremor_st": residual["tremor_st"],
        "accent": 0.10 * a - 0.05 * v + residual["accent"],
        "energy_range": 1.0 + 0.20 * a - 0.15 * v,
        "final_slope_st": -2.5 * d + residual["final_slope_st"],
        "phrase_slope_st": -4.0 * d,
    }
    limited = {name: np.clip(value, *LIMITS[name]) for name, value in values.items()}
    final_slope_st = float(limited.pop("final_slope_st")[-1])
    phrase_slope_st = float(limited.pop("phrase_slope_st").mean())
    return Controls(**limited, final_slope_st=final_slope_st, phrase_slope_st=phrase_slope_st)


def _checked(avd: NDArray[np.floating], label_weights: NDArray[np.floating] | None) -> tuple[Array, Array]:
    points = np.asarray(avd, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(f"avd must have the shape [N, 3] with N >= 1; got {list(points.shape)}")
    weights = np.zeros((len(points), len(LABELS))) if label_weights is None else np.asarray(label_weights, np.float64)
    if weights.shape != (len(points), len(LABELS)):
        raise ValueError(f"label_weights must have the shape {[len(points), len(LABELS)]}; got {list(weights.shape)}")
    if not (np.isfinite(points).all() and np.isfinite(weights).all()):
        raise ValueError("avd and label_weights must be finite; got NaN or infinity")
    return points, weights


def _residual_column(name: str) -> Array:
    return np.array([getattr(RESIDUALS[label], name) for label in LABELS])


_COLUMNS: dict[str, Array] = {name: _residual_column(name) for name in _RESIDUAL_FIELDS}
