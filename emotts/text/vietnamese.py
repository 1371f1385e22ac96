"""Vietnamese: espeak's own names of the sounds of a syllable come in, tokens of the alphabet with one of six tones go out.

The sounds are those of Hanoi, as espeak-ng says them. Two tones are creaky: ngã is the rising tone and nặng the low one, with a
glottal stop behind the vowel; before a final stop, where the low tone stands alone, nặng needs none. A description is Kirby,
"Vietnamese (Hanoi Vietnamese)", Journal of the International Phonetic Association 41 (2011).
"""

from emotts.text.languages import Spellings, with_tone

TONES_BY_NUMBER = {
    "": "˧",
    "1": "˧",
    "7": "˧",
    "2": "˨˩",
    "3": "˧˥",
    "4": "˨˩˦",
    "5": "˧˥",
    "6": "˨˩",
}  # 1 and 7: level
CREAKY = ("5", "6")
_STOPS = ("p", "t", "k")
_ONSETS: Spellings = {
    **{"b": ("b",), "d": ("d",), "t[": ("t",), "t": ("t", "h"), "tS": ("t͡ʃ",), "c": ("k",), "k": ("k",), "p": ("p",)},
    **{
        "g": ("ɡ",),
        "Q": ("ɡ",),
        "x": ("x",),
        "h": ("h",),
        "f": ("f",),
        "v": ("v",),
        "s": ("s",),
        "z": ("z",),
        "l": ("l",),
    },
    **{
        "m": ("m",),
        "n": ("n",),
        "n^": ("ɲ",),
        "N": ("ŋ",),
        "w": ("w",),
        "j": ("j",),
        "r": ("ɾ",),
        "z.": ("z",),
        "?": ("ʔ",),
    },
    **{"D": ("z",), "Z": ("ʒ",), "S": ("ʃ",), "dZ": ("d͡ʒ",)},  # of names and letters
}
_NUCLEI: Spellings = {
    **{"a:": ("aː",), "a": ("a",), "@:": ("əː",), "@": ("ə",), "E": ("ɛ",), "e": ("e",), "e-": ("æ",), "i": ("i",)},
    **{
        "O": ("ɔ",),
        "O#": ("ɔ",),
        "o": ("o",),
        "o#": ("o",),
        "u": ("u",),
        "y": ("ɯ",),
        "aI": ("a", "j"),
        "a:I": ("aː", "j"),
    },
    **{"@I": ("ə", "j"), "aU": ("a", "w"), "iE": ("i", "ə"), "i@": ("i", "ə"), "u@": ("u", "ə"), "y@": ("ɯ", "ə")},
}


def read_syllables(mnemonics: str) -> list[list[str]]:
    """Read espeak's names of phonemes, ``_`` between them, and return the tokens of each syllable.

    Raises:
        ValueError: a name is not in the tables.
    """
    found = []
    for syllable in mnemonics.replace("|", " ").split():
        tokens: list[str] = []
        creak: int | None = None  # where a creaky vowel ends
        for part in filter(None, (part.strip("',") for part in syllable.split("_"))):
            name = part.rstrip("1234567")
            if name in _NUCLEI:
                number = part[len(name) :]
                tokens.extend(with_tone(_NUCLEI[name], TONES_BY_NUMBER[number]))
                creak = len(tokens) if number in CREAKY else None
            elif name in _ONSETS and name == part:
                tokens.extend(_ONSETS[name])
            else:
                raise ValueError(f'espeak says "{part}" in Vietnamese, which emotts/text/vietnamese.py does not know.')
        if creak is not None and (creak == len(tokens) or tokens[creak] not in _STOPS):
            tokens.insert(creak, "ʔ")
        if tokens:
            found.append(tokens)
    return found
