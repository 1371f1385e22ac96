"""DNSMOS: a waveform comes in, predicted opinion scores (1 to 5) of the whole, the speech and the background go out.

The ONNX network is the one inside the package speechmos, run directly. Reference: Reddy et al., "DNSMOS P.835: a
non-intrusive perceptual objective speech quality metric to evaluate noise suppressors" (2022), arXiv 2110.01763.
"""

from dataclasses import asdict, dataclass

import numpy as np

from emotts.audio import SPEC, resample

DNSMOS_RATE = 16_000
WINDOW_S = 9.01
SIG_POLYNOMIAL = (-0.08397278, 1.22083953, 0.0052439)
BAK_POLYNOMIAL = (-0.13166888, 1.60915514, -0.39604546)
OVRL_POLYNOMIAL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class QualityScores:
    """Predicted mean opinion scores: overall, speech, background (dns_overall is VERSA's name)."""

    dns_overall: float
    dns_sig: float
    dns_bak: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


class DNSMOS:
    """The P.835 network of speechmos, loaded once."""

    def __init__(self, threads: int = 1) -> None:
        from importlib.resources import files

        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        # speechmos itself imports librosa and more on import; only its folder is needed.
        path = files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, waveform: np.ndarray, sample_rate: int = SPEC.sample_rate) -> QualityScores:
        """Score a waveform [L]: the mean over windows of 9.01 s, one second apart.

        A short waveform is repeated until it fills a window.

        Raises:
            ValueError: the waveform is empty.
        """
        audio = np.clip(resample(np.asarray(waveform, np.float32), sample_rate, DNSMOS_RATE), -1.0, 1.0)
        windows = cut_windows(audio)
        # one at a time, as the public code does: larger batches need memory and are not faster on one thread
        raw = np.concatenate([self._session.run(None, {"input_1": window[None, :]})[0] for window in windows])  # [W, 3]
        sig, bak, ovrl = (
            float(np.mean(np.polyval(p, raw[:, i])))
            for i, p in enumerate((SIG_POLYNOMIAL, BAK_POLYNOMIAL, OVRL_POLYNOMIAL))
        )
        return QualityScores(ovrl, sig, bak)


def cut_windows(audio: np.ndarray) -> np.ndarray:
    """Cut audio [L] at 16 kHz into windows [W, 144160] as speechmos does, doubling what is too short until it fits."""
    if len(audio) == 0:
        raise ValueError("DNSMOS needs audio; the waveform is empty.")
    length = int(WINDOW_S * DNSMOS_RATE)
    while len(audio) < length:
        audio = np.append(audio, audio)
    n_hops = int(np.floor(len(audio) / DNSMOS_RATE) - WINDOW_S) + 1
    # the public code's rounding, which loses a window here and there, is kept: scores must be comparable
    windows = [audio[i * DNSMOS_RATE : int((i + WINDOW_S) * DNSMOS_RATE)] for i in range(n_hops)]
    return np.stack([window[:length] for window in windows if len(window) >= length]).astype(np.float32)
