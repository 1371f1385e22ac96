"""One line of a batch: what to say, how, and to which file; and the checks that need no model.

Comes in: columns with loose values. Goes out: a `Row`, or problems, each with the row and the column it stands in.
"""

import difflib
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from emotts.emotion.direction import load_direction
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spans import read_span, span_specs
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.plan import check_span
from emotts.request import Request, check_range, unknown_voice
from emotts.resolve import Resolver, check_used, read_files
from emotts.speaker.profile import SUFFIX, voices_folder
from emotts.text.markup import parse_markup

MAX_ROWS = 100_000
MAX_TEXT_CHARS = 1_000_000
SHOWN_PROBLEMS = 20
KINDS = frozenset({"bool", "int", "float", "str"})
FILE_OPTIONS = ("timeline", "word_times", "prosody", "intonation", "like_neutral", "norms")
RECORDINGS = ("intonation", "like_neutral", "norms")  # reading them takes too long for a check
NOT_OF_READING = ("emotion", "voice", *DIMENSIONS, *RECORDINGS)
LIST = "list"  # of texts: recordings
LISTS = ("Sequence[str", "collections.abc.Sequence[str")  # how their annotations begin
DEFAULTS: dict[str, Any] = {
    "emotion": EmotionSpec(), "voice": "", "speed": 1.0, "pitch": 0.0, "steps": 1, "prosody_steps": 1, "guidance": 1.0,
    "temperature": 1.0, "prosody_temperature": 1.0, "seed": 0,
}  # fmt: skip
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Options = Mapping[str, frozenset[str]]  # name -> kinds of value


@dataclass(frozen=True)
class Row:
    """A line of a batch that passed the checks.

    Attributes:
        number: counted from 1. line: of the file, where it begins.
        text: what to say.
        output: name of the file, relative to the output folder.
        options: arguments of `EmoTTS.synthesize` that were given.
        facts: what else the results should tell, such as the speaker.
    """

    number: int
    line: int
    text: str
    output: str
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed given, or else one that follows from text and options: the same row is read the same way again."""
        given = self.options.get("seed")
        return int(given) if given is not None else int(self._hash(), 16) % 2**31

    def digest(self, model: str) -> str:
        """Return a name of all that decides what is in the output; `model` names the checkpoint."""
        return sha256(f"{self._hash()} {self.output} {model}".encode()).hexdigest()[:32]

    def _hash(self) -> str:
        content = json.dumps([self.text, dict(self.options)], sort_keys=True, default=EmotionSpec.to_dict)
        digest = sha256(content.encode())
        for path in self._files():
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _files(self) -> list[Path]:
        """Return the files that the row reads, whose contents belong to what it asks."""
        given = [self.options.get(name) for name in FILE_OPTIONS]
        paths = [path for value in given for path in ([value] if isinstance(value, str) else value or [])]
        if (voice := self.options.get("voice")) is not None:  # a recording, or one that is kept
            paths += [voice, voices_folder() / f"{voice}{SUFFIX}"]
        emotion = self.options.get("emotion")
        specs = [*([parse_emotion(emotion)] if emotion is not None else []), *span_specs(self.text)]
        for spec in specs:
            paths += [*(path for path, _ in (*spec.like, *spec.directions)), *spec.erase]
        return [Path(path) for path in paths if _is_file(str(path))]


class BatchProblems(ValueError):
    """A file of which nothing is spoken; `lines` names what is wrong, the first SHOWN_PROBLEMS of it."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        rest = len(problems) - SHOWN_PROBLEMS
        self.lines = [*problems[:SHOWN_PROBLEMS], *([f"and {rest} more"] if rest > 0 else [])]
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        super().__init__(f"{path.name} has {count}, nothing was spoken: {'; '.join(self.lines)}")


