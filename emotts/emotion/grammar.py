"""The grammar of emotion specifications: text in, the fields of an `EmotionSpec` out, and back.

    spec  = [item] {"," item}       or two and more plain words: a description
    item  = [name [":" number]] {("+" | "-") name [":" number]}
          | dimension "=" number | ("like" | "direction") "=" path [":" number] | "erase" "=" path
          | '"' description '"' | "auto" [":" number]

Nothing is guessed: what does not fit is refused with its position (from 1), what was expected, what came, an example.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from emotts.emotion.dyads import DYADS, dyad_labels, dyad_place
from emotts.emotion.labels import ALIASES, DIMENSIONS, LABELS, MAX_INTENSITY

EXAMPLE = "happy:0.8"
MAX_DIRECTION = 3.0
MAX_WORDS_CHARS = 500

_KEYS = {key: name for name in DIMENSIONS for key in (name, name[0])} | {
    "like": "like", "direction": "directions", "erase": "erase"
}  # fmt: skip
KEYS = tuple(_KEYS)
_EXAMPLES = {
    **dict.fromkeys(DIMENSIONS, f"{EXAMPLE},arousal=0.7"),
    "like": f"{EXAMPLE},like=ref.wav:0.7",
    "directions": f"{EXAMPLE},direction=weary.safetensors:-0.5",
    "erase": f"{EXAMPLE},erase=weary.safetensors",
    "words": f'"relieved, but still shaking" or {EXAMPLE}',
    "mixture": f"{EXAMPLE}+sad:0.4",
    "away": f"{EXAMPLE}-fearful:0.5",
    "auto": f"auto:0.5 or {EXAMPLE}",
}
_AFTER = 'the end or ","'
_NAME = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|“([^”]*)”', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_BARE_PATH = re.compile(r'[^,+:"“”]+')
_NEEDS_NO_QUOTES = re.compile(r"[\w./~@%-]+")
_CAME = re.compile(rf"{_NAME.pattern}|{_NUMBER.pattern}|.", re.DOTALL)
_TWO_WORDS = re.compile(r"[^\W\d_]['’]?\s+['’]?[^\W\d_]")


def read_fields(text: str) -> dict[str, Any]:
    """Read a specification into the arguments of `EmotionSpec`.

    Raises:
        ValueError: it does not follow the grammar; the message has the position, what was expected, and an example.
    """
    if _TWO_WORDS.search(text) and not set(text) & set(':=+"“') and len(text) <= MAX_WORDS_CHARS:
        return {"label": None, "words": text}
    return _Reader(text).fields()


def write_items(fields: Mapping[str, Any]) -> str:
    """Write the fields of a specification so that `read_fields` gives them back."""
    label = fields["label"]
    if label is not None:
        towards = label + _unless_1(fields["intensity"])
    else:
        towards = "+".join(f"{name}:{_short(weight)}" for name, weight in fields["mixture"])
    away = "".join(f"-{name}{_unless_1(strength)}" for name, strength in fields["away"])
    items = [towards + away] if towards else []
    items += [f"{name}={_short(fields[name])}" for name in DIMENSIONS if fields[name] is not None]
    items += [f"like={_path(path)}{_unless_1(strength)}" for path, strength in fields["like"]]
    items += [f"direction={_path(path)}{_unless_1(strength)}" for path, strength in fields["directions"]]
    items += [f"erase={_path(path)}" for path in fields["erase"]]
    items += [_in_quotes(fields["words"])] if fields["words"] is not None else []
    items += ["auto" + _unless_1(fields["auto"])] if fields["auto"] is not None else []
    return ",".join(items + ([away] if away and not towards else []))


def unknown_label(name: str, where: str = "") -> str:
    """Return the message for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name.lower(), [*LABELS, *ALIASES, *DYADS, "auto", *KEYS], n=1, cutoff=0.5)
    close = ALIASES.get(near[0], near[0]) if near else ""
    hint = f' Did you mean "{close}{"=" if close in KEYS else ""}"?' if near else f" Example: {EXAMPLE}."
    return f"emotion must be one of {', '.join(LABELS)}, or a blend such as delight; got {_quoted(name)}{where}.{hint}"


