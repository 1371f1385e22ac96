"""Pictures for TensorBoard, without a plotting library: a mel or an F0 track goes in, pixels come out."""

import numpy as np

ROWS = 200  # pixels in height
LOWEST_HZ, HIGHEST_HZ = 60.0, 600.0
DEPTH = 9.0  # nepers below the loudest that are black


def mel_picture(mel: np.ndarray) -> np.ndarray:
    """Return a log mel [T, M] as grey pixels uint8 [ROWS, T, 3], low bands at the bottom."""
    shown = np.clip(1.0 + (mel - mel.max()) / DEPTH, 0.0, 1.0)
    rows = np.linspace(mel.shape[1] - 1, 0, ROWS).round().astype(int)
    grey = (255.0 * shown[:, rows].T).astype(np.uint8)  # [ROWS, T]
    return np.repeat(grey[:, :, None], 3, axis=2)


def f0_picture(f0: np.ndarray) -> np.ndarray:
    """Return F0 [T] in Hz as a line of pixels uint8 [ROWS, T, 3] from 60 to 600 Hz, logarithmic; unvoiced frames are empty."""
    picture = np.full((ROWS, len(f0), 3), 255, np.uint8)
    place = np.log(np.clip(f0, LOWEST_HZ, HIGHEST_HZ) / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ)
    middle = ((1.0 - place) * (ROWS - 3) + 1).astype(int)
    for t in np.flatnonzero(f0 > 0):
        picture[middle[t] - 1 : middle[t] + 2, t] = (200, 30, 30)
    return picture
