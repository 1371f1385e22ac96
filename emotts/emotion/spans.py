"""Emotion inside a text: the tag at the start of a span in, its `EmotionSpec` out; text/spans.py knows where it holds.

`[sad:.3]I waited. [/][angry:.8]You never came![/]`: every specification of the grammar may stand between the brackets.
Bracketed words that are none, such as `[sic]` or `[note: see below]`, are read aloud.
"""

import difflib
import re

from emotts.emotion.dyads import DYADS
from emotts.emotion.grammar import KEYS
from emotts.emotion.labels import ALIASES, LABELS
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.text.markup import SpanStart, parse_markup

_NUMBERED = re.compile(r"([^\W\d_]+)\s*:\s*[-+.\d].*", re.DOTALL)  # [hapy:0.5]
_SETTING = re.compile(r"(?:.*,)?\s*([^\W\d_]+)\s*=.*", re.DOTALL)  # [v=3], [sad:0.3,arosal=.5]
_BLEND = re.compile(r"([^\W\d_]+)(?:\s*:\s*[-+.\d]+)?\s*[+-]\s*[^\W\d_]+\s*:\s*[-+.\d].*|([^\W\d_]+)\s*\+.*", re.DOTALL)


def read_span(tag: str) -> EmotionSpec | None:
    """Read what stands between brackets in a text.

    Returns:
        The specification; None if the words are no tag and are to be read aloud.

    Raises:
        ValueError: meant as a specification, and wrong.
    """
    try:
        spec = parse_emotion(tag)
    except ValueError:
        if _is_attempt(tag):
            raise
        return None
    is_plain_words = spec.words is not None and not {'"', "“"} & set(tag)
    return None if is_plain_words else spec


def span_specs(text: str, language: str = "en-us") -> list[EmotionSpec]:
    """Return what is said at the start of each span of a text, in their order: `Segment.spans` counts by it.

    Raises:
        ValueError: the markup cannot be read; the message gives the place.
    """
    parts = parse_markup(text, language, read_span)
    return [part.spec for part in parts if isinstance(part, SpanStart) and isinstance(part.spec, EmotionSpec)]


def _is_attempt(tag: str) -> bool:
    if _NUMBERED.fullmatch(tag):
        return True
    if setting := _SETTING.fullmatch(tag):
        return bool(difflib.get_close_matches(setting[1].lower(), KEYS, n=1, cutoff=0.75))
    blend = _BLEND.fullmatch(tag)
    return blend is not None and (blend[1] or blend[2]).lower() in {*LABELS, *ALIASES, *DYADS}
