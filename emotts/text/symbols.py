"""The alphabet: phoneme tokens in, two rows of ids (phoneme and stress) out, and what kind of sound each token is.

A token is an IPA phoneme, on vowels with an optional leading stress mark (``ˈ`` primary, ``ˌ`` secondary) and, in languages that
have them, a tone in Chao letters behind it; or a space between words; or a punctuation mark in its place; or ``<sil>`` at both
ends of an utterance. Checkpoints rely on the order of ``PHONEMES``.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from emotts.text.languages import NEAR_TONES, TONE_LETTERS, TONES, spellings_of

ALPHABET_VERSION = 1  # raise it, and the hash in the test, only together with a migration of checkpoints

PAD = "<pad>"
SIL = "<sil>"
SPACE = " "
PUNCTUATION = (",", ".", "!", "?", ";", ":", "—", "…")
STRESSES = ("", "ˈ", "ˌ")  # index = stress id: none, primary, secondary
N_MARKS = len(STRESSES) + len(
    TONES
)  # rows that a model needs whose language has tones; their ids follow those of stress

PHONEME_CLASSES: dict[str, tuple[str, ...]] = {
    "vowel": ("ɪ", "ɛ", "æ", "ɑ", "ɔ", "ʊ", "ʌ", "ə", "ɚ", "i", "u", "a", "e", "o", "y", "ø", "œ", "ɯ"),
    "diphthong": ("eɪ", "aɪ", "ɔɪ", "oʊ", "aʊ"),
    "nasal": ("m", "n", "ŋ", "ɲ"),
    "liquid": ("l", "ɹ", "r"),
    "glide": ("j", "w"),
    "tap": ("ɾ",),
    "voiced plosive": ("b", "d", "ɡ"),
    "voiceless plosive": ("p", "t", "k", "ʔ"),
    "voiced fricative": ("v", "ð", "z", "ʒ", "ʁ", "ɣ"),
    "voiceless fricative": ("f", "θ", "s", "ʃ", "h", "x", "ç", "ɕ"),
    "voiced affricate": ("d͡ʒ",),
    "voiceless affricate": ("t͡ʃ", "t͡s"),
    "pause": (PAD, SIL, SPACE, *PUNCTUATION),
}

_ENGLISH = (  # by frequency in gruut's en-us lexicon
    *("n", "ə", "ɪ", "l", "s", "t", "ɹ", "k", "i", "d", "m", "ɚ", "z", "ɛ", "ɑ", "æ", "b", "oʊ", "p", "ɡ"),
    *("f", "eɪ", "ɔ", "aɪ", "ŋ", "v", "u", "h", "ʃ", "ʌ", "w", "d͡ʒ", "j", "t͡ʃ", "aʊ", "θ", "ʊ", "ɔɪ", "ð", "ʒ"),
    *("ɾ", "ʔ", "x"),
)
_RESERVED = ("a", "e", "o", "y", "ø", "œ", "ɯ", "ɲ", "r", "ʁ", "ɣ", "ç", "ɕ", "t͡s")  # for languages to come
PHONEMES: tuple[str, ...] = (PAD, SIL, SPACE, *PUNCTUATION, *_ENGLISH, *_RESERVED)
ENGLISH_PHONEMES = frozenset(_ENGLISH)

NEAR_PHONES: dict[str, tuple[str, ...]] = {
    # other spellings of the same sound: espeak, misaki (Kokoro), untied or ligature affricates
    **{"ɝ": ("ɚ",), "ɜ": ("ɚ",), "ɜɹ": ("ɚ",), "ɚɹ": ("ɚ",), "ɐ": ("ə",), "ᵊ": ("ə",), "ɘ": ("ə",), "ɵ": ("ə",)},
    **{"ᵻ": ("ɪ",), "ɨ": ("ɪ",), "ɩ": ("ɪ",), "ɒ": ("ɑ",), "ʉ": ("u",), "g": ("ɡ",), "ɫ": ("l",), "ʍ": ("w",)},
    **{"tʃ": ("t͡ʃ",), "dʒ": ("d͡ʒ",), "t͜ʃ": ("t͡ʃ",), "d͜ʒ": ("d͡ʒ",), "ʧ": ("t͡ʃ",), "ʤ": ("d͡ʒ",), "ts": ("t", "s")},
    **{"A": ("eɪ",), "I": ("aɪ",), "O": ("oʊ",), "Q": ("oʊ",), "W": ("aʊ",), "Y": ("ɔɪ",), "T": ("ɾ",), "əʊ": ("oʊ",)},
    **{"n̩": ("ə", "n"), "l̩": ("ə", "l"), "m̩": ("ə", "m"), "əl": ("ə", "l"), "ɛɹ": ("ɛ", "ɹ"), "ɬ": ("l",), "β": ("v",)},
}
ENGLISH_NEAR_PHONES: dict[str, tuple[str, ...]] = {  # reserved phonemes that no English voice has heard
    **{"a": ("ɑ",), "e": ("eɪ",), "o": ("oʊ",), "y": ("u",), "ø": ("ɚ",), "œ": ("ɚ",), "ɯ": ("u",)},
    **{"ɲ": ("n", "j"), "r": ("ɹ",), "ʁ": ("ɹ",), "ɣ": ("ɡ",), "ç": ("h",), "ɕ": ("ʃ",), "t͡s": ("t", "s")},
}

_ID_OF = {symbol: index for index, symbol in enumerate(PHONEMES)}
_CLASS_OF = {symbol: name for name, symbols in PHONEME_CLASSES.items() for symbol in symbols}
_NUCLEI = ("vowel", "diphthong")
_VOICELESS = ("pause", "voiceless plosive", "voiceless fricative", "voiceless affricate")
_IGNORED_MARKS = frozenset("ːˑ̩̯̃̆̚ʰʲˠ‿.͜͡")  # length, syllabicity, release, tie bars left over
_SPELLINGS = {**{s: (s,) for s in PHONEMES if s not in (PAD, SIL, SPACE, *PUNCTUATION)}, **NEAR_PHONES}
_LONGEST_SPELLING = max(map(len, _SPELLINGS))


def split_stress(token: str) -> tuple[str, int]:
    """Split a token into its phoneme and its stress id (0 none, 1 primary, 2 secondary); a tone is left out."""
    token = token.rstrip("˥˦˧˨˩")
    if token[:1] == "ˈ":
        return token[1:], 1
    if token[:1] == "ˌ":
        return token[1:], 2
    return token, 0


def tone_of(token: str) -> str:
    """Return the tone of a token, one of ``TONES`` or nothing."""
    return token[len(token.rstrip("˥˦˧˨˩")) :]


def phoneme_class(token: str) -> str:
    """Name the class of a token's sound, a key of ``PHONEME_CLASSES``; default durations depend on it."""
    return _CLASS_OF[_known(token)[0]]


