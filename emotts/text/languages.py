"""How other languages are written in the shared alphabet: their sounds come in, IPA or espeak's, sequences of our phonemes go out.

The alphabet of symbols.py does not grow with a language: what it lacks becomes the nearest sound or two sounds, by the tables
here, and what no table names is an error. Tones are Chao letters behind a vowel. Kept: nasal vowels (a vowel and ŋ), aspiration (a
plosive and h), affricates, syllabic consonants (ə and the consonant), the contrasts of Mandarin's plosives as in pinyin, and by
marks behind a phoneme the length of any sound and what consonants have beside their place: palatal, backed, emphatic, retroflex,
tense, voiceless. What is still lost is measured by benchmarks/languages.py.
"""

from collections.abc import Sequence

Spellings = dict[str, tuple[str, ...]]

TONES = (
    "˥",
    "˧˥",
    "˨˩˦",
    "˥˩",
    "˧",
    "˨˩",
    "˦˥",
)  # high, rising, dipping, falling, mid, low, high rising; the order is that of ids
TONE_LETTERS = frozenset("˥˦˧˨˩")
NEAR_TONES = {"˩˩˦": "˨˩˦", "˩˦": "˨˩˦", "˨˦": "˧˥", "˩˧": "˧˥", "˩˩": "˨˩", "˩": "˨˩", "˨": "˨˩", "˦": "˦˥", "˧˧": "˧", "˥˥": "˥",
              "˥˧": "˥˩", "˦˩": "˥˩"}  # fmt: skip

QUALITIES = (
    "ʲ",
    "ˠ",
    "ˤ",
    "\u0322",
    "\u0348",
    "\u0325",
)  # of consonants: palatal, backed, emphatic, retroflex, tense, voiceless
LONG = "ː"

_NASAL = {f"{vowel}\u0303": (*near, "ŋ") for vowel, near in {
    **{v: (v,) for v in ("ɑ", "ɔ", "ɛ", "œ", "a", "e", "i", "o", "u", "ə", "ʌ", "æ", "ʊ", "ɪ", "y", "ø", "ɯ")},
    **{"ɐ": ("ə",), "j": ("j",), "w": ("w",)}}.items()}  # fmt: skip
_SYLLABIC = {f"{c}\u0329": ("ə", *near) for c, near in {
    **{c: (c,) for c in ("n", "l", "m", "ŋ", "r")}, "ɫ": ("l",), "ɲ": ("ɲ",)}.items()}  # fmt: skip
_COMMON: Spellings = {
    **_NASAL,
    **_SYLLABIC,
    **{"ʏ": ("y",), "ɤ": ("ə",), "ɐ": ("ə",), "ɶ": ("œ",), "ε": ("ɛ",)},  # the last is a Greek letter
    **{
        "ʎ": ("l", "j"),
        "ʝ": ("j",),
        "ɥ": ("y",),
        "ʋ": ("v",),
        "ɸ": ("f",),
        "ɱ": ("m",),
        "ɴ": ("ŋ",),
        "ɹ\u0329": ("ɚ",),
    },
    **{"χ": ("xˠ",), "q": ("kˠ",), "ħ": ("hˤ",), "ʕ": ("ʔˤ",), "ɦ": ("h",), "ɓ": ("b",), "ɗ": ("d",), "ɫ": ("lˠ",)},
    **{
        "ʈ": ("t\u0322",),
        "ɖ": ("d\u0322",),
        "ɳ": ("n\u0322",),
        "ɽ": ("ɾ\u0322",),
        "ɭ": ("l\u0322",),
        "r.": ("ɾ\u0322",),
    },
    **{"ʂ": ("ʃ\u0322",), "ʐ": ("ʒ\u0322",), "ɻ": ("ɹ\u0322",), "tʂ": ("t͡ʃ\u0322",), "dʐ": ("d͡ʒ\u0322",)},
    **{"c": ("tʲ",), "ɟ": ("dʲ",), "tɕ": ("t͡ʃʲ",), "dʑ": ("d͡ʒʲ",), "ʑ": ("ʒʲ",), "k^": ("kʲ",), "r\u031d": ("rʲ",)},
    **{"ts": ("t͡s",), "dz": ("d", "z"), "ʰ": ("h",), "ʱ": ("h",), "ʷ": ("w",), "-": ()},
}
_INDIC: Spellings = {"c": ("t͡ʃ",), "ɟ": ("d͡ʒ",)}  # what espeak writes for the affricates of Hindi and its neighbours