@dataclass
class Checker:
    """Turns columns into rows and collects what is wrong.

    Attributes:
        options: those of `option_kinds`.
        voices: the names there are; None where they are not known yet.
        problems: what was found so far.
    """

    options: Options
    voices: Sequence[str] | None = None
    problems: list[str] = field(default_factory=list)

    def complain(self, place: str, error: object) -> None:
        """Note a problem."""
        self.problems.append(f"{place}: {error}")

    def columns(self, names: Sequence[str], place: str, also: Sequence[str] = ("text", "output")) -> bool:
        """Note columns that do not exist; say whether all do."""
        known = [*also, *self.options]
        unknown = [name for name in names if name not in known]
        for name in unknown:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else f" There are {', '.join(known)}."
            self.complain(place, f"no column is named {name[:40]!r}.{hint}")
        return not unknown

    def value(self, name: str, value: Any, place: str, is_text: bool) -> Any:
        """Return a value as the option takes it, None for its default; or note why it cannot be taken, and return None."""
        try:
            checked = _from_text(value, self.options[name]) if is_text else _from_json(value, self.options[name])
            if checked is not None:
                self._check_option(name, checked)
        except (ValueError, FileNotFoundError) as error:
            self.complain(f"{place}, column {name}", error)
            return None
        return checked

    def _check_option(self, name: str, value: Any) -> None:
        """Check one option alone, as far as that goes without a model."""
        if name == "emotion":
            check_files(parse_emotion(value))
        elif name in DIMENSIONS:
            check_range(name, value, -1.0, 1.0)
        elif name == "voice":
            if self.voices is not None and value not in self.voices and not _is_file(value):
                raise ValueError(unknown_voice(value, list(self.voices)))
        elif name in RECORDINGS:
            _check_exists([value] if isinstance(value, str) else value)
        else:
            Request(**DEFAULTS | read_files({name: value}))

    def row(self, number: int, line: int, columns: Mapping[str, Any], is_text: bool = False) -> Row | None:
        """Return the row that some columns describe; an empty one takes the default.

        Args:
            number: of the row. line: of the file. columns: values by name, which exist.
            is_text: whether numbers are written as texts, as in CSV.
        """
        place, before = f"row {number} (line {line})", len(self.problems)
        text = columns.get("text")
        self.text(text, f"{place}, column text")
        output = columns.get("output")
        if output is not None and not isinstance(output, str):
            self.complain(f"{place}, column output", f"expected a file name; got {output!r:.40}.")
        options = {
            name: checked
            for name, value in columns.items()
            if name in self.options and (checked := self.value(name, value, place, is_text)) is not None
        }
        if len(self.problems) == before:
            self.combination(str(text), options, place)
        if len(self.problems) > before:
            return None
        return Row(number, line, str(text), output or f"{number:06d}.wav", options)

    def combination(self, text: str, options: Mapping[str, Any], place: str) -> None:
        """Note what is wrong with options that are each right by themselves, and with the spans of the text."""
        norms, neutral = options.get("norms"), options.get("like_neutral", ())
        try:
            emotion = parse_emotion(*(options.get(name) for name in ("emotion", *DIMENSIONS)))
            spans = span_specs(text)
            for spec in spans:
                check_span(spec)
            check_used([emotion, *spans], neutral, norms)
            for spec in (emotion, *spans):
                check_files(spec)
                check_words(spec, norms)
            if spans and options.get("timeline") is not None:
                raise ValueError("give either a time line or spans in the text; got both.")
            unread = {*NOT_OF_READING, "intonation_weight" if "intonation" in options else ""}
            rest = {name: value for name, value in options.items() if name not in unread}
            Request(**DEFAULTS | read_files(rest) | {"emotion": emotion}).check_combinations()
        except (ValueError, FileNotFoundError) as error:
            self.complain(place, error)

    def emotion(self, text: str, norms: str | None = None) -> EmotionSpec:
        """Return a specification whose files are there and whose words are known.

        Raises:
            ValueError, FileNotFoundError: it cannot be read, or they are not.
        """
        spec = parse_emotion(text)
        check_files(spec)
        check_words(spec, norms)
        return spec

    def text(self, text: Any, place: str) -> None:
        """Note what is wrong with a text."""
        if not isinstance(text, str) or not text.strip():
            got = "nothing" if text is None or isinstance(text, str) else repr(text)[:40]
            self.complain(place, f"expected at least one word to speak; got {got}.")
        elif len(text) > MAX_TEXT_CHARS:
            self.complain(place, f"has {len(text)} characters; expected at most {MAX_TEXT_CHARS}. Split it.")
        elif any("\ud800" <= c <= "\udfff" for c in text):
            self.complain(place, "is not valid Unicode (half a surrogate pair); write it again as UTF-8.")
        else:
            try:
                parse_markup(text, read_span=read_span)
            except ValueError as error:
                self.complain(place, error)


