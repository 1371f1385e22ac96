"""Text as written in, text as a reader would say it out: words, and the punctuation that the alphabet has.

Linear in the length of the text: every pattern has bounded repeats and cannot start inside its own match.
"""

from __future__ import annotations

import re
import unicodedata
from re import Match

from emotts.text.figures import PAUSE, fold_figures, read_figures
from emotts.text.quantities import read_quantities

_QUOTES = str.maketrans(dict.fromkeys("‘’‚‛′`´ʼ＇", "'") | dict.fromkeys("“”„‟«»‹›″〝〞", '"'))
_DASHES = str.maketrans(dict.fromkeys("‐‑‒⁃﹣－", "-") | dict.fromkeys("―─⸺⸻", "—") | {"−": "-"})
_SPECIAL = str.maketrans(
    {
        **{
            "½": " 1/2",
            "⅓": " 1/3",
            "⅔": " 2/3",
            "¼": " 1/4",
            "¾": " 3/4",
            "⅕": " 1/5",
            "⅛": " 1/8",
            "⅜": " 3/8",
            "⅝": " 5/8",
        },
        **{
            "⅞": " 7/8",
            "™": "",
            "®": "",
            "©": " copyright ",
            "№": "number ",
            "℃": "°C",
            "℉": "°F",
            "μ": "µ",
            "…": "...",
            "Ω": " ohm ",
        },
        **{
            "、": ", ",
            "。": ". ",
            "।": ". ",
            "॥": ". ",
            "，": ", ",
            "！": "! ",
            "？": "? ",
            "：": ": ",
            "；": "; ",
            "·": " ",
            "•": ", ",
            "§": " section ",
        },
        **{"¿": " ", "¡": " ", "؟": "? ", "،": ", ", "¶": " ", "†": " ", "‡": " ", "º": "°"},
    }
)
_GREEK_NAMES = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda nu xi pi rho sigma tau upsilon phi chi psi omega
"""
_GREEK = dict(zip("αβγδεζηθικλνξπρστυφχψω", _GREEK_NAMES.split(), strict=True))
_ABBREVIATIONS = """
Mr: Mister; Mrs: Missus; Ms: Miz; Dr: Doctor; Prof: Professor; Jr: Junior; Sr: Senior; Gen: General; Col: Colonel;
Sgt: Sergeant; Capt: Captain; Lt: Lieutenant; Rev: Reverend; Gov: Governor; Sen: Senator; Rep: Representative;
Pres: President; Hon: Honorable; Mt: Mount; Ave: Avenue; Blvd: Boulevard; Rd: Road; Ln: Lane; Hwy: Highway;
Inc: Incorporated; Ltd: Limited; Corp: Corporation; Co: Company; Bros: Brothers; Dept: Department;
Univ: University; Fig: Figure; Figs: Figures; Vol: Volume; Ch: Chapter; Eq: Equation; Sec: Section; Ed: Editor;
Mon: Monday; Tue: Tuesday; Tues: Tuesday; Wed: Wednesday; Thu: Thursday; Thurs: Thursday; Fri: Friday;
Sat: Saturday; Jan: January; Feb: February; Apr: April; Aug: August; Sept: September; Sep: September; Oct: October;
Nov: November; Dec: December; Messrs: Messers; approx: approximately; dept: department; est: established;
govt: government; vs: versus; v: versus; etc: et cetera; al: al; cf: compare; ca: circa; no: number; No: Number;
Nos: Numbers; p: page; pp: pages; ft: feet; lb: pound; lbs: pounds; oz: ounces; min: minutes; hr: hour; hrs: hours;
yr: year; yrs: years; Mgr: Manager; Apt: Apartment; ext: extension; misc: miscellaneous
"""
_TITLES = {
    short.strip(): words.strip()
    for short, _, words in (entry.partition(":") for entry in _ABBREVIATIONS.replace("\n", " ").split(";"))
}
_BEFORE_NUMBER_ONLY = frozenset(
    ("no", "No", "Nos", "p", "pp", "v", "Ch", "Sec", "Eq", "Ed", "ca", "est", "Fig", "Figs", "Vol")
)
_AFTER_NUMBER_ONLY = frozenset(("ft", "lb", "lbs", "oz", "min", "hr", "hrs", "yr", "yrs"))
_NO_DOT_NEEDED = frozenset(("Mr", "Mrs", "Ms", "Dr", "Prof", "vs", "etc", "Ltd", "Blvd", "approx"))
_TOP_DOMAINS = "com|org|net|io|edu|gov|dev|ai|app|info|uk|de|fr|ca|eu|us|tv|me|co"
_WEB_SIGNS = {
    ".": " dot ",
    "/": " slash ",
    "-": " dash ",
    "_": " underscore ",
    "@": " at ",
    ":": " colon ",
    "?": " question mark ",
}
_WEB_SIGNS |= {"=": " equals ", "&": " and ", "#": " hash ", "%": " percent ", "+": " plus ", "~": " tilde "}
_SPELLED = """
www io tv uk de fr eu us html htm php pdf http https ftp ca ai api
"""
_SPELLED_DOMAINS = frozenset(_SPELLED.split())
_SIGNS = {
    **{
        "&": " and ",
        "+": " plus ",
        "=": " equals ",
        "×": " times ",
        "÷": " divided by ",
        "±": " plus or minus ",
        "@": " at ",
    },
    **{"<": " less than ", ">": " greater than ", "≤": " less than or equal to ", "≥": " greater than or equal to "},
    **{
        "≠": " is not equal to ",
        "≈": " approximately ",
        "√": " square root of ",
        "∞": " infinity ",
        "°": " degrees ",
        "%": " percent ",
    },
    **{
        "$": " dollars ",
        "£": " pounds ",
        "€": " euros ",
        "¥": " yen ",
        "∑": " sum ",
        "→": ", ",
        "/": " slash ",
        "^": " to the power of ",
    },
}
_SMALL_WORDS_BY_SLASH = {
    "and/or": "and or",
    "w/o": "without",
    "w/": "with",
    "he/she": "he or she",
    "his/her": "his or her",
    "n/a": "not applicable",
    "N/A": "not applicable",
    "c/o": "care of",
}

_URL = re.compile(r"(?<![\w@.])(?:(?:https?|ftp)://|www\.)[^\s<>\"'()\[\]{}]{1,2000}")
_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
_DOMAIN = re.compile(
    rf"(?<![\w@.-])[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}}){{0,3}}\.(?:{_TOP_DOMAINS})\b(?!\.\w)(?:/[\w./?=&%#~+-]{{0,500}})?"
)
_HANDLE = re.compile(r"(?<![\w@])@(?=\w)")
_HASHTAG = re.compile(r"(?<![\w#])#(\w{1,100})")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ABBREVIATION = re.compile(rf"(?<![\w.'])({'|'.join(sorted(_TITLES, key=len, reverse=True))})(\.|\b)(?=(\s*)(\S?))")
_STREET = re.compile(r"(?<!\w)([A-Z0-9][a-z0-9]{1,30}) St\b\.?(?=(\s*)(\S?))")
_SAINT = re.compile(r"\bSt\b\.?(?= [A-Z])")
_LATIN = re.compile(r"(?<![\w.])(e\.g\.|i\.e\.|eg\.|ie\.|a\.k\.a\.|et al\.)(,?)")
_INITIALS = re.compile(r"(?<![\w.])((?:[A-Za-z]\.){2,10})(s\b|[A-Za-z]\b)?")
_ONE_INITIAL = re.compile(r"(?<![\w.'])([A-Z])\.(?= [A-Z])")
_PHD = re.compile(r"(?<!\w)Ph\.? ?D\b\.?")
_DOT_IN_WORD = re.compile(r"(?<=[^\W\d_])\.(?=[^\W\d_])")
_EMPHASIS = re.compile(r"\*{1,3}|_{1,100}|~{2}|`{1,3}|#{1,6}(?= )|^\s{0,3}>", re.MULTILINE)
_ELLIPSIS = re.compile(r"\.{2,}|(?:\. ){2,50}\.")
_MARKS = re.compile(r"[,.!?;:—…][\s,.!?;:—…]*")
_PAUSES = re.compile(rf"(?:{PAUSE})[\s,.!?;:—…]*")
_LONG_LETTERS = re.compile(r"([^\W\d_ǂIVX])\1{2,}")  # not Roman numerals, nor the placeholder of markup.py
_LONG_BUT_NUMERALS = re.compile(r"([^\W\d_ǂIVX零一二三四五六七八九])\1{2,}")


def normalise(text: str, language: str = "en-us") -> str:
    """Write out in words everything in a text that is not a word.

    Args:
        text: one sentence or chunk, as written.
        language: English is read in full; for others characters and punctuation are cleaned and figures written as their
            readers say them rightly, see figures.py.

    Returns:
        Words of letters, apostrophes and hyphens, and the marks ``, . ! ? ; : — …``; empty if nothing can be spoken. In
        other languages than English figures too, in which a mark between two digits is a part of the figure.
    """
    is_english = language.lower().startswith("en")
    text = " ".join(clean_characters(text if is_english else fold_figures(text, language)).split())
    if is_english:
        text = _read_web(text)
        text = _read_abbreviations(text)
        text = read_quantities(text)
        text = _read_signs(text)
        return _fold_punctuation(text)
    return _fold_punctuation(read_figures(text, language), keeps_marks=True)


def clean_characters(text: str) -> str:
    """Fold quotes, dashes, digits and widths of any script to plain ones; drop emoji, controls and lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    text = _limit_combining(text.translate(_SPECIAL).translate(_QUOTES).translate(_DASHES))
    is_greek = sum("\u0370" <= character <= "\u03ff" for character in text[:200]) > 5
    kept = []
    for character in unicodedata.normalize("NFKC", text):
        category = unicodedata.category(character)
        if category == "Nd":
            kept.append(str(unicodedata.digit(character)))
        elif character in _GREEK:
            kept.append(character if is_greek else f" {_GREEK[character]} ")
        elif category[0] == "Z" or character in "\t\n\r\v\f":
            kept.append(" ")
        elif category[0] == "C" or (category in ("So", "Sk", "Me") and character not in "°^`"):
            kept.append("" if category in ("Cf", "Sk", "Me") else " ")
        else:
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept)).translate(_QUOTES)


