"""What the tab Listen shows: bars of labels and dimensions, the voice in a table, and where the file is from, in HTML."""

import html
from collections.abc import Sequence
from typing import Any

from emotts.emotion.heard import UNCERTAIN, Heard
from emotts.emotion.labels import DIMENSIONS
from emotts.judges import FEATURES, RECOGNIZER
from emotts.metrics.voice import VoiceAnalysis
from emotts.recognition import VOICE_COLUMNS

from .components.colours import DIMENSION_COLOURS, EMOTION_COLOURS
from .listen_work import Listened
from .tables import quiet, row, signed

MOST_STEPS = 24  # of the path on the pad; more cannot be followed
ENDS = {
    "arousal": ("calm", "agitated"), "valence": ("unpleasant", "pleasant"), "dominance": ("submissive", "dominant"),
}  # fmt: skip
CALLED = {RECOGNIZER: "recogniser", FEATURES: "features judge"}
NAMED = 4  # settings of a provenance that are told
UNTOLD = ("emotion_asked",)  # the same in the user's words
HINTS = {
    "f0_hz": "how high the voice lies; it rises with agitation",
    "f0_range_st": "how lively the melody is; small sounds flat, 12 is an octave",
    "f0_slope_st_per_s": "where the melody goes; sentences usually fall",
    "level_db": "how loud the speech is recorded; it tells of the microphone as well",
    "level_sd_db": "how much loudness changes from sound to sound",
    "syllable_rate": "tempo without the pauses; 4 to 6 is usual",
    "pause_count": "silences of 0.15 s and more",
    "pause_share": "how much of the time is silent",
    "pause_mean_s": "how long a pause is",
    "tilt_db_per_oct": "how fast high tones fade; pressed or loud voices fade less",
    "alpha_ratio_db": "energy above 1 kHz against that below; it rises with effort",
    "hammarberg_db": "strongest low tone against the strongest at 2 to 5 kHz; soft voices have more",
    "hnr_db": "how clear the voice is of breath and noise; below 10 sounds breathy or hoarse",
    "jitter_pct": "how unevenly the pitch beats from period to period; above 1 sounds rough",
    "shimmer_pct": "the same of loudness; high sounds rough or breathy",
}


def summary_html(found: Listened) -> str:
    """Return what was heard in a sentence."""
    heard = found.recognition.heard
    best = sorted(heard.labels.items(), key=lambda item: -item[1])[:2]
    likely = " or ".join(f"{name} ({share:.0%})" for name, share in best)
    label = f"no feeling for certain; most likely {likely}" if heard.label == UNCERTAIN else heard.label
    knew = "knew the speaker's neutral voice" if found.is_told else "did not know how this speaker sounds when neutral"
    name = f"In {found.recognition.duration_s:.1f} s of {found.take.text}"
    text = f"{name} the {CALLED[found.judge]}, which {knew}, hears {label}."
    return f'<p class="emotts-note">{html.escape(text)}</p>'


def labels_html(heard: Heard) -> str:
    """Return the probabilities of all labels as bars, the likeliest first."""
    lines = []
    for i, (name, share) in enumerate(sorted(heard.labels.items(), key=lambda item: -item[1])):
        best = ' class="best"' if i == 0 else ""
        fill = f'<span class="fill" style="width:{100 * share:.1f}%;background:{EMOTION_COLOURS[name]}"></span>'
        lines.append(
            f'<span{best}>{name}</span><span class="track">{fill}</span><span class="value">{share:.0%}</span>'
        )
    return f'<div class="emotts-bars of-labels" role="img" aria-label="{_told(heard.labels)}">{"".join(lines)}</div>'


def dimensions_html(heard: Heard) -> str:
    """Return arousal, valence and dominance from -1 to 1, each as a dot with its standard deviation."""
    lines = []
    for name, value, std in zip(DIMENSIONS, heard.avd, heard.avd_std, strict=True):
        low, high = (50.0 * (1.0 + max(-1.0, min(1.0, x))) for x in (value - std, value + std))
        colour, (left, right) = DIMENSION_COLOURS[name], ENDS[name]
        lines.append(
            f'<span title="{left} to {right}">{name}</span><span class="track"><span class="middle"></span>'
            f'<span class="spread" style="left:{low:.1f}%;width:{high - low:.1f}%;background:{colour}"></span>'
            f'<span class="dot" style="left:{50.0 * (1.0 + value):.1f}%;background:{colour}"></span></span>'
            f'<span class="value">{signed(value)} ± {std:.2f}</span>'
        )
    return f'<div class="emotts-bars">{"".join(lines)}</div>'


def mark_of(heard: Heard) -> list[dict[str, Any]]:
    """Return the mean as a mark of the pad."""
    arousal, valence, _ = heard.avd
    std = [heard.avd_std[0], heard.avd_std[1]]
    return [{"arousal": arousal, "valence": valence, "kind": "heard", "text": "the whole", "std": std}]


def path_of(windows: Sequence[Heard]) -> list[list[float]]:
    """Return the way over the pad, [valence, arousal] in order of time; many windows are averaged to MOST_STEPS."""
    size = -(-len(windows) // MOST_STEPS)
    groups = [windows[i : i + size] for i in range(0, len(windows), size)] if windows else []
    return [[sum(heard.avd[k] for heard in group) / len(group) for k in (1, 0)] for group in groups]


def voice_html(voice: VoiceAnalysis) -> str:
    """Return the measurements of a voice with units and what they mean."""
    values = voice.to_dict()
    rows = []
    for name, (_, words, unit, digits) in VOICE_COLUMNS.items():
        value = values[name]
        shown = "–" if value is None else f"{value:.{digits}f} {unit}".strip().replace("-", "−", 1)
        rows.append(row(words, shown, why=HINTS[name]))
    head = '<tr><th class="text">measure</th><th>value</th><th class="text">what it says</th></tr>'
    return f'<table class="emotts-table"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def origin_html(found: Listened) -> str:
    """Return what the file says of how it was made."""
    if found.problem:
        text = f"What this file says of how it was made is not to be believed: {found.problem}"
        return f'<p class="emotts-warning">{html.escape(text)}</p>'
    told = found.provenance
    if told is None:
        return quiet("This file does not say how it was made. It may be of a person or of a machine.")
    what = "speech by a model" if told.kind == "speech" else "a recording that a model converted"
    parts = [f"This file says it is synthetic: {what}, made by emotts {told.version}"]
    parts += [f"model {card.name}" for card in told.models[:1] if card.name]
    parts += [f"{name.replace('_', ' ')} {value}" for name, value in told.settings.items() if name not in UNTOLD][
        :NAMED
    ]
    parts += [] if told.seed is None else [f"seed {told.seed}"]
    parts += [f"consent of the person: {told.consent}"] if told.consent else []
    return f'<p class="emotts-note">{html.escape(", ".join(parts))}. It is a statement, not a proof.</p>'


def _told(labels: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in sorted(labels.items(), key=lambda item: -item[1]))
