"""Text in another language than English in, the same with its times of day and scores as one says them out.

Many languages write a time with a point, as other figures: it is one only beside a word that asks for it, such as Uhr or godz.
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import Match

from emotts.text.figure_words import AGAINST, HOURS, TIMES
from emotts.text.languages import primary

_FRENCH_TIME = re.compile(r"(?<![\d.,:])(\d{1,2}) ?h ?([0-5]\d)?(?!\w)")
_SCORE = re.compile(r"(?<![\d:.,])(\d{1,3}):(\d{1,3})(?![\d:])")
_POINTED = re.compile(r"(?<![\d:])(?<!\d[.,])([01]?\d|2[0-4])\.([0-5]\d)(?!\d|[.,:]\d)")
_CUES = {  # before or behind a time with a point
    "de": ("", "Uhr"),
    "nl": ("om", "uur"),
    "pl": ("o|od|do|przed|godzin[aąęy]|godzinie", "godz"),
    "ro": ("or[ae]|orele|orelor|orei", ""),
}
_HOUR = re.compile(r"\b((?:o|od|do|po|około|przed)\s)?godz\.\s?(?=\d)", re.IGNORECASE)
_HOUR_FORMS = {  # of the Polish abbreviation godz. behind a preposition
    **{"o": "godzinie", "po": "godzinie", "od": "godziny", "do": "godziny", "około": "godziny", "przed": "godziną"},
}
_AMOUNT = re.compile(  # no time, for how much follows: money, parts of a hundred, what is measured
    r"(?:\s?(?:[-–]|do|i|lub|tot|en|of)\s?\d{1,9}(?:[.,]\d{1,9})?)?\s?"
    r"(?:[%‰€$£°]|zł|euro|dolar|dollar|gulden|frank|punkt|punt|proc|pkt|mln|mld|tys|milj|met[re]|kilo|gram|lit[re]|(?:[kcm]?m|[km]?g|ha)\b|"
    r"USD|EUR|PLN)",
    re.IGNORECASE,
)
# In German 3:16 is a score, and a time before Uhr, behind one of these, or with two digits before the colon or a zero behind it.
_GERMAN_CUE = re.compile(
    r"\b(?:um|ab|bis|gegen|von|vom|seit|vor|nach|zwischen|jetzt|es ist|ist es|heute|gestern|morgens?|mittags|abends|nachts|früh|"
    r"(?:Abfahr|Ankunf|Zei|Uhrzei)t|Abflug|Anpfiff|Beginn|Start|Ende|Einlass|(?:Mon|Diens|Donners|Frei|Sams|Sonn)tags?|Mittwoch)\s$"
    r"|\b(?:um|ab|von|vom|zwischen)\s\d{1,2}:\d\d(?:\s?[-–]\s?|\sund\s|\soder\s)$",
    re.IGNORECASE,
)
_GERMAN_RANGE = re.compile(r"\s?(?:[-–]|bis|und|oder)\s?(?:[01]?\d|2[0-4]):[0-5]\d\s?Uhr\b")
_GERMAN_RATIO = re.compile(
    r"\b(?:Maßstab|Verhältnis|Mischung|Quote|(?:End|Zwischen|Spiel)stand|siegten?|gewann(?:en)?|verlor(?:en)?)"
    r"(?: von| ist| mit)?\s$"
)
_VERSE = re.compile(  # of the Bible or the Koran
    r"\b(?:Mose|Samuel|Könige|Korinther|Petrus|Johannes|Timotheus|Psalm|Jesaja|Jeremia|Hiob|Sprüche|Prediger|Daniel|Matthäus|Markus|"
    r"Lukas|Apostelgeschichte|Römer|Galater|Epheser|Philipper|Kolosser|Hebräer|Jakobus|Offenbarung|Genesis|Exodus|Sure|Mo|Kor|Petr|Joh|"
    r"Tim|Ps|Jes|Mt|Mk|Lk|Apg|Röm|Gal|Eph|Phil|Hebr|Jak|Offb|Gen|Ex)\.?\s$"
)
_CONTEXT = 40  # characters looked at before a figure


def read_times(text: str, language: str) -> str:
    """Read times of day with a colon, a point or an h, then scores such as 2:1.

    Args:
        text: clean text, in which dates were read.
        language: not English.
    """
    name = primary(language)
    if name == "pl":
        text = _HOUR.sub(lambda m: f"{m[1] or ''}{_HOUR_FORMS.get((m[1] or '').strip().lower(), 'godzina')} ", text)
    if name in _CUES:
        text = _POINTED.sub(lambda m: _with_colon(m, *_CUES[name]), text)
    if name == "de":
        text = _SCORE.sub(_verse, text)
    if name == "fr":
        text = _FRENCH_TIME.sub(lambda m: f"{m[1]}:{m[2] or '00'}", text)
    if name in TIMES:
        text = _time(TIMES[name][2]).sub(lambda m: _time_of_day(m, name), text)
    return _SCORE.sub(rf"\1 {AGAINST[name]} \2", text) if name in AGAINST else text


def _with_colon(match: Match[str], before: str, behind: str) -> str:
    is_time = bool(behind) and re.match(rf"\s?(?:{behind})\b", match.string[match.end() : match.end() + 12])
    if not is_time and before and not _AMOUNT.match(match.string, match.end()):
        is_time = re.search(rf"(?<!\w)(?:{before})\s?$", _before(match), re.IGNORECASE)
    return f"{match[1]}:{match[2]}" if is_time else match[0]


@lru_cache(maxsize=16)
def _time(behind: str) -> re.Pattern[str]:
    end = rf"(?P<end>\s?(?:{behind})(?!\w))?" if behind else ""
    return re.compile(rf"(?<![\d.,:])([01]?\d|2[0-4]):([0-5]\d)(?![\d:]){end}")


def _time_of_day(match: Match[str], name: str) -> str:
    if name == "de" and not match["end"] and not _is_german_time(match):
        return match[0]
    hour, minute = int(match[1]), int(match[2])
    said = (TIMES[name][0] if minute else TIMES[name][1]).format(h=HOURS.get(name, {}).get(hour, hour), m=minute)
    return said if name in ("cmn", "ja") else f" {said} "


def _is_german_time(match: Match[str]) -> bool:
    before = _before(match)
    if _GERMAN_RATIO.search(before):
        return False
    if len(match[1]) == 2 or match[2][0] == "0" or _GERMAN_CUE.search(before):
        return True
    return _GERMAN_RANGE.match(match.string, match.end()) is not None


def _verse(match: Match[str]) -> str:
    is_time = re.match(r"\s?Uhr\b", match.string[match.end() : match.end() + 5])
    return match[0] if is_time or not _VERSE.search(_before(match)) else f"{match[1]}, {match[2]}"


def _before(match: Match[str]) -> str:
    return match.string[max(0, match.start() - _CONTEXT) : match.start()]
