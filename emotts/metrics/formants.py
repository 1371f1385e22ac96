"""Formants of voiced frames: power spectra come in, the resonances of the vocal tract go out.

Linear prediction after Makhoul, "Linear prediction: a tutorial review" (1975), solved on the power spectrum below 5.5 kHz. The
spacing of formants tells the apparent length of the tract (Reby & McComb 2003), which dominance makes longer and a smile shorter.
"""

import numpy as np

LIMIT_HZ = 5_500.0
ORDER = 11  # one pair of poles per formant below the limit, and one pole for the tilt
N_FORMANTS = 4
LOWEST_HZ, HIGHEST_HZ = 180.0, 5_200.0
WIDEST_HZ = 500.0  # a wider resonance shapes the tilt and is no formant
PRE_EMPHASIS = 0.97
NOISE = 1e-4  # of the power, against dips between the harmonics of high voices


def track_formants(power: np.ndarray, bin_hz: np.ndarray) -> np.ndarray:
    """Return the first formants [V, 4] in Hz, nan where fewer than four resonances are found.

    Args:
        power: spectra of voiced frames [V, bins].
        bin_hz: frequency of each bin, from 0, evenly spaced.
    """
    keep = bin_hz <= LIMIT_HZ
    rate = 2.0 * float(bin_hz[keep][-1])
    omega = 2.0 * np.pi * bin_hz[keep] / rate
    lifted = power[:, keep] * (1.0 + PRE_EMPHASIS**2 - 2.0 * PRE_EMPHASIS * np.cos(omega))
    correlation = np.fft.irfft(lifted, axis=1)[:, : ORDER + 1]  # [V, ORDER + 1]
    correlation[:, 0] *= 1.0 + NOISE
    lag = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER)[None, :])
    heard = correlation[:, 0] > 0
    found = np.full((len(power), N_FORMANTS), np.nan)
    if not heard.any():
        return found
    predictor = np.linalg.solve(correlation[heard][:, lag], correlation[heard, 1:, None])[..., 0]  # [V, ORDER]
    companion = np.zeros((len(predictor), ORDER, ORDER))
    companion[:, 0] = predictor
    companion[:, 1:, :-1] = np.eye(ORDER - 1)
    roots = np.linalg.eigvals(companion)
    hz = np.angle(roots) * rate / (2.0 * np.pi)
    width_hz = -np.log(np.abs(roots) + 1e-12) * rate / np.pi
    is_formant = (hz > LOWEST_HZ) & (hz < HIGHEST_HZ) & (width_hz < WIDEST_HZ)
    order = np.sort(np.where(is_formant, hz, np.inf), axis=1)[:, :N_FORMANTS]
    found[heard] = np.where(np.isfinite(order).all(axis=1)[:, None], order, np.nan)
    return found


def formant_spacing(formants: np.ndarray) -> float:
    """Return the spacing in Hz of the tube that fits formants [4] best: least squares of F_i on i - 1/2."""
    odd = np.arange(len(formants)) + 0.5
    return float(odd @ formants / (odd @ odd))
