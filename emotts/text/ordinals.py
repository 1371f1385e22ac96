"""Ordinal figures in, their words out: German 3. Mai, French 2e, Spanish 1º, the day of a Polish or Russian date.

A point behind a figure ends a sentence in English and makes an ordinal in many languages: `is_ordinal` says which, for the reader
as for the cutter of sentences. Where words are not to be had, the point goes and the number stays.
"""

from __future__ import annotations

import re
from re import Match

from emotts.text.cldr import months
from emotts.text.languages import primary

# Languages that write ordinals with a point, and what num2words calls those that it knows.
_POINTED = {
    **dict.fromkeys(("bs", "cs", "et", "eu", "fo", "hr", "is", "lb", "lv", "nn", "sk", "sr"), ""),
    **{"da": "da", "de": "de", "fi": "fi", "hu": "hu", "nb": "no", "no": "no", "pl": "pl", "sl": "sl", "tr": "tr"},
}
_FIGURE = re.compile(r"(?<![\w.,])(\d{1,3})\.(?=\s)")
_FOLLOWING = re.compile(r"\.\s+([^\W\d_]+)")
# A German word before it that asks for a noun, which is written large as the first word of a sentence is.
_BEFORE_NOUN = re.compile(
    r"(?:\b(?:der|die|das|dem|den|des|am|im|vom|zum|zur|beim|ins|jede[rnms]?|diese[rnms]?|(?:[mds]?ein|ihr|unser)(?:e[rnms]?)?)"
    r"|\d\.\s+(?:und|oder|bis))\s+$",
    re.IGNORECASE,
)
_GERMAN_N = re.compile(
    r"\b(?:am|im|vom|zum|zur|beim|ab|bis|seit|de[mns]|\w+e[mn]|(?:in|mit|von|aus|bei|nach|seit|zu|an|auf|vor|unter|über|neben|hinter|während|"
    r"wegen|trotz)\s+der)\s+$",
    re.IGNORECASE,
)
# A German date that opens a sentence, as Am 24.12. does: it is none alone.
_OPENING_DATE = re.compile(
    r"(?:^|[.!?…:;]\s{1,3}|\n\s{0,3})[\"'„“»(]?(?:Am|Vom|Zum|Bis|Seit|Ab|In der Nacht (?:zum|vom)|Bis zum|Seit dem)\s"
    r"(?:[0-2]?\d|3[01])\.(?:0?[1-9]|1[0-2])"
    r"(?:\.\s(?:bis|und|oder|auf)\s(?:(?:zum|am|den)\s)?(?:[0-2]?\d|3[01])\.(?:0?[1-9]|1[0-2]))?$"
)
_SIGNS = {  # behind a figure: masculine or only form, then feminine
    "es": (r"\.?º|\.?er\b|\.o\b", r"\.?ª|\.a\b"),
    "fr": (r"er\b|[eè]mes?\b|es?\b|nds?\b|ième\b", r"[eè]?res?\b|ndes?\b"),
    "it": ("º", "ª"),
    "nl": (r"e\b|de\b|ste\b", ""),
    "pt": (r"\.?º|\.o\b", r"\.?ª|\.a\b"),
    "ru": (r"-(?:[ыо]?й|го)\b", r"-(?:[ая]?я)\b"),
}
_FIRST_DAY = {"es": "primero", "fr": "premier", "it": "primo", "pt": "primeiro"}
_CONTEXT = 60  # characters looked at on either side


def is_ordinal(text: str, point: int, language: str) -> bool:
    """Say whether the point at a place of a text makes the figure before it an ordinal or a date, and ends nothing."""
    name = primary(language)
    following = _FOLLOWING.match(text, point, point + _CONTEXT)
    before = text[max(0, point - _CONTEXT) : point]
    if name == "de" and _OPENING_DATE.search(before):
        return True
    if name not in _POINTED or following is None:
        return False
    figure = re.search(r"(?<![\w.,])\d{1,3}$", before)
    if figure is None:
        return False
    before = before[: figure.start()]
    if following[1].lower() in months(language):
        return int(figure[0]) <= 31
    if not before.strip():
        return False  # the number of a list's item
    return following[1][0].islower() or (name == "de" and _BEFORE_NOUN.search(before) is not None)