def is_vowel(token: str) -> bool:
    """Say whether the token is a vowel or a diphthong."""
    return phoneme_class(token) in ("vowel", "diphthong")


def is_voiced(token: str) -> bool:
    """Say whether the vocal folds vibrate in this sound; pauses do not."""
    return phoneme_class(token) not in _VOICELESS


def is_pause(token: str) -> bool:
    """Say whether the token holds no sound of its own: padding, silence, the space between words, punctuation."""
    return phoneme_class(token) == "pause"


def encode(tokens: Sequence[str]) -> tuple[list[int], list[int]]:
    """Turn tokens into ids.

    Args:
        tokens: phoneme tokens [N].

    Returns:
        Phoneme ids [N] (indices into ``PHONEMES``) and stress ids [N] (indices into ``STRESSES`` and, behind these, ``TONES``). A
        vowel with a tone keeps the tone and not the stress.

    Raises:
        ValueError: a token is not in the alphabet, or carries stress without being a vowel.
    """
    pairs = [_known(token) for token in tokens]
    marks = [len(STRESSES) + TONES.index(tone) if (tone := tone_of(token)) else None for token in tokens]
    stresses = [stress if mark is None else mark for mark, (_, stress) in zip(marks, pairs, strict=True)]
    return [_ID_OF[phoneme] for phoneme, _ in pairs], stresses


def decode(phoneme_ids: Iterable[int], stress_ids: Iterable[int]) -> list[str]:
    """Turn ids back into tokens; the inverse of ``encode``."""
    pairs = zip(phoneme_ids, stress_ids, strict=True)
    return [
        STRESSES[int(mark)] + PHONEMES[int(phoneme)]
        if mark < len(STRESSES)
        else PHONEMES[int(phoneme)] + TONES[int(mark) - len(STRESSES)]
        for phoneme, mark in pairs
    ]


def parse_phonemes(text: str, language: str = "en-us") -> list[str]:
    """Read hand-written phonemes, spaced or run together, in IPA, espeak's or misaki's spelling.

    A stress mark before a syllable moves to its vowel. Separate words with a bar, or with a space when phonemes
    run together; single phonemes between spaces are one word.

    Args:
        text: for example ``h ə l ˈoʊ`` or ``həˈloʊ``.
        language: for English, sounds that it lacks become the nearest it has; for others, sounds that the alphabet lacks
            become those that languages.py names.

    Returns:
        Phoneme tokens without ``<sil>``.

    Raises:
        ValueError: a character is no phoneme.
    """
    tokens: list[str] = []
    is_english = language.lower().startswith("en")
    spellings = _SPELLINGS if is_english else {**_SPELLINGS, **spellings_of(language)}
    for word in _words_of_phonemes(text, spellings):
        if tokens and tokens[-1] not in PUNCTUATION and word not in PUNCTUATION:
            tokens.append(SPACE)
        tokens.extend([word] if word in PUNCTUATION else _parse_word(word, text, spellings))
    if not is_english:
        return tokens
    return [part for token in tokens for part in _fold_to_english(token)]