class _Reader:
    """Reads one specification from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.next = 0  # the first character not yet read
        self.towards: list[tuple[str, float | None, int]] = []  # label or dyad, weight, position
        self.item_start = 1
        self.has_number = False  # what was read last had a ":" and a number
        self.read: dict[str, Any] = {"away": [], "like": [], "directions": [], "erase": []}
        self.after = ""  # what may come after what was read last

    def fields(self) -> dict[str, Any]:
        self.item()
        while self.accept(","):
            if self.text[self.next - 2 : self.next - 1].isdigit() and self.text[self.next : self.next + 1].isdigit():
                self.next -= 1
                raise self.error('a point in a number, or "," and a name')
            self.item()
        if self.peek():
            raise self.error(self.after)
        self.add_towards()
        return self.read

    def item(self) -> None:
        start = self.place()
        if self.peek() in ('"', "“"):
            self.once("words", start)
            self.read["words"] = self.quoted(MAX_WORDS_CHARS)
            if not any(character.isalpha() for character in self.read["words"]):
                raise self.refuse(start, "a description must have at least one word", "words")
            self.after = _AFTER
            return
        name = _NAME.match(self.text, self.next)
        key = name[0].lower() if name else ""
        if name and self.text[name.end() :].lstrip()[:1] == "=":
            self.setting(key, start)
        elif key in _KEYS:
            self.next += len(key)
            raise self.error(
                '"=" and ' + ("a path" if key in ("like", "direction", "erase") else "a number"), _KEYS[key]
            )
        elif key == "auto":
            self.once("auto", start)
            self.next += len(key)
            self.read["auto"] = self.strength("auto", 0.0, MAX_INTENSITY)
            self.after = _AFTER if self.has_number else f'":" and a strength, or {_AFTER}'
        else:
            self.blend()

    def setting(self, key: str, start: int) -> None:
        name = _KEYS.get(key)
        if name is None:
            near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise self.refuse(start, f'expected one of {", ".join(KEYS)} before "="; got {_quoted(key)}{hint}')
        self.next += len(key)
        self.accept("=")
        if name in DIMENSIONS:
            self.once(name, start)
            self.read[name] = self.number(name, f"a number from -1 to 1 for {name}", -1.0, 1.0)
            self.after = _AFTER
            return
        place = self.place()
        path = self.path(name)
        if path in [each if name == "erase" else each[0] for each in self.read[name]]:
            raise self.refuse(place, f"{key}={_quoted(path)} is given twice; give it once", name)
        if name == "erase":
            self.read[name].append(path)
            self.after = _AFTER
        else:
            low, high = (0.0, MAX_INTENSITY) if name == "like" else (-MAX_DIRECTION, MAX_DIRECTION)
            self.read[name].append((path, self.strength(name, low, high)))
            self.after = f"{_AFTER} (a path with one of , + : needs quotes)"

    def blend(self) -> None:
        """Read `name[:number] {(+|-) name[:number]}`; it may begin with a minus."""
        if self.towards and self.peek() != "-":
            problem = f'a label was given at position {self.towards[0][2]}; join labels with "+"'
            self.label()  # an unknown name is the better message
            raise self.refuse(self.item_start, problem, "mixture")
        sign = "-" if self.accept("-") else "+"
        while sign:
            name, place = self.label()
            if sign == "+":
                weight = self.strength("intensity", 0.0, MAX_INTENSITY, None)
                self.towards.append((name, weight, place))
            else:
                weight = self.strength("away", 0.0, MAX_INTENSITY)
                if not weight:
                    raise self.refuse(place, 'the strength of what stands after "-" must be above 0', "away")
                self.add_away(name, weight, place)
            self.after = ("" if self.has_number else '":" and an intensity, or ') + "the end, or one of + - ,"
            sign = next((mark for mark in "+-" if self.accept(mark)), "")

    def label(self) -> tuple[str, int]:
        place = self.item_start = self.place()
        match = _NAME.match(self.text, self.next)
        if not match:
            raise self.error("a label")
        name = ALIASES.get(match[0].lower(), match[0].lower())
        if name not in LABELS and name not in DYADS:
            raise ValueError(unknown_label(match[0], f" at position {place}"))
        self.next = match.end()
        return name, place

    def add_away(self, name: str, strength: float, place: int) -> None:
        labels = (name,) if name in LABELS else dyad_labels(name)
        if name in DYADS and len(labels) < 2:
            raise self.refuse(place, f'"{name}" is a place and no label, so it cannot stand after "-"', "away")
        for label in labels:
            if label in [each for each, _ in self.read["away"]]:
                raise self.refuse(place, f'"{label}" is given twice; give it once', "away")
            self.read["away"].append((label, strength / len(labels)))

    def add_towards(self) -> None:
        """Share out the weights and turn dyads into their labels."""
        stated = sum(weight for _, weight, _ in self.towards if weight is not None)
        open_ = [place for _, weight, place in self.towards if weight is None]
        if len(self.towards) > 1 and open_ and stated >= 1.0:
            raise self.refuse(open_[0], "this label needs a weight, the others leave it none", "mixture")
        share = round((1.0 - stated) / len(open_), 6) if open_ else 0.0
        mixed: dict[str, float] = {}
        for name, weight, place in self.towards:
            labels = (name,) if name in LABELS else dyad_labels(name)
            value = share if weight is None else weight
            if name in DYADS and len(labels) < 2:
                if len(self.towards) > 1:
                    raise self.refuse(place, f'"{name}" is a place and no label, so it cannot be mixed', "mixture")
                for dimension, number in dyad_place(name).items():
                    self.read.setdefault(dimension, min(1.0, max(-1.0, number * value)))
            for label in labels:
                if label in mixed or label in [each for each, _ in self.read["away"]]:
                    raise self.refuse(place, f'"{label}" is given twice; give it once', "mixture")
                mixed[label] = value if name in LABELS else value / 2
        if sum(mixed.values()) > MAX_INTENSITY + 1e-9:
            problem = f"weights must sum to at most {MAX_INTENSITY:g}; got {sum(mixed.values()):g}"
            raise self.refuse(self.towards[0][2], problem, "mixture")
        nothing_else = not [name for name, value in self.read.items() if name != "away" and value not in (None, [])]
        self.read["label"] = "neutral" if not mixed and nothing_else else None
        if len(mixed) == 1:
            [(self.read["label"], self.read["intensity"])] = mixed.items()
        elif mixed:
            self.read["mixture"] = tuple(mixed.items())

    def strength(self, name: str, low: float, high: float, default: float | None = 1.0) -> Any:
        self.has_number = self.accept(":")
        noun = "an intensity" if name in ("intensity", "mixture") else "a strength"
        return self.number(name, f"{noun} from {low:g} to {high:g}", low, high) if self.has_number else default

    def number(self, name: str, expected: str, low: float, high: float) -> float:
        place = self.place()
        sign = -1.0 if self.accept("-") else 1.0
        if sign > 0:
            self.accept("+")
        self.peek()
        match = _NUMBER.match(self.text, self.next)
        if not match:
            raise self.error(expected, name)
        value = sign * float(match[0])
        if not low <= value <= high:
            raise self.refuse(place, f"{name} must be from {low:g} to {high:g}; got {_short(value)}", name)
        self.next = match.end()
        return value + 0.0

    def path(self, name: str) -> str:
        if self.peek() in ('"', "“"):
            path = self.quoted(4096)
        else:
            match = _BARE_PATH.match(self.text, self.next)
            path = match[0].strip() if match else ""
            self.next = match.end() if match else self.next
        if not path.strip():
            raise self.error("a path", name)
        return path

    def quoted(self, limit: int) -> str:
        place = self.place()
        match = _QUOTED.match(self.text, self.next)
        if not match:
            raise self.refuse(place, f"expected a closing {self.peek().replace('“', '”')}; got the end", "words")
        text = match[2] if match[1] is None else _ESCAPED.sub(r"\1", match[1])
        if len(text) > limit:
            raise self.refuse(
                place, f"the text in quotes must have at most {limit} characters; got {len(text)}", "words"
            )
        self.next = match.end()
        return text

    def once(self, name: str, place: int) -> None:
        if name in self.read:
            raise self.refuse(place, f"{name} is given twice; give it once", name)

    def peek(self) -> str:
        """Skip white space and return the next character, "" at the end."""
        while self.text[self.next : self.next + 1].isspace():
            self.next += 1
        return self.text[self.next : self.next + 1]

    def accept(self, mark: str) -> bool:
        found = self.peek() == mark
        self.next += found
        return found

    def place(self) -> int:
        self.peek()
        return self.next + 1

    def error(self, expected: str, name: str = "") -> ValueError:
        place = self.place()
        match = _CAME.match(self.text, self.next)
        return self.refuse(place, f"expected {expected}; got {_quoted(match[0]) if match else 'the end'}", name)

    def refuse(self, place: int, problem: str, name: str = "") -> ValueError:
        end = "" if problem.endswith((".", "?")) else "."
        example = _EXAMPLES.get(name, EXAMPLE)
        return ValueError(f"emotion {_quoted(self.text)}, position {place}: {problem}{end} Example: {example}.")


def _path(path: str) -> str:
    return path if _NEEDS_NO_QUOTES.fullmatch(path) else _in_quotes(path)


def _in_quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unless_1(value: float) -> str:
    return "" if value == 1.0 else f":{_short(value)}"


def _short(value: float) -> str:
    """Write a number with all the digits that reading it back needs, and no trailing `.0`."""
    return repr(float(value)).removesuffix(".0")


def _quoted(text: str) -> str:
    return '"' + repr(text if len(text) <= 40 else text[:39] + "…")[1:-1] + '"'
