"""Emotion label names and their places in arousal-valence-dominance space.

Means are Russell & Mehrabian, "Evidence for a three-factor theory of emotions" (1977), J. Research in Personality 11,
273-294, re-ordered to (arousal, valence, dominance). `calm` takes their term *relaxed*, `tender` *affectionate* with the
arousal lowered to the published vocal pattern of tenderness (soft, slow; Juslin & Laukka 2003), `neutral` is the origin.
"""

LABELS: tuple[str, ...] = (
    "neutral", "calm", "happy", "excited", "sad", "angry", "fearful", "disgusted", "surprised", "contempt", "bored",
    "tender",
)  # fmt: skip

DIMENSIONS: tuple[str, ...] = ("arousal", "valence", "dominance")

AVD_MEANS: dict[str, tuple[float, float, float]] = {
    "neutral": (0.0, 0.0, 0.0),
    "calm": (-0.46, 0.68, 0.06),
    "happy": (0.51, 0.81, 0.46),
    "excited": (0.75, 0.62, 0.38),
    "sad": (-0.27, -0.63, -0.33),
    "angry": (0.59, -0.51, 0.25),
    "fearful": (0.60, -0.64, -0.43),
    "disgusted": (0.35, -0.60, 0.11),
    "surprised": (0.67, 0.40, -0.13),
    "contempt": (0.31, -0.23, 0.18),
    "bored": (-0.62, -0.65, -0.33),
    "tender": (-0.25, 0.64, 0.10),
}

ALIASES: dict[str, str] = {
    "anger": "angry", "happiness": "happy", "joy": "happy", "joyful": "happy", "sadness": "sad", "fear": "fearful",
    "afraid": "fearful", "scared": "fearful", "disgust": "disgusted", "surprise": "surprised", "boredom": "bored",
    "excitement": "excited", "calmness": "calm", "relaxed": "calm", "tenderness": "tender", "contemptuous": "contempt",
}  # fmt: skip

LABEL_INDEX: dict[str, int] = {name: i for i, name in enumerate(LABELS)}
MAX_INTENSITY = 1.5