def alphabet_hash() -> str:
    """Digest the order of the alphabet; a checkpoint trained with another order must not be loaded."""
    return hashlib.sha256("\n".join((*PHONEMES, *STRESSES)).encode()).hexdigest()[:16]


def _known(token: str) -> tuple[str, int]:
    phoneme, stress = split_stress(token)
    if phoneme not in _ID_OF:
        raise ValueError(
            f'phoneme token must be in the alphabet, stress on vowels only; got "{token}". See emotts/text/symbols.py.'
        )
    tone = tone_of(token)
    if tone and (tone not in TONES or _CLASS_OF[phoneme] not in _NUCLEI):
        raise ValueError(f'a tone must be one of {" ".join(TONES)} and stand behind a vowel; got "{token}".')
    if stress and _CLASS_OF[phoneme] not in _NUCLEI:
        raise ValueError(f'stress belongs on a vowel; got "{token}". Put the mark on the vowel of that syllable.')
    return phoneme, stress


def _words_of_phonemes(text: str, spellings: Mapping[str, tuple[str, ...]]) -> list[str]:
    text = unicodedata.normalize("NFD", text).replace("c\u0327", "ç")  # nasal vowels are a vowel and a tilde
    for mark in PUNCTUATION:
        if mark != ".":  # between letters a full stop marks a syllable
            text = text.replace(mark, f" | {mark} | ")
    words: list[str] = []
    for group in text.split("|"):
        parts = group.split()
        is_spaced = len(parts) > 1 and all(
            p.lstrip("ˈˌ").rstrip("ː˥˦˧˨˩") in spellings or p in ("ˈ", "ˌ", ".") for p in parts
        )
        for part in ["".join(parts)] if is_spaced and "." not in parts else parts:
            words.append(part)
    return words


def _parse_word(word: str, text: str, spellings: Mapping[str, tuple[str, ...]]) -> list[str]:
    tokens: list[str] = []
    stress, i = "", 0
    while i < len(word):
        if word[i] in "ˈˌ":
            stress, i = word[i], i + 1
            continue
        if word[i] in TONE_LETTERS and spellings is not _SPELLINGS:  # English has none
            i = _read_tone(word, i, tokens, text)
            continue
        length = next((n for n in range(_LONGEST_SPELLING, 0, -1) if word[i : i + n] in spellings), 0)
        if not length:
            if word[i] in _IGNORED_MARKS:
                i += 1
                continue
            raise ValueError(f'phonemes must be IPA such as "h ə l ˈoʊ"; got "{word[i]}" in "{text.strip()[:60]}".')
        for phoneme in spellings[word[i : i + length]]:
            is_nucleus = _CLASS_OF[phoneme] in ("vowel", "diphthong")
            tokens.append(stress + phoneme if is_nucleus else phoneme)
            stress = "" if is_nucleus else stress
        i += length
        if word[i : i + 1] == "ː" and tokens:
            i += 1
            if tokens[-1].endswith("ɚ") and word[i : i + 1] == "ɹ":  # ɜːɹ is one sound
                i += 1
    return tokens


def _read_tone(word: str, start: int, tokens: list[str], text: str) -> int:
    """Give the last vowel the tone that begins at `start`; return where it ends."""
    end = start
    while end < len(word) and word[end] in TONE_LETTERS:
        end += 1
    tone = NEAR_TONES.get(word[start:end], word[start:end])
    vowel = next((i for i in range(len(tokens) - 1, -1, -1) if _CLASS_OF[split_stress(tokens[i])[0]] in _NUCLEI), None)
    if tone not in TONES or vowel is None or tone_of(tokens[vowel]):
        raise ValueError(
            f'tones must be one of {" ".join(TONES)} behind a vowel; got "{word}" in "{text.strip()[:60]}".'
        )
    tokens[vowel] += tone
    return end


def _fold_to_english(token: str) -> list[str]:
    phoneme, stress = split_stress(token)
    parts = ENGLISH_NEAR_PHONES.get(phoneme, (phoneme,))
    return [STRESSES[stress] + parts[0], *parts[1:]]
