"""One colour for each emotion and each dimension, wherever the demo draws them; they read on light and on dark."""

EMOTION_COLOURS: dict[str, str] = {
    "neutral": "#a3a8b4",
    "calm": "#2fb39a",
    "happy": "#f5b921",
    "excited": "#f78a2d",
    "sad": "#4a7fd6",
    "angry": "#e5484d",
    "fearful": "#8e5bd0",
    "disgusted": "#7f9c3a",
    "surprised": "#ec6fb0",
    "contempt": "#b0708a",
    "bored": "#7488a6",
    "tender": "#66bf6b",
}

DIMENSION_COLOURS: dict[str, str] = {"arousal": "#e5632f", "valence": "#12998a", "dominance": "#7a5cd6"}
