"""Text in another language than English in, the same with figures as its reader takes them out; English is normalise.py's.

A point, comma, colon, space or apostrophe inside a figure belongs to it: groups of thousands are joined, decimals keep the mark
that their language has or get its word, signs become words. What is left between two digits is never a pause: `PAUSE`. Marks and
groups of a language are those of CLDR (cldr.py), and every pattern has bounded repeats.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from re import Match

from emotts.text.cldr import (
    currency_name,
    date_in_words,
    decimal_mark,
    is_month_first,
    month_name,
    months,
    plural_of,
    with_unit,
)
from emotts.text.figure_words import CODES, MINUS, MONEY, PERCENT, PLUS, WITH_CENTS
from emotts.text.languages import primary
from emotts.text.numerals import german_year, read_number
from emotts.text.ordinals import read_ordinals, read_signed_ordinals
from emotts.text.time_of_day import read_times

PAUSE = r"(?<!\d)[,.:]|[,.:](?!\d)|[!?;—…]"  # a mark that is no part of a figure

_UNSPACED = ("cmn", "ja")
_MARKS = str.maketrans({"٪": "%", "，": ",", "：": ":", "．": "."})
_MARK_IN_FIGURE = re.compile(r"(?<=\d)[，：．](?=\d)|٪")
_JOINT = re.compile(r"(?<=\d)(?<!\d{4})[\u00a0\u2007\u2009\u202f’٬](?=\d{3}(?!\d))")
_DATE = re.compile(r"(?<![\d.,/-])(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?![\d/-])")
_ISO_DATE = re.compile(r"(?<![\d.,/-])(\d{4})([./-])(\d{1,2})\2(\d{1,2})(?![\d/-])")
_PHONE = re.compile(r"(?<![\w.,])0\d{1,4}(?:-\d{2,4}){2,3}(?![\w-])")
_VIETNAMESE_PHONE = re.compile(r"(?<![\w.,])0\d{2,3}([ .])\d{3,4}\1\d{3,4}(?![\w,])")
_CHINESE_YEAR = re.compile(r"(?<!\d)\d{4}(?=年)")
_SIGNS = "|".join(
    re.escape(sign) + (r"(?![^\W\d_])" if sign[-1].isalpha() else "")
    for sign in sorted(CODES, key=len, reverse=True)
    if sign != CODES[sign]
)
_CODES = "|".join(code for code in CODES if code == CODES[code])
_GERMAN_DAY = re.compile(
    r"\b((?:am|vom|zum|bis|seit|ab|de[rnm])\s(?:[0-2]?\d|3[01])\.)(0?[1-9]|1[0-2])\.(?!\d)(\s*$)?", re.IGNORECASE
)
_TWO = re.compile(r"(?<![\d.,第初A-Za-z])(?<!第 )2(?=[个個位次天只張张本杯块塊家])(?!次[方元函曲])")
# No sign but a hyphen stands behind a word, behind what is counted or measured, and so in ranges.
_BEFORE_SIGN = (
    r"(?<![^\W\u0e01-\u0e4e\u3040-\u30ff\u3400-\u9fff])(?<![.,:)\]%°€$£¥₹₽₺₩฿₫₴₪年月日号號時时分点點章页頁期岁歳])"
)
# In scripts without spaces a hyphen joins a name and its number (歼-20): a minus is told by what is measured, or by "is".
_UNSPACED_LETTER = re.compile(r"[\u0e01-\u0e4e\u3040-\u30ff\u3400-\u9fff]")
_COUNTED = re.compile(
    r"[\d两]\s?[千百]?(?:[万亿億度元円圆圓块塊米个個人名倍次天周歳岁]|公里|美元|欧元|ドル|ユーロ|キロ|メートル|องศา|บาท|คน|ปี)$"
)
_IS = re.compile(r"(?:[是為于於至到约約はがをも]|(?<!华)为|คือ|เป็น|เท่ากับ)$")
_MEASURE = re.compile(
    r"\s?(?:[万亿億度元円圆圓块塊米%°]|美元|欧元|歐元|日元|公里|公尺|厘米|个?百分点|ドル|ユーロ|ポンド|ポイント|パーセント|メートル|"
    r"องศา|บาท|ดอลลาร์|ยูโร|เปอร์เซ็นต์|เมตร)"
)
_DEGREES = {"C": "temperature-celsius", "F": "temperature-fahrenheit"}


def fold_figures(text: str, language: str) -> str:
    """Join and fold what is inside figures and would be lost when characters are folded.

    Args:
        text: as written.
        language: not English.
    """
    text = _MARK_IN_FIGURE.sub(lambda m: m[0].translate(_MARKS), _JOINT.sub("", text))
    text = re.sub(r"(?<=\d)٫(?=\d)", decimal_mark(language), text) if "٫" in text else text
    return read_signed_ordinals(text, language)


def read_figures(text: str, language: str) -> str:
    """Write figures so that the reader of the language says them rightly: in digits where it can.

    Args:
        text: clean text: ASCII digits, no control characters.
        language: not English.
    """
    if not any(sign.isdigit() for sign in text):
        return text
    text = _DATE.sub(lambda m: _date(m, language), text)
    if primary(language) == "de":
        text = _GERMAN_DAY.sub(_german_day, text)
    text = _ISO_DATE.sub(lambda m: _date_of(m[0], (int(m[1]), int(m[3]), int(m[4])), language), text)
    text = _PHONE.sub(lambda m: ", ".join(" ".join(group) for group in m[0].split("-")), text)
    if primary(language) == "vi":
        text = _VIETNAMESE_PHONE.sub(lambda m: ", ".join(" ".join(group) for group in m[0].split(m[1])), text)
    text = read_ordinals(text, language)
    text = read_times(text, language)
    if primary(language) == "de":
        text = _german_year().sub(lambda m: german_year(m[0]), text)
    comma = decimal_mark(language) == ","
    text = _lists(comma).sub(lambda m: m[0] if _is_grouped(m[0], comma) else m[0].replace(",", ", "), text)
    if primary(language) == "cmn":
        text = _CHINESE_YEAR.sub(lambda m: "".join(read_number(digit, "", "", "cmn") for digit in m[0]), text)
        text = _TWO.sub("两", text)
    text = _quantity(comma).sub(lambda m: _read_quantity(m, language), text)
    return _read_leftovers(text, language) if primary(language) in ("cmn", "vi") else text


def _read_leftovers(text: str, language: str) -> str:
    """Read what is left of digits, as in 2.0.1, where espeak says only single ones rightly."""
    point, gap = (" chấm ", " ") if primary(language) == "vi" else ("点", "")
    text = re.sub(r"(?<=\d)\.(?=\d)", point, text)
    return re.sub(r"\d{1,4000}", lambda m: f"{gap}{read_number(m[0], '', '', language)}{gap}", text)


def _date(match: Match[str], language: str) -> str:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    day, month = (second, first) if is_month_first(language) else (first, second)
    return _date_of(match[0], (year, month, day), language)


def _date_of(written: str, parts: tuple[int, int, int], language: str) -> str:
    try:
        day = date(*parts)
    except ValueError:
        return written
    if primary(language) == "vi":
        return f"{day.day} tháng {day.month} năm {day.year}"
    return date_in_words(day, language) or written


def _german_day(match: Match[str]) -> str:
    return f"{match[1]} {month_name(int(match[2]), 'de')}" + ("." if match[3] is not None else "")


@lru_cache(maxsize=1)
def _german_year() -> re.Pattern[str]:
    cues = ("Jahr", "Jahre", "seit", "anno", "Sommer", "Winter", "Herbst", "Frühjahr", *months("de"))
    before = "|".join(rf"(?<=\b{cue} )" for cue in cues)
    return re.compile(rf"(?:{before})1[1-9]\d\d(?![\d:'€$%]|[.,]\d| [€$%°])", re.IGNORECASE)


@lru_cache(maxsize=2)
def _lists(comma: bool) -> re.Pattern[str]:
    return re.compile(r"(?<![\d.,])\d{1,40}(?:,\d{1,40}){2,100}" + (r"(?![\d.])" if comma else r"(?!\d)"))


def _is_grouped(figure: str, comma: bool) -> bool:
    return not comma and re.fullmatch(r"[1-9]\d{0,2}(?:,\d{2,3}){0,20},\d{3}", figure) is not None


@lru_cache(maxsize=2)
def _quantity(comma: bool) -> re.Pattern[str]:
    """Return the pattern of a number with a sign before and behind it."""
    spaced = r"(?<!\d )(?<![^\W\d_])[1-9]\d{0,2}(?: \d{3}){1,10}(?!\d)"  # not the end of another figure
    commas = r"[1-9]\d{0,2}(?:(?:,\d{2,3}){0,20},\d{3}|(?:'\d{3}){1,10})(?!\d)"
    grouped = rf"[1-9]\d{{0,2}}(?:(?:\.\d{{3}}){{1,10}}|(?:'\d{{3}}){{1,10}})(?!\d)|{spaced}" if comma else commas
    return re.compile(
        rf"(?P<sign>{_BEFORE_SIGN}[-+])?(?:(?P<before>{_SIGNS}|%|\b(?:{_CODES}))\s?(?P<inner>-)?)?(?<![\d.,:])"
        rf"(?P<whole>{grouped}|\d{{1,4000}})(?:(?P<mark>[.,])(?P<fraction>\d{{1,4000}}))?(?![.,:]?\d)"
        rf"(?:\s?(?:(?P<after>{_SIGNS}|%|(?:{_CODES})\b)|°\s?(?P<degrees>[CF])(?![A-Za-zÀ-ž])))?"
    )


def _read_quantity(match: Match[str], language: str) -> str:
    name = primary(language)
    whole = re.sub(r"[^\d]", "", match["whole"])
    mark, fraction = match["mark"] or "", match["fraction"] or ""
    said = read_number(whole, mark, fraction, language)
    of = match["before"] or match["after"]
    count = _count(whole, fraction)
    if of == "%":
        template = PERCENT.get(name)
        words = template.format(said) if template else with_unit(said, count, "percent", language)
    elif of:
        words = _money(said, (whole, fraction), of, language)
    elif match["degrees"]:
        words = with_unit(said, count, _DEGREES[match["degrees"]], language)
    else:
        words = said
    words = words.replace(" ", "") if name in _UNSPACED else words
    sign = "-" if match["inner"] else match["sign"]
    hyphen = _hyphen(match) if sign == "-" and not match["inner"] else None
    if hyphen is not None:
        words = hyphen + words
    elif sign:
        before = (MINUS if sign == "-" else PLUS).get(name, "")
        words = before + words if name in _UNSPACED else f"{before} {words}"
    return words if words == match[0] or name in _UNSPACED else f" {words} ".replace("\u00a0", " ")


def _hyphen(match: Match[str]) -> str | None:
    """Return what to write of a hyphen between a letter of a script without spaces and a number; None if it is a minus."""
    before = match.string[max(0, match.start() - 10) : match.start()]
    if not _UNSPACED_LETTER.match(before[-1:]):
        return None
    if _COUNTED.search(before):
        return "-"  # a range
    has_measure = match["before"] or match["after"] or match["degrees"] or _MEASURE.match(match.string, match.end())
    return None if has_measure or _IS.search(before) else ""


def _count(whole: str, fraction: str) -> Decimal:
    """Return a number of the same grammatical number that is not too long for CLDR's rules, which look at the last digits."""
    short = whole if len(whole) < 12 else "1" + whole[-9:]
    return Decimal(f"{short}.{fraction[:3]}" if fraction else short)


