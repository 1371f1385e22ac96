"""Emotional speech synthesis and voice conversion, with every control measured.

Axis letters used everywhere: B batch, N phoneme tokens, T mel frames, L samples, M mel bins, C channels, D speaker
embedding, E emotion embedding, K emotion labels, H heads. Masks are boolean, True = real.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotts.loading import load
    from emotts.pipeline import EmoTTS, Result

__version__ = "0.1.0"
__all__ = ["EmoTTS", "Result", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the pipeline on first use, so that `import emotts` stays fast."""
    if name in ("EmoTTS", "Result"):
        from emotts import pipeline

        return getattr(pipeline, name)
    if name == "load":
        from emotts.loading import load

        return load
    raise AttributeError(f"module 'emotts' has no attribute {name!r}")
