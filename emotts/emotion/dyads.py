"""Names of blended emotions: what Plutchik's dyads are made of, in our labels and in arousal, valence, dominance.

Reference: Plutchik, "A general psychoevolutionary theory of emotion" (1980). Two of his eight primaries, trust and
anticipation, are no labels of ours: a dyad with one of them is the other label at one half, held at the place between
the two. Left out are names that mean something else here: contempt (a label), dominance (a dimension), conflict (four
different dyads).
"""

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS

_LABEL_OF = {
    "joy": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful", "disgust": "disgusted", "surprise": "surprised",
}  # fmt: skip
_PLACE_OF = {"trust": (0.1, 0.7, 0.2), "anticipation": (0.4, 0.5, 0.2)}  # near secure, friendly; interested, hopeful

DYADS: dict[str, tuple[str, str]] = {
    "love": ("joy", "trust"),
    "submission": ("trust", "fear"),
    "awe": ("fear", "surprise"),
    "disapproval": ("surprise", "sadness"),
    "remorse": ("sadness", "disgust"),
    "aggressiveness": ("anger", "anticipation"),
    "optimism": ("anticipation", "joy"),
    "guilt": ("joy", "fear"),
    "curiosity": ("trust", "surprise"),
    "despair": ("fear", "sadness"),
    "unbelief": ("surprise", "disgust"),
    "envy": ("sadness", "anger"),
    "cynicism": ("disgust", "anticipation"),
    "pride": ("anger", "joy"),
    "hope": ("anticipation", "trust"),
    "fatalism": ("anticipation", "trust"),
    "delight": ("joy", "surprise"),
    "sentimentality": ("trust", "sadness"),
    "shame": ("fear", "disgust"),
    "outrage": ("surprise", "anger"),
    "pessimism": ("sadness", "anticipation"),
    "morbidness": ("disgust", "joy"),
    "anxiety": ("anticipation", "fear"),
    "bittersweetness": ("joy", "sadness"),
    "ambivalence": ("trust", "disgust"),
    "frozenness": ("fear", "anger"),
    "confusion": ("surprise", "anticipation"),
}


def dyad_labels(name: str) -> tuple[str, ...]:
    """Return the labels that a dyad is made of, one half each: two, one, or (hope) none."""
    return tuple(_LABEL_OF[part] for part in DYADS[name] if part in _LABEL_OF)


def dyad_place(name: str) -> dict[str, float]:
    """Return the dimensions that a dyad states beside its labels; {} where two labels say it all."""
    if len(dyad_labels(name)) == 2:
        return {}
    places = [_PLACE_OF[part] if part in _PLACE_OF else AVD_MEANS[_LABEL_OF[part]] for part in DYADS[name]]
    return {name: round(sum(pair) / 2, 4) for name, *pair in zip(DIMENSIONS, *places, strict=True)}
