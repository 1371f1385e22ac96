"""How other languages are written in the shared alphabet: their sounds come in, IPA or espeak's, sequences of our phonemes go out.

The alphabet of symbols.py does not grow with a language: what it lacks becomes the nearest sound or two sounds, by the tables
here, and what no table names is an error. Tones are Chao letters behind a vowel. Kept: nasal vowels (a vowel and ŋ), aspiration (a
plosive and h), affricates, the contrasts of Mandarin's plosives as in pinyin. Lost: length (durations tell it), dental against
retroflex.
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

_NASAL = {f"{vowel}\u0303": (*near, "ŋ") for vowel, near in {
    **{v: (v,) for v in ("ɑ", "ɔ", "ɛ", "œ", "a", "e", "i", "o", "u", "ə", "ʌ", "æ", "ʊ", "ɪ")}, "ɐ": ("ə",)}.items()}  # fmt: skip
_COMMON: Spellings = {
    **_NASAL,
    **{
        "ʏ": ("y",),
        "ɤ": ("ə",),
        "ɐ": ("ə",),
        "ʎ": ("l", "j"),
        "ʝ": ("j",),
        "ɥ": ("y",),
        "χ": ("x",),
        "ħ": ("h",),
        "ɦ": ("h",),
    },
    **{
        "ʋ": ("v",),
        "ɸ": ("f",),
        "q": ("k",),
        "ɹ̩": ("ɚ",),
        "ʈ": ("t",),
        "ɖ": ("d",),
        "ɳ": ("n",),
        "ɽ": ("ɾ",),
        "ɭ": ("l",),
    },
    **{"ʂ": ("ʃ",), "ʐ": ("ʒ",), "ɻ": ("ɹ",), "c": ("t͡ʃ",), "ɟ": ("d͡ʒ",), "tɕ": ("t͡ʃ",), "dʑ": ("d͡ʒ",), "ʑ": ("ʒ",)},
    **{"ts": ("t͡s",), "tʂ": ("t͡ʃ",), "dz": ("d", "z"), "ʰ": ("h",), "ʱ": ("h",), "-": ()},
}

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
    "de": {"ɜ": ("ə",), "ɾ": ("r",)},  # espeak writes the vowel of -er and the r after vowels so
    "fr": {"ə-": ("ə",), "r": ("ʁ",)},
    "hi": {"r.": ("ɾ",), "cʰ": ("t͡ʃ", "h"), "ɟʰ": ("d͡ʒ", "h")},
    "th": {"tɕʰ": ("t͡ʃ",), "tɕ": ("d͡ʒ",), "c": ("d͡ʒ",), "cʰ": ("t͡ʃ",)},
}
ESPEAK_NAMES = {
    "zh": "cmn",
    "cmn": "cmn",
    "fr": "fr-fr",
    "de": "de",
    "hi": "hi",
}  # by the first part of a tag such as de-AT


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