def _limit_combining(text: str) -> str:
    """Keep at most two combining marks in a row: Unicode normalisation sorts longer runs in quadratic time."""
    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= 2:
            kept.append(character)
    return "".join(kept)


def _read_web(text: str) -> str:
    if "." in text:
        text = _URL.sub(lambda m: _web_words(m[0]), text)
        text = _EMAIL.sub(lambda m: _web_words(m[0]), text) if "@" in text else text
        text = _DOMAIN.sub(lambda m: _web_words(m[0]), text)
    text = _HANDLE.sub(" at ", text)
    return _HASHTAG.sub(_hashtag, text)


def _web_words(address: str) -> str:
    bare = address.rstrip(".,!?;:")
    ending = address[len(bare) :]
    bare = re.sub(r"^(?:https?|ftp)://", "", bare).rstrip("/")
    parts = []
    for part in re.split(r"([./_@:?=&#%+~-])", bare):
        if part in _WEB_SIGNS:
            parts.append(_WEB_SIGNS[part])
        elif part.lower() in _SPELLED_DOMAINS:
            parts.append(" ".join(part.upper()))
        else:
            parts.append(" ".join(_CAMEL.split(part)))
    return "".join(parts) + ending


def _hashtag(match: Match[str]) -> str:
    tag = match[1]
    if tag.isdigit():
        return f"number {tag}"
    return "hashtag " + " ".join(_CAMEL.split(tag.replace("_", " ")))


