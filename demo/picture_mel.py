"""A mel as a small picture that fits into a page: natural-log magnitudes [T, M] in, a PNG data URI out."""

import base64
import io

import numpy as np
from PIL import Image

MEL_FLOOR, MEL_CEILING = -9.0, 2.0  # natural log; fixed, so that the colours of two pictures can be compared
MAX_COLUMNS = 1_500
LEVELS = 48  # finer steps are not seen, and cost a third more bytes
LUMINOUS = (  # colours of even steps in lightness, after magma of S. van der Walt and N. Smith
    (0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 80, 100), (251, 135, 97),
    (254, 194, 135), (252, 253, 191),
)  # fmt: skip


def mel_picture(mel: np.ndarray) -> str:
    """Return a PNG as a data URI, low bands at the bottom, one pixel for each frame and band.

    Where there are more than MAX_COLUMNS frames, neighbours share a column that shows their mean.

    Args:
        mel: natural log magnitudes [T, M], T at least 1.
    """
    columns = pooled(np.asarray(mel, np.float32))
    scaled = (columns - MEL_FLOOR) / (MEL_CEILING - MEL_FLOOR) * (LEVELS - 1)
    shades = np.clip(np.rint(scaled), 0, LEVELS - 1).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(shades.T[::-1]))  # [T, M] -> [M, T], high bands first
    image.putpalette(palette().tobytes())
    png = io.BytesIO()
    image.save(png, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode("ascii")


def palette() -> np.ndarray:
    """Return the colours of all levels [LEVELS, 3] as bytes."""
    places = np.linspace(0.0, 1.0, len(LUMINOUS))
    levels = np.linspace(0.0, 1.0, LEVELS)
    channels = [np.interp(levels, places, channel) for channel in np.array(LUMINOUS, np.float64).T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def pooled(mel: np.ndarray) -> np.ndarray:
    """Return [T, M] as at most MAX_COLUMNS rows, each the mean of as many neighbours as all others; the last may be of fewer."""
    share = -(-len(mel) // MAX_COLUMNS)
    if share == 1:
        return mel
    firsts = np.arange(0, len(mel), share)
    counts = np.minimum(share, len(mel) - firsts)
    return np.add.reduceat(mel, firsts, axis=0) / counts[:, None]