def _money(said: str, number: tuple[str, str], sign: str, language: str) -> str:
    name, (whole, fraction) = primary(language), number
    code = CODES[sign]
    sign = next((short for short, long in CODES.items() if long == code), sign)
    has_cents = len(fraction) == 2 and name in WITH_CENTS and code not in ("JPY", "KRW", "VND")
    count = _count(whole, "" if has_cents else fraction)
    said = read_number(whole, "", "", language) if has_cents else said
    words = _with_noun(said, count, sign, code, language)
    cents = int(fraction) if has_cents else 0
    return " ".join(filter(None, (words, WITH_CENTS[name], str(cents)))) if cents else words


def _with_noun(said: str, count: Decimal, sign: str, code: str, language: str) -> str:
    forms = MONEY.get(primary(language), {}).get(sign, "").split("|")
    if forms == [""]:
        return f"{said} {currency_name(code, count, language)}".strip()
    if len(forms) == 1:
        return said + forms[0] if primary(language) in _UNSPACED else f"{said} {forms[0]}"
    if count == 1:
        return forms[0]
    plural = plural_of(count, language)
    if plural == "one":
        return f"{said} {forms[0].split(' ', 1)[1]}"
    return f"{said} {forms[{'few': 1, 'many': 2}.get(plural, 3) if len(forms) == 4 else -1]}"