def _read_abbreviations(text: str) -> str:
    text = text.replace("C#", "C sharp").replace("C++", "C plus plus")
    text = _PHD.sub("PHD", text)
    text = _LATIN.sub(_latin, text)
    text = _INITIALS.sub(lambda m: _initials(m, text), text)
    text = _ONE_INITIAL.sub(r"\1", text)
    text = _STREET.sub(_street, text)
    text = _SAINT.sub("Saint", text)
    return _ABBREVIATION.sub(lambda m: _abbreviation(m, text), text)


def _street(match: Match[str]) -> str:
    return f"{match[1]} Street" + ("." if match[0].endswith(".") and not match[3] else "")


def _latin(match: Match[str]) -> str:
    words = (
        {"e": "for example", "i": "that is", "a": "also known as"}[match[1][0]]
        if match[1] != "et al."
        else "and others"
    )
    return words + ("," if match[2] else "")


def _initials(match: Match[str], text: str) -> str:
    letters = match[1].replace(".", "")
    words = letters.upper() if len(letters) > 1 else letters
    if match[2]:
        words += match[2] if match[2] == "s" else match[2].upper()
    ends = not text[match.end() :].strip(" \"')]") and not match[2]
    return words + ("." if ends else "")


def _abbreviation(match: Match[str], text: str) -> str:
    short, dot, _, following = match[1], match[2], match[3], match[4]
    if not dot and short not in _NO_DOT_NEEDED:
        return match[0]
    if short in _BEFORE_NUMBER_ONLY and not following.isdigit():
        return match[0]
    if short in _AFTER_NUMBER_ONLY and not text[: match.start()].rstrip()[-1:].isdigit():
        return match[0]
    return _TITLES[short] + ("." if dot and not following and short not in _BEFORE_NUMBER_ONLY else "")


