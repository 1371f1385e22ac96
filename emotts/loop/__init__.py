"""The closed loop at run time: speech that was listened to, and corrected until it fits.

correction.py holds the method, synthesis.py applies it to text, conversion.py to recordings. What the package itself offers is
that of synthesis.
"""

from emotts.loop.correction import Outcome, Similarity, Try, asked_place
from emotts.loop.synthesis import check, check_steerable, hold_voice, soften_request, steer, voice_similarity

__all__ = [
    "Outcome", "Similarity", "Try", "asked_place", "check", "check_steerable", "hold_voice", "soften_request", "steer",
    "voice_similarity",
]  # fmt: skip