# Mandarin is read from espeak's own names of phonemes, for its IPA gives the tones 1 and 4 one sign. Below, the order of pinyin.
_MANDARIN: Spellings = {
    **{"p": ("b",), "ph": ("p",), "m": ("m",), "f": ("f",), "t": ("d",), "th": ("t",), "n": ("n",), "l": ("l",)},
    **{"k": ("ɡ",), "kh": ("k",), "X": ("x",), "tS;": ("d͡ʒ",), "tS;h": ("t͡ʃ",), "S;": ("ɕ",)},
    **{"ts.": ("d͡ʒ",), "ts.h": ("t͡ʃ",), "s.": ("ʃ",), "z.": ("ʒ",), "ts": ("d", "z"), "tsh": ("t͡s",), "s": ("s",)},
    **{"j": ("j",), "w": ("w",), "N": ("ŋ",), "N-": ("ŋ",)},
    **{
        "A": ("ɑ",),
        "a": ("a",),
        "o": ("o",),
        "o-": ("ə",),
        "@": ("ə",),
        "@:": ("ə",),
        "@r": ("ɚ",),
        "E": ("ɛ",),
        "i": ("i",),
    },
    **{
        "i.": ("ɯ",),
        "i[": ("ɯ",),
        "u": ("u",),
        "y": ("y",),
        "ai": ("aɪ",),
        "ei": ("eɪ",),
        "Au": ("aʊ",),
        "ou": ("oʊ",),
    },
    **{"iA": ("j", "ɑ"), "iE": ("j", "ɛ"), "io": ("j", "o"), "iou": ("j", "oʊ"), "ua": ("w", "a"), "uai": ("w", "aɪ")},
    **{"uei": ("w", "eɪ"), "uo": ("w", "o"), "u@": ("w", "ə"), "ong": ("ʊ", "ŋ"), "y&": ("y", "ɛ"), "y@": ("y", "ə")},
    **{"yE": ("y", "ɛ"), "yi": ("y", "i")},
}
MANDARIN_TONES = {"55": "˥", "35": "˧˥", "214": "˨˩˦", "51": "˥˩", "21": "˨˩", "11": ""}  # the last is the neutral tone

