"""A number in, its American English words out: cardinals, ordinals, years, decimals, digits, Roman numerals."""

from __future__ import annotations

_NAMES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
"""
_ONES, _TENS = _NAMES.split()[:20], ["", "", *_NAMES.split()[20:]]
_SCALES = ("", *["thousand", "million", "billion", "trillion", "quadrillion", "quintillion"])
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS["twelve"] = "twelfth"
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_LONGEST = 3 * len(_SCALES)  # digits; longer numbers are read digit by digit


def cardinal(digits: str) -> str:
    """Read a whole number: ``1234`` -> one thousand two hundred thirty-four; one with a leading zero digit by digit."""
    if len(digits) > _LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return spell_digits(digits)
    if int(digits) == 0:
        return "zero"
    groups: list[str] = []
    number, scale = int(digits), 0
    while number:
        number, group = divmod(number, 1000)
        if group:
            groups.insert(0, f"{_below_thousand(group)} {_SCALES[scale]}".strip())
        scale += 1
    return " ".join(groups)


def ordinal(digits: str) -> str:
    """Read a whole number as an ordinal: ``21`` -> twenty-first."""
    words = cardinal(digits)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        return words[:cut] + _ORDINALS[last]
    return words[:cut] + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def spell_digits(digits: str) -> str:
    """Read digit by digit: ``007`` -> zero zero seven."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def decimal(whole: str, fraction: str) -> str:
    """Read a decimal number: ``3``, ``14`` -> three point one four."""
    return f"{cardinal(whole) if whole else 'zero'} point {spell_digits(fraction)}"


def number(text: str) -> str:
    """Read a number as written, with thousands separators, a sign or a decimal point: ``-1,234.5``."""
    sign, digits = ("minus ", text[1:]) if text[:1] in ("-", "+", "−") else ("", text)
    sign = "plus " if text[:1] == "+" else sign
    whole, point, fraction = digits.replace(",", "").partition(".")
    return sign + (decimal(whole, fraction) if point and fraction else cardinal(whole))


def year(digits: str) -> str:
    """Read a year of four digits: ``1905`` -> nineteen oh five, ``2024`` -> twenty twenty-four."""
    century, rest = int(digits[:-2]), int(digits[-2:])
    if century % 10 == 0 and rest < 10:
        return cardinal(digits)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def decade(digits: str) -> str:
    """Read a decade: ``1990`` -> nineteen nineties, ``90`` -> nineties."""
    words = year(digits) if len(digits) == 4 else cardinal(digits)
    if digits.endswith("000"):
        return words + "s"
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def fraction(numerator: int, denominator: int) -> str:
    """Read a fraction: 3, 4 -> three quarters."""
    top = cardinal(str(numerator))
    if denominator in (2, 4):
        bottom = "half" if denominator == 2 else "quarter"
    elif 2 < denominator <= 100 or denominator == 1000:
        bottom = ordinal(str(denominator))
    else:
        return f"{top} over {cardinal(str(denominator))}"
    if numerator == 1:
        return f"{top} {bottom}"
    return f"{top} {'halves' if bottom == 'half' else bottom + 's'}"


def roman_value(numeral: str) -> int | None:
    """Value of a well-formed Roman numeral below 40 (I V X), else None."""
    total = 0
    for here, following in zip(numeral, numeral[1:] + " ", strict=True):
        value = _ROMAN[here]
        total += -value if _ROMAN.get(following, 0) > value else value
    return total if _to_roman(total) == numeral else None


def _to_roman(number: int) -> str:
    ones = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
    return "X" * (number // 10) + ones[number % 10] if 0 < number < 40 else ""


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10] + (f"-{_ONES[rest % 10]}" if rest % 10 else ""))
    elif rest:
        words.append(_ONES[rest])
    return " ".join(words)
