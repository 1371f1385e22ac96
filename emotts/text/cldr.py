"""A language's tag in, what the Unicode Common Locale Data Repository says of it out: decimal mark, months, currencies, units.

Babel holds the data; nothing is loaded before a text in another language than English holds a figure. https://cldr.unicode.org
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from emotts.text.languages import primary

if TYPE_CHECKING:
    from babel import Locale

_SHORTENED = re.compile(r"\s(?:г|р|ค\.ศ)\.|(?<=\d{4})\.|\.$")  # "of the year", and dots that would end the sentence
_NOT_TRANSLATED = re.compile(r"\bpercent\b|[%٪-]")


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale | None:
    """Return the locale of a tag such as ``de-CH``, else that of its first part; None if there is none."""
    from babel import Locale, UnknownLocaleError

    for name in (language.replace("-", "_"), primary(language)):
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return None


@lru_cache(maxsize=64)
def decimal_mark(language: str) -> str:
    """Return what stands before tenths: ``,`` or ``.``, the latter too where nothing is known."""
    from babel.numbers import get_decimal_symbol

    locale = locale_of(language)
    return "," if locale is not None and get_decimal_symbol(locale) == "," else "."


@lru_cache(maxsize=64)
def months(language: str) -> frozenset[str]:
    """Return the names of the months in small letters, as they stand in dates."""
    locale = locale_of(language)
    return frozenset(name.lower() for name in locale.months["format"]["wide"].values()) if locale else frozenset()


def month_name(month: int, language: str) -> str:
    """Return the name of a month, from 1, as it stands in dates; empty if the language is not known."""
    locale = locale_of(language)
    return str(locale.months["format"]["wide"][month]) if locale else ""


def plural_of(count: Decimal, language: str) -> str:
    """Return the grammatical number that a count asks for: ``one``, ``few``, ``many``, ``other``."""
    locale = locale_of(language)
    return locale.plural_form(count) if locale else "other"


def currency_name(code: str, count: Decimal, language: str) -> str:
    """Return the name of a currency such as ``EUR`` beside a count; empty if it is not known."""
    from babel.numbers import get_currency_name

    locale = locale_of(language)
    name = get_currency_name(code, count, locale) if locale else code
    return "" if name == code else name


def with_unit(number: str, count: Decimal, unit: str, language: str) -> str:
    """Return a number, as it will be read, with the name of a unit of CLDR such as ``percent``; alone if it has none there."""
    return _unit_pattern(float(count), unit, language).replace("\n", number)


@lru_cache(maxsize=1024)
def _unit_pattern(count: float, unit: str, language: str) -> str:
    """Return what CLDR writes of a count and its unit, with a line's end for the number: Babel takes long to find it."""
    from babel.units import UnknownUnitError, format_unit

    locale = locale_of(language)
    try:
        written = format_unit(count, unit, "long", locale=locale) if locale else ""
    except UnknownUnitError:
        written = ""
    pattern, n_found = re.subn(r"\d(?:[\d.,\s\u00a0\u202f]*\d)?", "\n", written)
    return "\n" if n_found != 1 or _NOT_TRANSLATED.search(pattern) else pattern


def date_in_words(day: date, language: str) -> str:
    """Return a date with the name of its month, its day and year in digits; empty if the language is not known."""
    from babel.dates import format_date

    locale = locale_of(language)
    written = format_date(day, "long", locale=locale) if locale else ""
    plain = "".join(str(unicodedata.digit(sign)) if sign.isdigit() else sign for sign in written)
    return _SHORTENED.sub("", plain)


@lru_cache(maxsize=64)
def is_month_first(language: str) -> bool:
    """Say whether dates in digits begin with the month."""
    locale = locale_of(language)
    pattern = locale.date_formats["short"].pattern if locale else "d"
    order = [sign for sign in pattern if sign in "dM"]
    return order[:1] == ["M"] and "y" not in pattern.split("M")[0]