_TABLES: dict[str, Spellings] = {
    **dict.fromkeys(("as", "bn", "bpy", "gu", "hi", "kn", "kok", "ml", "mr", "ne", "or"), _INDIC),
    **dict.fromkeys(("pa", "sd", "si", "ta", "te", "ur"), _INDIC),
    "ar": {"s̪": ("sˤ",), "t̪": ("tˤ",), "a.": ("a",), "i.": ("i",), "u.": ("u",)},  # a dot: beside an emphatic consonant
    "bg": {"ɐ": ("ʌ",)},
    "da": {"ɐ": ("ʌ",), "ɒ": ("ɔ",)},
    "de": {"ɜ": ("ʌ",), "ɐ": ("ʌ",), "ɾ": ("r",)},  # espeak writes the vowel of -er and the r after vowels so
    "fr": {"ə-": ("ə",), "r": ("ʁ",)},
    "ko": {f"{sound}-": (f"{near}\u0348",) for sound, near in {"t": "t", "p": "p", "s": "s", "q": "k"}.items()},
    "nb": {"ʉ": ("ɯ",)},  # between y and u, which Norwegian has too
    "nl": {"ʋ": ("w",)},
    "pt": {"ɐ̃ʊ̃": ("ə", "ʊ", "ŋ"), **{f"{vowel}\u0303ŋ": (vowel, "ŋ") for vowel in "aeiouɔɛ"}},
    "ru": {"ɭ": ("lˠ",), "ɭʲ": ("lʲ",)},
    "sv": {"sx": ("x",)},
    "th": {"tɕʰ": ("t͡ʃ",), "tɕ": ("d͡ʒ",), "c": ("d͡ʒ",), "cʰ": ("t͡ʃ",)},
}  # fmt: skip
# What espeak writes with a sign that means something else here, or nothing.
_RESPELLED: dict[str, dict[str, str]] = {
    "da": {"?": "ʔ"},
    "fa": {"1": ""},
    "is": {"#": "\u0325"},
    "lv": {"`": ""},
    "ru": {'"': "", "^": ""},
}
ESPEAK_NAMES = {
    "zh": "cmn",
    "cmn": "cmn",
    "fr": "fr-fr",
    "de": "de",
    "hi": "hi",
}  # by the first part of a tag such as de-AT


class NotInstalled(ValueError):
    """What reads a language is an optional package that is not there."""


def primary(language: str) -> str:
    """Return the first part of a language tag; zh and cmn are one."""
    first = language.lower().replace("_", "-").split("-")[0]
    return "cmn" if first == "zh" else first


def known_as(language: str, languages: Sequence[str]) -> str:
    """Return the name under which a model knows a language: the same, or one of another region.

    Raises:
        ValueError: it does not know it.
    """
    known = {primary(name): name for name in reversed(languages)} | {name: name for name in languages}
    for name in (str(language).lower(), primary(str(language))):
        if name in known:
            return known[name]
    raise ValueError(
        f'language must be one of {", ".join(languages)}; got "{str(language)[:20]}". recipes/finetune.py adds one to a model.'
    )


def respell(spoken: str, language: str) -> str:
    """Return what espeak says in IPA where it uses signs of its own."""
    for sign, meant in _RESPELLED.get(primary(language), {}).items():
        spoken = spoken.replace(sign, meant)
    return spoken


def spellings_of(language: str) -> Spellings:
    """Return how sounds of a language that the alphabet lacks are written in it."""
    return {**_COMMON, **_TABLES.get(primary(language), {})}


def read_mandarin(mnemonics: str) -> list[list[str]]:
    """Read espeak's names of phonemes, ``_`` between them, and return the tokens of each word.

    Raises:
        ValueError: a name is not in the table.
    """
    words = []
    for word in mnemonics.replace("|", " ").split():
        tokens: list[str] = []
        for part in filter(None, (part.strip("',") for part in word.split("_"))):
            name = part.rstrip("0123456789")
            tone = part[len(name) :]
            if name not in _MANDARIN or (tone and tone not in MANDARIN_TONES):
                raise ValueError(f'espeak says "{part}" in Mandarin, which emotts/text/languages.py does not know.')
            phonemes = with_tone(_MANDARIN[name], MANDARIN_TONES.get(tone, ""))
            is_double = tokens[-1:] == [phonemes[0]] and phonemes[0] in ("j", "w")  # you is j and iou
            tokens.extend(phonemes[1:] if is_double else phonemes)
        if tokens:
            words.append(tokens)
    return words


def with_tone(phonemes: tuple[str, ...], tone: str) -> tuple[str, ...]:
    """Return phonemes of which the last vowel, or what stands for it, carries a tone."""
    if not tone:
        return phonemes
    places = [i for i, phoneme in enumerate(phonemes) if phoneme[0] in "ɪɛæɑɔʊʌəɚiuaeoyøœɯ"]
    if not places:
        return phonemes
    return tuple(phoneme + tone if i == places[-1] else phoneme for i, phoneme in enumerate(phonemes))
