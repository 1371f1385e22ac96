"""A number's digits in, the form that the reader of its language reads rightly out: digits where it can, words where it cannot.

espeak-ng 1.52 says most whole numbers and decimals itself. It misreads Mandarin from ten thousand on and Vietnamese from a
thousand on, Russian hundredths, and has no word for the decimal mark in some languages. num2words 0.5 says the second wrongly too.
"""

from __future__ import annotations

from emotts.text.cldr import decimal_mark
from emotts.text.languages import primary

_CHINESE = "零一二三四五六七八九"
_MYRIADS = ("", "万", "亿", "万亿")
_VIETNAMESE = ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"]
_THOUSANDS: tuple[list[str], ...] = ([], ["nghìn"], ["triệu"], ["tỷ"])
_VIETNAMESE_MARKS = {",": "phẩy", ".": "chấm"}
_LONGEST = 16  # digits; longer numbers are read digit by digit
_WORDS_FOR_MARK = {  # espeak has none, or in Hindi not this one
    **{"af": "komma", "hi": "दशमलव", "ko": "점", "lb": "Komma", "uk": "кома"},
}
_WORDS_FOR_POINT = {  # a point where the language writes a comma, as in 3.5: espeak would leave it out
    **{"nl": "punt", "pl": "kropka", "pt": "ponto", "ro": "punct", "sq": "pikë"},
}


def read_number(whole: str, mark: str, fraction: str, language: str) -> str:
    """Return a number as its reader takes it.

    Args:
        whole: digits, without separators of thousands; with leading zeros it is read digit by digit.
        mark: ``,`` or ``.`` before `fraction`; empty without one.
        fraction: digits, or empty.
        language: not English.
    """
    name = primary(language)
    if name == "cmn":
        return mandarin_numeral(whole) + ({".": "点", ",": "，", "": ""}[mark] + _by_digit(fraction))
    if name == "vi":
        return vietnamese_words(whole) + (f" {_VIETNAMESE_MARKS[mark]} {vietnamese_words(fraction)}" if mark else "")
    if not mark:
        return whole
    is_decimal = mark == decimal_mark(language)
    if name == "ru" and is_decimal and len(whole) <= 12 and len(fraction) <= 6:
        return _russian_decimal(whole, fraction)
    words = _WORDS_FOR_MARK if is_decimal else _WORDS_FOR_POINT
    if name in words:
        return f"{whole} {words[name]} {' '.join(fraction)}"
    return whole + mark + fraction


def mandarin_numeral(digits: str) -> str:
    """Return a whole number in Chinese characters: ``12050`` is 一万二千零五十; digit by digit with leading zeros."""
    if (digits[0] == "0" and len(digits) > 1) or len(digits) > _LONGEST:
        return _by_digit(digits)
    if int(digits) == 0:
        return _CHINESE[0]
    groups = [int(digits[max(0, end - 4) : end]) for end in range(len(digits), 0, -4)]
    said = ""
    for place in reversed(range(len(groups))):
        group = groups[place]
        if not group:
            continue
        is_gap = said and (group < 1000 or groups[place + 1] == 0)
        said += (_CHINESE[0] if is_gap else "") + _below_ten_thousand(group, bool(said), place) + _MYRIADS[place]
    return said


def vietnamese_words(digits: str) -> str:
    """Return a whole number in Vietnamese words: ``2024`` is hai nghìn không trăm hai mươi bốn; by digit with leading zeros."""
    if digits[0] == "0" or len(digits) > 12:
        return " ".join(_VIETNAMESE[int(digit)] for digit in digits)
    words: list[str] = []
    groups = [int(digits[max(0, end - 3) : end]) for end in range(len(digits), 0, -3)]
    for place in reversed(range(len(groups))):
        if groups[place]:
            words += _vietnamese_hundreds(groups[place], place + 1 < len(groups)) + _THOUSANDS[place]
    return " ".join(words)


def german_year(digits: str) -> str:
    """Return a year from 1100 to 1999 in German words: ``1999`` is neunzehnhundertneunundneunzig."""
    from num2words import num2words

    words: str = num2words(int(digits), lang="de", to="year")
    return words


def _below_ten_thousand(number: int, is_inside: bool, place: int) -> str:
    if number == 2 and place:
        return "两"
    if 10 <= number < 20 and not is_inside:
        return "十" + (_CHINESE[number - 10] if number > 10 else "")
    said, skipped = "", False
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, size)
        if digit:
            said += (_CHINESE[0] if skipped and said else "") + (
                "两" if (digit, size) == (2, 1000) else _CHINESE[digit]
            )
            said += name
        skipped = not digit
    return said


def _vietnamese_hundreds(number: int, is_inside: bool) -> list[str]:
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    words = [_VIETNAMESE[hundreds], "trăm"] if hundreds or is_inside else []
    if tens:
        words += ["mười"] if tens == 1 else [_VIETNAMESE[tens], "mươi"]
    elif ones and words:
        words.append("lẻ")
    if ones:
        words.append({1: "mốt" if tens > 1 else "một", 5: "lăm" if tens else "năm"}.get(ones, _VIETNAMESE[ones]))
    return words


def _by_digit(digits: str) -> str:
    return "".join(_CHINESE[int(digit)] for digit in digits)


def _russian_decimal(whole: str, fraction: str) -> str:
    from num2words import num2words

    words: str = num2words(f"{whole}.{fraction}", lang="ru")
    return words