def is_open(text: str, point: int, language: str) -> bool:
    """Say whether `is_ordinal` could be otherwise if the last word of the text went on."""
    following = _FOLLOWING.match(text, point)
    is_figure = primary(language) in _POINTED and text[point - 1 : point].isdigit()
    return is_figure and following is not None and following.end() == len(text)


def read_signed_ordinals(text: str, language: str) -> str:
    """Read ordinals with letters behind them, as Spanish 1º and French 2e.

    Args:
        text: before its characters are folded, for º would become the sign of degrees.
        language: not English.
    """
    name = primary(language)
    if name not in _SIGNS:
        return text
    only, feminine = _SIGNS[name]
    pattern = rf"(?<![\w.,:])(\d{{1,4}})(?:({only})" + (rf"|({feminine}))" if feminine else ")")
    return re.sub(pattern, lambda m: _signed(m, name), text)


def read_ordinals(text: str, language: str) -> str:
    """Read ordinals with a point, and the days of dates, in text without odd characters."""
    name = primary(language)
    if name in _POINTED:
        text = _FIGURE.sub(lambda m: _pointed(m, language) if is_ordinal(text, m.end() - 1, language) else m[0], text)
    if name in ("pl", "ru", *_FIRST_DAY):
        names = "|".join(map(re.escape, sorted(months(language), key=len, reverse=True)))
        day = r"(1)[º°]?" if name in _FIRST_DAY else r"(0?[1-9]|[12]\d|3[01])"
        text = re.sub(
            rf"(?<![\w.,]){day}(?= (?:de )?(?:{names})\b)", lambda m: _day(m[1], name), text, flags=re.IGNORECASE
        )
    return text


def _signed(match: Match[str], name: str) -> str:
    is_feminine = match.lastindex == 3
    number, sign = int(match[1]), match[match.lastindex or 1]
    if not number:
        return match[0]
    if name == "fr" and number == 1:
        return "première" if is_feminine else "premier"
    if name == "fr" and "nd" in sign:
        return "seconde" if is_feminine else "second"
    if name == "ru":
        return _ordinal(number, name, gender="f" if is_feminine else "m", case="g" if sign.endswith("го") else "n")
    words = _ordinal(number, name)
    if name == "es" and sign.endswith("er"):
        return words[:-1] if words.endswith("ero") else words
    return " ".join(re.sub("o$", "a", word) for word in words.split()) if is_feminine else words


def _pointed(match: Match[str], language: str) -> str:
    name = primary(language)
    if not _POINTED[name] or not int(match[1]):
        return match[1]
    words = _ordinal(int(match[1]), _POINTED[name])
    if name != "de":
        return words
    before = match.string[max(0, match.start() - _CONTEXT) : match.start()]
    if _GERMAN_N.search(before):
        return words + "n"
    is_bare = _BEFORE_NOUN.search(before) is None or re.search(r"\bein\s+$", before) is not None
    following = _FOLLOWING.match(match.string, match.end() - 1)
    is_date = following is not None and following[1].lower() in months(language)
    return words + ("r" if is_bare and (is_date or before.endswith("ein ")) else "")


def _day(day: str, name: str) -> str:
    if name in _FIRST_DAY:
        return _FIRST_DAY[name]
    if name == "ru":
        return _ordinal(int(day), name, case="g", gender="n")
    words = _ordinal(int(day), name).split()
    return " ".join(word + "ego" if word.endswith("i") else word[:-1] + "ego" for word in words)


def _ordinal(number: int, name: str, **form: str) -> str:
    from num2words import num2words

    words: str = num2words(number, lang=name, to="ordinal", **form)
    return words