def option_kinds(speak: Callable[..., Any]) -> dict[str, frozenset[str]]:
    """Return what a function such as `EmoTTS.synthesize` can be told in a table: name -> kinds out of KINDS.

    Options that take neither text nor number are left out.
    """
    annotations: dict[str, Any] = {}
    for name, parameter in inspect.signature(speak).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:  # **options: Unpack[Options]
            for options in get_args(parameter.annotation):
                annotations |= options.__annotations__
        elif name not in ("self", "text"):
            annotations[name] = parameter.annotation
    kinds = {name: _kinds(annotation) for name, annotation in annotations.items()}
    return {name: found for name, found in kinds.items() if found}


def _kinds(annotation: Any) -> frozenset[str]:
    text = inspect.formatannotation(annotation).strip("'\"")
    words = {word.strip() for word in text.split("|")}
    return frozenset(words & KINDS | ({LIST} if text.startswith(LISTS) else set()))


def check_files(spec: EmotionSpec) -> None:
    """Raise a FileNotFoundError or ValueError where a specification names a file that is not there or not what it should be."""
    _check_exists([path for path, _ in spec.like])
    for path in (*(path for path, _ in spec.directions), *spec.erase):
        load_direction(path)


def check_words(spec: EmotionSpec, norms: str | None = None) -> None:
    """Raise a ValueError where a specification describes in words that nobody knows."""
    if spec.words is not None:
        Resolver().describe(spec.words, norms)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # a name that is too long for one
        return False


def _check_exists(paths: Sequence[str]) -> None:
    for path in paths:
        if "\0" in path or not Path(path).is_file():
            raise FileNotFoundError(f"file {path!r} does not exist.")


def _from_text(text: str, kinds: frozenset[str]) -> Any:
    if not text.strip():
        return None
    word = text.strip()
    if kinds & {"int", "float"}:
        is_whole = re.fullmatch(r"[-+]?[0-9]{1,20}", word, re.ASCII) is not None
        if is_whole and "int" in kinds:
            return int(word)
        number = _finite(word)
        if "float" in kinds and number is not None:
            return number
    if LIST in kinds:
        return [part.strip() for part in text.split(";") if part.strip()]
    if "str" in kinds:
        return text
    if "bool" in kinds and word.lower() in _WORDS:
        return _WORDS[word.lower()]
    raise ValueError(f"expected {_expected(kinds)}; got {word[:40]!r}.")


def _from_json(value: Any, kinds: frozenset[str]) -> Any:
    if value is None:
        return None
    kind = type(value).__name__
    if LIST in kinds and kind == "list" and all(isinstance(part, str) for part in value):
        return value
    is_number = kind == "float" and math.isfinite(value)
    if (kind in kinds and kind != "float") or (
        kind in ("int", "float") and "float" in kinds and (kind == "int" or is_number)
    ):
        return value
    raise ValueError(f"expected {_expected(kinds)}; got {json.dumps(value)[:40]}.")


def _finite(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in word else None


def _expected(kinds: frozenset[str]) -> str:
    words = {
        "str": "a text",
        "float": "a number",
        "int": "a whole number",
        "bool": "true or false",
        LIST: "a list of texts",
    }
    if "float" in kinds:
        kinds = kinds - {"int"}
    return " or ".join(words[kind] for kind in words if kind in kinds)
