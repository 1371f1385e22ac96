"""What a take says of itself on the page: facts in a line, asked beside heard in a table, dots for the pad."""

import html
from typing import Any

from emotts.emotion.labels import DIMENSIONS

from .tables import signed
from .takes import Take

LIKELY = 3  # labels that are named


def facts_html(take: Take) -> str:
    """Return length, speed and seed, and a table of asked and heard; texts are escaped."""
    line = f"{take.duration_s:.2f} s · {take.rtf:.3f} x real time · seed {take.seed} · {html.escape(take.emotion)}"
    if take.heard is None:
        return f'<p class="emotts-quiet">{line}</p>'
    asked = [signed(value) for value in take.asked] if take.asked else ["changes"] * len(DIMENSIONS)
    rows = "".join(
        f"<tr><td>{name}</td><td>{wanted}</td><td>{signed(value)} ± {spread:.2f}</td></tr>"
        for name, wanted, value, spread in zip(DIMENSIONS, asked, take.heard.avd, take.heard.avd_std, strict=True)
    )
    best = sorted(take.heard.labels.items(), key=lambda pair: -pair[1])[:LIKELY]
    labels = ", ".join(f"{name} {share:.0%}" for name, share in best)
    return (
        f'<p class="emotts-quiet">{line}</p><table><thead><tr><th></th><th>asked</th><th>heard</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f'<p class="emotts-quiet">Sounds like: {labels}. The judge that says so had no part in speaking.</p>'
    )


def marks_of(take: Take) -> list[dict[str, Any]]:
    """Return the dots of a take: where it was asked to be, and where it was heard."""
    marks: list[dict[str, Any]] = []
    if take.asked is not None and take.asked[0] is not None and take.asked[1] is not None:
        marks.append({"arousal": take.asked[0], "valence": take.asked[1], "kind": "asked", "text": "asked"})
    if take.heard is not None:
        arousal, valence, _ = take.heard.avd
        spread = [take.heard.avd_std[0], take.heard.avd_std[1]]
        marks.append({"arousal": arousal, "valence": valence, "kind": "heard", "text": "heard", "std": spread})
    return marks
