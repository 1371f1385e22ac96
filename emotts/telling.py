"""What the acoustic model is told of one planned segment: everything that is blended, as weighted requests.

Comes in: a segment with its emotions, a request, and who says what. Goes out: the branches of emotts/acoustic/blend.py.
"""

from dataclasses import replace

import numpy as np

from emotts.acoustic.blend import Branch, Guidance, away_from, guided, joined, mixed
from emotts.acoustic.condition import Condition
from emotts.emotion.labels import MAX_INTENSITY
from emotts.emotion.place import Evenness, track_of
from emotts.emotion.space import EmotionInput, EmotionSum
from emotts.emotion.spec import EmotionSpec
from emotts.plan import Planned
from emotts.request import Request

AWAY_SCALE = 1.0  # of what a refused emotion adds to neutral, for each unit of strength


def branches_of(
    part: Planned,
    request: Request,
    said: Condition,
    even: Evenness,
    start_s: float,
    times_s: np.ndarray | None = None,
) -> list[Branch]:
    """Return everything that is blended to speak one segment: mixture, guidance, and what to stay away from.

    Args:
        said: what is said and by whom; its emotion does not count.
        even: intensities asked to those told.
        start_s: of the segment. times_s: of its tokens, for a time line in seconds [N].

    Raises:
        ValueError: a way of mixing that one emotion for the whole needs, in a text with several.
    """
    n = len(part.segment.tokens)

    def told(emotion: EmotionInput | EmotionSum) -> Condition:
        return said.feeling(emotion.to(said.phonemes.device))

    def of(spec: EmotionSpec) -> EmotionInput:
        return track_of([spec] * n, even).to_input()

    alone = request.timeline is None and len(set(part.specs)) == 1
    if request.mixing != "joint" and not alone:
        raise ValueError(f"mixing={request.mixing} mixes one emotion for the whole; take the spans out of the text.")
    mixture = part.specs[0].weights if request.mixing != "joint" else ()
    mixture = tuple((name, weight) for name, weight in mixture if weight > 0.0)
    if not mixture:
        mixed_branches = [Branch(told(part.track(request, start_s, even, times_s).to_input()), 1.0)]
    else:
        total = sum(weight for _, weight in mixture)
        parts = [
            of(replace(part.specs[0], mixture=(), label=name, intensity=min(total, MAX_INTENSITY)))
            for name, _ in mixture
        ]
        weights = [weight / total for _, weight in mixture]
        if request.mixing == "embedding":
            mixed_branches = [Branch(told(EmotionSum(parts, weights)), 1.0)]
        else:
            mixed_branches = mixed([told(x) for x in parts], weights, request.mixing == "schedule")
    guidance = Guidance(request.guidance, request.speaker_guidance, request.content_guidance)
    bare = mixed_branches[0].condition.without_emotion()
    branches = [inner.times(outer) for outer in mixed_branches for inner in guided(outer.condition, guidance, bare)]
    neutral = told(of(EmotionSpec()))
    for label, strength in request.emotion.away:
        branches += away_from(told(of(EmotionSpec(label))), neutral, AWAY_SCALE * strength)
    return joined(branches)