def _read_signs(text: str) -> str:
    for short, words in _SMALL_WORDS_BY_SLASH.items():
        if short in text:
            text = re.sub(rf"(?<!\w){short}(?!\w)", words, text)
    text = _EMPHASIS.sub(lambda m: " " if "_" in m[0] else "", text)
    text = _DOT_IN_WORD.sub(
        lambda m: ". " if text[m.end()].isupper() and text[m.start() - 1].islower() else " dot ", text
    )
    text = re.sub(r"(?<=\w)/(?=\w)", " slash ", text)
    return "".join(_SIGNS.get(character, character) for character in text)


def _fold_punctuation(text: str, keeps_marks: bool = False) -> str:
    """Fold marks; combining characters are vowels and tones in many scripts, and in English leftovers, as are marks in figures."""
    text = _ELLIPSIS.sub("…", text)
    text = re.sub(r"--+|\s[-–]+\s|–", " — ", text)
    text = re.sub(r"[()\[\]{}|]", ",", text).replace('"', " ")
    text = re.sub(
        r"[^\w\s',.!?;:—…-]|_", lambda m: m[0] if keeps_marks and unicodedata.category(m[0])[0] == "M" else " ", text
    )
    text = " ".join(text.split())
    text = re.sub(
        r"(?<!\w)['-]+|['-]+(?!\w)",
        lambda m: "'" if m[0] == "'" and text[m.start() - 1 : m.start()] == "s" else " ",
        text,
    )
    text = (_LONG_BUT_NUMERALS if keeps_marks else _LONG_LETTERS).sub(_shorten_letters, text)
    text = (_PAUSES if keeps_marks else _MARKS).sub(lambda m: _strongest(m[0]) + " ", text)
    text = re.sub(r"\s+(?=[,.!?;:…])", "", text)
    text = " ".join(text.split())
    return text.lstrip(" ,.!?;:—…").rstrip(" ,;:—")


def _shorten_letters(match: Match[str]) -> str:
    return match[1] * 2 if match[1].lower() in "eosl" else match[1]


def _strongest(marks: str) -> str:
    for mark in "?!….;:—,":
        if mark in marks:
            return f" {mark}" if mark == "—" else mark
    return ""
