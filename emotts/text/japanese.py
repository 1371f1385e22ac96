"""Japanese: a text without punctuation comes in, tokens of each accent phrase go out; Open JTalk reads it, its accents included.

The optional extra `japanese` brings pyopenjtalk with its dictionary. Katakana become tokens by the table below: ッ is the length of
the consonant after it, ー that of the vowel before it, ン is ŋ wherever it stands, and a stress mark is on the mora after which the
pitch falls (箸 ˈhaɕi, 橋 haˈɕi, 端 haɕi). Lost: which i and u are devoiced. Kubozono (ed.), "Handbook of Japanese phonetics and
phonology" (2015), chapters 1 and 3.
"""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from emotts.text.languages import LONG, NotInstalled

INSTALL = "Run: pip install emotts[japanese]"
_VOWELS = {"a": "a", "i": "i", "u": "ɯ", "e": "e", "o": "o"}
_COLUMNS = "aiueo"
_ROWS = {  # five kana, and the consonants before a, i, u, e, o
    "アイウエオ": ("", "", "", "", ""),
    "カキクケコ": ("k", "kʲ", "k", "k", "k"),
    "ガギグゲゴ": ("ɡ", "ɡʲ", "ɡ", "ɡ", "ɡ"),
    "サシスセソ": ("s", "ɕ", "s", "s", "s"),
    "ザジズゼゾ": ("z", "d͡ʒʲ", "z", "z", "z"),
    "タチツテト": ("t", "t͡ʃʲ", "t͡s", "t", "t"),
    "ダヂヅデド": ("d", "d͡ʒʲ", "z", "d", "d"),
    "ナニヌネノ": ("n", "ɲ", "n", "n", "n"),
    "ハヒフヘホ": ("h", "ç", "f", "h", "h"),
    "バビブベボ": ("b", "bʲ", "b", "b", "b"),
    "パピプペポ": ("p", "pʲ", "p", "p", "p"),
    "マミムメモ": ("m", "mʲ", "m", "m", "m"),
    "ラリルレロ": ("ɾ", "ɾʲ", "ɾ", "ɾ", "ɾ"),
}
_SINGLE = {
    **{"ヤ": ("j", "a"), "ユ": ("j", "u"), "ヨ": ("j", "o"), "ワ": ("w", "a"), "ヰ": ("", "i"), "ヱ": ("", "e")},
    **{"ヲ": ("", "o"), "ヴ": ("v", "u"), "ヵ": ("k", "a"), "ヶ": ("k", "e")},
}
KANA: dict[str, tuple[str, str]] = _SINGLE | {
    kana: (consonant, vowel)
    for row, consonants in _ROWS.items()
    for kana, consonant, vowel in zip(row, consonants, _COLUMNS, strict=True)
}
_SMALL = {**dict(zip("ァィゥェォ", _COLUMNS, strict=True)), **dict(zip("ャュョ", "auo", strict=True)), "ヮ": "a"}
_PLAIN = {
    "テ": "t",
    "デ": "d",
    "ト": "t",
    "ド": "d",
    "ツ": "t͡s",
    "フ": "f",
    "ヴ": "v",
    "ウ": "w",
    "イ": "j",
    "ス": "s",
    "ズ": "z",
}
_PALATAL = ("ɕ", "ɲ", "ç", "j")  # without a mark


def japanese_words(text: str, language: str = "ja") -> list[list[str]]:
    """Read a text without punctuation.

    Returns:
        The tokens of each accent phrase.

    Raises:
        ValueError: pyopenjtalk or its dictionary is not installed.
    """
    phrases: list[tuple[list[str], int]] = []  # morae and the mora that carries the accent, from 1; 0 for none
    for node in _load().run_frontend(text):
        kana = [sign for sign in node["pron"] if sign in KANA or sign in _SMALL or sign in "ッンー"]
        if not kana:
            continue
        morae = _morae(kana)
        if node["chain_flag"] == 1 and phrases:
            phrases[-1][0].extend(morae)
        else:
            phrases.append((morae, int(node["acc"])))
    return [tokens for morae, accent in phrases if (tokens := read_morae(morae, accent))]


def read_morae(morae: list[str], accent: int = 0) -> list[str]:
    """Return the tokens of the morae of one accent phrase, each in katakana (キョ, ッ, ー), with its accent after mora `accent`."""
    tokens: list[str] = []
    is_doubled = False
    for number, (mora, following) in enumerate(pairwise([*morae, ""]), start=1):
        if mora == "ッ":
            is_doubled = bool(following) and following not in "ンッー"
            tokens.extend([] if is_doubled else ["ʔ"])
        elif mora == "ー":
            if tokens and not tokens[-1].endswith(LONG):
                tokens[-1] += LONG
        elif mora == "ン":
            tokens.append("ŋ")
        else:
            consonant, vowel = _sounds(mora)
            if is_doubled:
                tokens.extend([consonant + LONG] if consonant else ["ʔ"])
            elif consonant:
                tokens.append(consonant)
            tokens.append(_VOWELS[vowel])
            is_doubled = False
        if number == accent:
            places = [i for i, token in enumerate(tokens) if token.rstrip(LONG) in _VOWELS.values()]
            if places:
                tokens[places[-1]] = "ˈ" + tokens[places[-1]]
    return tokens


def _morae(kana: list[str]) -> list[str]:
    morae: list[str] = []
    for sign in kana:
        if sign in _SMALL and morae and morae[-1] in KANA:
            morae[-1] += sign
        else:
            morae.append(sign)
    return morae


def _sounds(mora: str) -> tuple[str, str]:
    """Return the consonant, "" for none, and the vowel of a mora such as カ, キョ, ファ or ティ."""
    if mora in _SMALL:
        return "", _SMALL[mora]
    consonant, vowel = KANA[mora[0]]
    if len(mora) == 1:
        return consonant, vowel
    if mora[1] in "ャュョ":
        plain = _PLAIN.get(mora[0], consonant) if vowel != "i" else consonant
        is_marked = plain.endswith("ʲ") or plain in _PALATAL
        return (plain or "j") if is_marked or not plain else plain + "ʲ", _SMALL[mora[1]]
    if mora[0] in _PLAIN:
        return _PLAIN[mora[0]], _SMALL[mora[1]]
    if mora[0] in "クグ":
        return consonant + "ˠ", _SMALL[mora[1]]  # クァ, グァ: rounded at the back
    return consonant, _SMALL[mora[1]]


def _load() -> Any:
    try:
        import pyopenjtalk
    except ImportError as error:
        raise NotInstalled(f'backend "openjtalk" needs pyopenjtalk, which is not installed. {INSTALL}') from error
    if not Path(os.fsdecode(pyopenjtalk.OPEN_JTALK_DICT_DIR)).is_dir():  # the plain pyopenjtalk would download it
        raise NotInstalled(f'backend "openjtalk" finds no dictionary in pyopenjtalk. {INSTALL}, which brings one')
    return pyopenjtalk
