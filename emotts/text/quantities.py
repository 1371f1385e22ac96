"""Text with figures in, words out: dates, times, money, measures, phone numbers, ranges, fractions, plain numbers.

Every pattern has bounded repeats and cannot start inside its own match, so time grows linearly with the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from emotts.text.numbers import cardinal, decade, fraction, number, ordinal, roman_value, spell_digits, year

_MONTH_NAMES = """
January February March April May June July August September October November December
"""
_MONTHS = _MONTH_NAMES.split()
_MONTH_OF = {**{month: month for month in _MONTHS}, **{month[:3]: month for month in _MONTHS}, "Sept": "September"}
_MONTH = r"(?P<month>January|February|March|April|May|June|July|August|September|October|November|December|" + (
    r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\b\.?)"
)
_NUMBER = r"\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,20})?|\d{1,30}(?:\.\d{1,20})?"
_SCALE = r"(?P<scale>thousand|million|billion|trillion|k|K|m|M|mn|bn|B|tn)"
_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "bn": "billion"}
_SCALES |= {"B": "billion", "tn": "trillion"}
_CURRENCIES = {  # symbol: one, many, one hundredth, hundredths
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
}
_CURRENCY_CODES = {"USD": "$", "GBP": "£", "EUR": "€", "JPY": "¥"}
_UNITS = {  # symbol: one, many
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"),
    "km2": ("square kilometer", "square kilometers"),
    "m2": ("square meter", "square meters"),
    "m3": ("cubic meter", "cubic meters"),
    "cm2": ("square centimeter", "square centimeters"),
    "cm3": ("cubic centimeter", "cubic centimeters"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"),
    "µm": ("micrometer", "micrometers"),
    "m": ("meter", "meters"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "lbs": ("pound", "pounds"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "mi": ("mile", "miles"),
    "yd": ("yard", "yards"),
    "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"),
    "L": ("liter", "liters"),
    "l": ("liter", "liters"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "Hz": ("hertz", "hertz"),
    "dB": ("decibel", "decibels"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"),
    "W": ("watt", "watts"),
    "V": ("volt", "volts"),
    "mAh": ("milliamp hour", "milliamp hours"),
    "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "Mbps": ("megabit per second", "megabits per second"),
    "ms": ("millisecond", "milliseconds"),
    "sec": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "kcal": ("kilocalorie", "kilocalories"),
    "cal": ("calorie", "calories"),
    "ha": ("hectare", "hectares"),
    "%": ("percent", "percent"),
    "‰": ("per mille", "per mille"),
}
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_YEAR_CUE = (
    r"\b(?:in|since|by|from|until|till|of|year|circa|before|after|around|late|early|mid|summer|spring|fall|winter)"
)
_REGNAL = (
    "Henry|Louis|Elizabeth|Charles|James|George|William|Edward|Richard|John|Paul|Pius|Benedict|Napoleon|Philip|Ramses|Nicholas|"
    "Alexander|Catherine|Peter|Leo|Frederick|Ferdinand|Mary|Innocent|Gregory|Clement|Pope|King|Queen|Ivan|Umberto|Wilhelm"
)
_NUMBERED = (
    "Chapter|Part|Section|Act|Scene|Volume|Vol|Book|War|Article|Phase|Type|Class|Title|Appendix|Level|Stage|Grade|Unit|Episode|Season|"
    "chapter|part|section|act|scene|volume|book|article|phase|type|class|level|stage|grade|unit|episode|season"
)


def read_quantities(text: str) -> str:
    """Replace all figures by words.

    Args:
        text: clean text: ASCII digits, no control characters, web addresses already read.

    Returns:
        Text without digits.
    """
    if not any(character.isdigit() for character in text):
        return _read_roman(text)
    text = _read_roman(text)
    text = _DOLLAR_COUNTRY.sub("$", text)
    for needs, pattern, read in _RULES:
        if not needs or any(character in text for character in needs):
            text = pattern.sub(read, text)
    return text


def _read_roman(text: str) -> str:
    return _NUMBERED_ROMAN.sub(_numbered_roman, _REGNAL_ROMAN.sub(_regnal_roman, text))


def _regnal_roman(match: Match[str]) -> str:
    value = roman_value(match[2])
    return f"{match[1]} the {ordinal(str(value))}" if value else match[0]


def _numbered_roman(match: Match[str]) -> str:
    value = roman_value(match[2])
    return f"{match[1]} {cardinal(str(value))}" if value else match[0]


def _iso_date(match: Match[str]) -> str:
    return _date(match[0], match[1], int(match[2]), int(match[3]))


def _slash_date(match: Match[str]) -> str:
    month, day = int(match[1]), int(match[2])
    if month > 12:
        month, day = day, month
    written_year = match[3] if len(match[3]) == 4 else ("19" if int(match[3]) > 50 else "20") + match[3]
    return _date(match[0], written_year, month, day)


def _date(original: str, written_year: str, month: int, day: int) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return original
    return f"{_MONTHS[month - 1]} {ordinal(str(day))}, {year(written_year)}"


def _month_day(match: Match[str]) -> str:
    if not 1 <= int(match["day"]) <= 31:
        return match[0]
    end = f", {year(match['year'])}" if match["year"] else ""
    return f"{_MONTH_OF[match['month'].rstrip('.')]} {ordinal(match['day'])}{end}"


def _day_month(match: Match[str]) -> str:
    if not 1 <= int(match["day"]) <= 31:
        return match[0]
    end = f", {year(match['year'])}" if match["year"] else ""
    article = "" if match["the"] else "the "
    return f"{match['the'] or ''}{article}{ordinal(match['day'])} of {_MONTH_OF[match['month'].rstrip('.')]}{end}"


def _month_year(match: Match[str]) -> str:
    return f"{_MONTH_OF[match['month'].rstrip('.')]} {year(match['year'])}"


def _time(match: Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 24 or minute > 59:
        return match[0]
    half = _half_day(match["half"])
    words = cardinal(str(hour))
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(str(minute))}"
    elif not half:
        words += " o'clock" if 1 <= hour <= 12 else " hundred hours"
    if match["second"]:
        words += f" and {cardinal(str(int(match['second'])))} seconds"
    return words + half


def _hour(match: Match[str]) -> str:
    return cardinal(match[1]) + _half_day(match["half"]) if 1 <= int(match[1]) <= 12 else match[0]


def _half_day(half: str | None) -> str:
    return f" {half[0].upper()}M" if half else ""


def _money(match: Match[str]) -> str:
    symbol, amount = _CURRENCY_CODES.get(match["code"], match["code"]), match["amount"]
    sign = "minus " if match["sign"] else ""
    return sign + _amount_of_money(symbol, amount, match["scale"], match["high"], bool(match["noun"]))


def _money_after(match: Match[str]) -> str:
    symbol = _CURRENCY_CODES.get(match["code"], match["code"])
    return _amount_of_money(symbol, match["amount"], None, None)


def _amount_of_money(symbol: str, amount: str, scale: str | None, high: str | None, is_adjective: bool = False) -> str:
    one, many, hundredth, hundredths = _CURRENCIES[symbol]
    if high:
        return f"{number(amount)} to {number(high)} {_scale(scale)}{many}"
    if scale:
        return f"{number(amount)} {_scale(scale)}{many}"
    whole, point, cents = amount.replace(",", "").partition(".")
    if point and len(cents) != 2:
        return f"{number(amount)} {many}"
    many = one if is_adjective and not point else many
    words = [] if point and int(whole) == 0 else [f"{cardinal(whole)} {one if whole == '1' else many}"]
    if point and int(cents):
        words.append(f"{cardinal(str(int(cents)))} {hundredth if int(cents) == 1 else hundredths}")
    return " and ".join(words) or f"zero {many}"


def _scale(scale: str | None) -> str:
    return f"{_SCALES.get(scale, scale)} " if scale else ""


def _measure(match: Match[str]) -> str:
    one, many = _UNITS[match["unit"]]
    is_one = match["amount"] == "1" or bool(match["hyphen"])
    low = f"{number(match['low'])} to " if match["low"] else ""
    return f"{low}{number(match['amount'])} {one if is_one and not low else many}"


def _phone(match: Match[str]) -> str:
    country = f"{'plus ' if match['plus'] else ''}{spell_digits(match['country'])}, " if match["country"] else ""
    return country + ", ".join(spell_digits(match[name]) for name in ("area", "exchange", "line"))


def _fraction(match: Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    if match[0] in ("24/7", "9/11"):
        return f"{cardinal(match['top'])} {cardinal(match['bottom'])}"
    if bottom == 0:
        return f"{cardinal(match['top'])} over zero"
    words = fraction(top, bottom)
    if match["whole"]:
        if top == 1 and bottom in (2, 4):
            words = words.replace("one ", "a ")
        return f"{cardinal(match['whole'])} and {words}"
    return words


def _range(match: Match[str]) -> str:
    return f"{_plain(match[1])} to {_plain(match[2])}"


def _plain(text: str) -> str:
    return year(text) if re.fullmatch(r"(?:1[1-9]|20)\d\d", text) else number(text)


def _version(match: Match[str]) -> str:
    return f" {' point '.join(cardinal(part) for part in match[0].split('.'))} "


def _scientific(match: Match[str]) -> str:
    return f"{number(match[1])} times ten to the {number(match[2])}"


def _plain_number(match: Match[str]) -> str:
    is_glued = match.string[match.end() : match.end() + 1].isalpha()
    return number(match[0]) + (" " if is_glued else "")


# Characters of which one must be there for the rule to be tried ("": always), what it looks for, how that is read.
_RULES: list[tuple[str, re.Pattern[str], Callable[[Match[str]], str]]] = [
    (needs, re.compile(pattern), read)
    for needs, pattern, read in (
        (
            "-.",
            r"(?<![\d\w-])(?:(?P<plus>\+)?(?P<country>\d{1,3})[-. ])?\(?(?P<area>\d{3})\)?[-. ]{1,2}(?P<exchange>\d{3})"
            r"[-. ](?P<line>\d{4})(?![\d\w-])",
            _phone,
        ),
        ("-", r"(?<![\d\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\d\w-])", _iso_date),
        ("/.", r"(?<![\d\w/])(\d{1,2})[/.](\d{1,2})[/.](\d{4}|\d{2})(?![\d\w/]|\.\d)", _slash_date),
        ("", rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,? (?P<year>\d{{4}})\b)?", _month_day),
        (
            "",
            rf"(?P<the>\bthe )?\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}\b(?:,? (?P<year>\d{{4}})\b)?",
            _day_month,
        ),
        ("", rf"\b{_MONTH},? (?P<year>(?:1\d|20)\d\d)\b", _month_year),
        (
            ":",
            r"(?<![\d:])(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?![\d:])"
            r"(?: {0,2}(?P<half>[aApP])\.?[mM]\b\.?)?",
            _time,
        ),
        ("aApP", r"(?<![\w.,:])(\d{1,2}) {0,2}(?P<half>[aApP])(?:\.[mM]\.|[mM]\b)", _hour),
        (
            "$£€¥₹₩₽UGEJ",
            rf"(?P<sign>(?<!\w)[-−])?(?P<code>[$£€¥₹₩₽]|\b(?:USD|GBP|EUR|JPY)) ?(?P<amount>{_NUMBER})"
            rf"(?: ?[-–] ?[$£€¥]?(?P<high>{_NUMBER}))?(?: ?{_SCALE}\b)?"
            r"(?=(?P<noun>[ -](?:bill|note|coin|check|gift|prize|fine|fee|ticket|deal|bet)\b)?)",
            _money,
        ),
        ("$£€¥₹₩₽UGEJ", rf"(?<![\w.,])(?P<amount>{_NUMBER}) ?(?P<code>[$£€¥₹₩₽]|(?:USD|GBP|EUR|JPY)\b)", _money_after),
        ("", rf"(?<![\w.,])({_NUMBER}) ?(?:¢|cents?\b)", lambda m: f"{number(m[1])} cent{'' if m[1] == '1' else 's'}"),
        ("/", r"(?<![\w.,/])(?:(?P<whole>\d{1,4})[ -])?(?P<top>\d{1,4})/(?P<bottom>\d{1,4})(?![\w/]|\.\d)", _fraction),
        (
            "",
            rf"(?<![\w.,])(?:(?P<low>{_NUMBER})(?:%|°[CF]?)? ?[-–] ?)?"
            rf"(?P<amount>(?:(?<!\w)[-−])?(?:{_NUMBER}))(?:(?P<hyphen>-)| ?)"
            rf"(?P<unit>{_UNIT})(?![\w/])",
            _measure,
        ),
        (".", r"(?<![\d.])\d{1,6}(?:\.\d{1,6}){2,6}(?![\d.]*\d)", _version),
        ("", r"(?<![\w'])'?(\d0|\d{3}0)'?s\b", lambda m: decade(m[1])),
        ("", r"(?<![\w.,])((?:19|20)\d\d)(?='s\b)", lambda m: year(m[1])),
        ("", r"(?<![\w.,])(\d{1,30})(?:st|nd|rd|th|ST|ND|RD|TH)\b", lambda m: ordinal(m[1])),
        ("", r"(?<![\w.])(\d{1,3}(?:,\d{3}){1,6})(?:st|nd|rd|th)\b", lambda m: ordinal(m[1].replace(",", ""))),
        ("-–", r"(?<![\w.,–-])(\d{1,15}(?:\.\d{1,9})?) ?[-–] ?(\d{1,15}(?:\.\d{1,9})?)(?![\w–-]|\.\d)", _range),
        ("", r"(?<=\d) ?x ?(?=\d)", lambda m: " by "),
        ("eE", r"(?<![\w.,])(\d{1,15}(?:\.\d{1,15})?)[eE]([-+]?\d{1,4})\b", _scientific),
        ("", r"(?<![\w.])([3-8])'(1[01]|\d)\"", lambda m: f"{number(m[1])} foot {number(m[2])}"),
        ("", rf"(?i:({_YEAR_CUE})) (1\d\d\d)(?![\d.,]*\d)", lambda m: f"{m[1]} {year(m[2])}"),
        ("", r"(?<![\w.,])((?:19|20)\d\d)(?![\w]|[.,]\d)", lambda m: year(m[1])),
        ("", r"(?<![\w.)])[-−+]?(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d{1,4000})(?:\.\d{1,4000})?", _plain_number),
        ("", r"(?<!\w)[-−]?\.(\d{1,40})", lambda m: f"{'minus ' if m[0][0] in '-−' else ''}point {spell_digits(m[1])}"),
        ("", r"\d{1,4000}", lambda m: f" {cardinal(m[0])} "),  # inside words: MP3, B2B, 4K
    )
]
_DOLLAR_COUNTRY = re.compile(r"\b(?:US|CA|AU|NZ|HK|A|C)\$(?= ?\d)")
_REGNAL_ROMAN = re.compile(rf"\b((?:{_REGNAL})) ([IVX]{{2,7}}|[VX]|I(?=[,.;:!?)]| of\b| was\b| is\b| had\b|$))(?!\w)")
_NUMBERED_ROMAN = re.compile(rf"\b((?:{_NUMBERED})|[A-Z][a-z]{{1,20}}(?= [IVX]{{2}})) ([IVX]{{1,7}})(?!\w)")
