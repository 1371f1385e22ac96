"""The alphabet: phoneme tokens in, two rows of ids (phoneme and stress) out, and what kind of sound each token is.

A token is an IPA phoneme, on vowels with an optional leading stress mark (``ˈ`` primary, ``ˌ`` secondary). In languages
that tell sounds apart by them it has marks behind it: on consonants one of ``QUALITIES``, on any sound ``ː``, on vowels a tone in
Chao letters. Else it is a space between words, a punctuation mark in its place, or ``<sil>`` at both ends of an utterance.
Checkpoints rely on the order of ``PHONEMES`` and ``MARKS``.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from emotts.text.languages import LONG, NEAR_TONES, QUALITIES, TONE_LETTERS, TONES, primary, spellings_of

ALPHABET_VERSION = 1  # raise it, and the hash in the test, only together with a migration of checkpoints

PAD = "<pad>"
SIL = "<sil>"
SPACE = " "
PUNCTUATION = (",", ".", "!", "?", ";", ":", "—", "…")
STRESSES = ("", "ˈ", "ˌ")  # index = stress id: none, primary, secondary
MARKS = (*STRESSES, *TONES, *(stress + LONG for stress in STRESSES), *(LONG + tone for tone in TONES), *QUALITIES,
         *(quality + LONG for quality in QUALITIES))  # index = id in the second row; English needs the first three  # fmt: skip
N_MARKS = len(MARKS)  # rows that a model of other languages needs

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
_IGNORED_ELSEWHERE = frozenset(
    "ˑ‿.\u032f\u0306\u031a\u0329\u032a\u031d\u031e\u0303\u030a\u035c\u0361"
)  # marks that no table knows: place, voice and release
_MARK_IDS = {mark: index for index, mark in enumerate(MARKS)}
_BEHIND = "".join(TONE_LETTERS) + LONG + "".join(QUALITIES)
_SPELLINGS = {**{s: (s,) for s in PHONEMES if s not in (PAD, SIL, SPACE, *PUNCTUATION)}, **NEAR_PHONES}
_LONGEST_SPELLING = 4  # characters, of all languages


def split_stress(token: str) -> tuple[str, int]:
    """Split a token into its phoneme and its stress id (0 none, 1 primary, 2 secondary); the marks behind it are left out."""
    token = token.rstrip(_BEHIND)
    if token[:1] == "ˈ":
        return token[1:], 1
    if token[:1] == "ˌ":
        return token[1:], 2
    return token, 0


def marks_of(token: str) -> str:
    """Return what stands behind the phoneme of a token: quality, length, tone."""
    return token[len(token.rstrip(_BEHIND)) :]


def tone_of(token: str) -> str:
    """Return the tone of a token, one of ``TONES`` or nothing."""
    return marks_of(token).lstrip(LONG + "".join(QUALITIES))


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


def encode(tokens: Sequence[str], n_marks: int = N_MARKS) -> tuple[list[int], list[int]]:
    """Turn tokens into ids.

    Args:
        tokens: phoneme tokens [N].
        n_marks: how many of ``MARKS`` the reader of the ids knows. Length and qualities that it does not know are left out, as
            they were when it learnt; for tones that is an error.

    Returns:
        Phoneme ids [N] (indices into ``PHONEMES``) and mark ids [N] (indices into ``MARKS``). A vowel with a tone keeps the tone
        and not the stress.

    Raises:
        ValueError: a token is not in the alphabet, carries a mark that its sound cannot have, or a tone that is not known.
    """
    pairs = [_known(token) for token in tokens]
    marks = [_mark_id(token, stress, n_marks) for token, (_, stress) in zip(tokens, pairs, strict=True)]
    return [_ID_OF[phoneme] for phoneme, _ in pairs], marks


def nearest_mark(mark_id: int) -> int:
    """Return the id of a mark without its length and quality: of what a model knows that was trained without them."""
    mark = MARKS[mark_id]
    return _MARK_IDS[mark.translate(dict.fromkeys(map(ord, (LONG, *QUALITIES))))]


def decode(phoneme_ids: Iterable[int], mark_ids: Iterable[int]) -> list[str]:
    """Turn ids back into tokens; the inverse of ``encode``."""
    tokens = []
    for phoneme, mark in zip(phoneme_ids, mark_ids, strict=True):
        behind = MARKS[int(mark)].lstrip("ˈˌ")
        tokens.append(MARKS[int(mark)].removesuffix(behind) + PHONEMES[int(phoneme)] + behind)
    return tokens


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
    spellings = _SPELLINGS if is_english else _spellings_elsewhere(primary(language))
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


@lru_cache(maxsize=4_096)
def _known(token: str) -> tuple[str, int]:
    phoneme, stress = split_stress(token)
    if phoneme not in _ID_OF:
        raise ValueError(
            f'phoneme token must be in the alphabet, stress on vowels only; got "{token}". See emotts/text/symbols.py.'
        )
    tone, is_nucleus = tone_of(token), _CLASS_OF[phoneme] in _NUCLEI
    if tone and (tone not in TONES or not is_nucleus):
        raise ValueError(f'a tone must be one of {" ".join(TONES)} and stand behind a vowel; got "{token}".')
    marks = marks_of(token).removesuffix(tone)
    if marks and (marks not in _MARK_IDS or _CLASS_OF[phoneme] == "pause" or (is_nucleus and marks != LONG)):
        raise ValueError(
            f'marks must be ː behind a sound, or behind a consonant one of {" ".join(QUALITIES)} and then ː; got "{token}".'
        )
    if stress and _CLASS_OF[phoneme] not in _NUCLEI:
        raise ValueError(f'stress belongs on a vowel; got "{token}". Put the mark on the vowel of that syllable.')
    return phoneme, stress


@lru_cache(maxsize=16)
def _spellings_elsewhere(language: str) -> dict[str, tuple[str, ...]]:
    return {**_SPELLINGS, **spellings_of(language)}


def _mark_id(token: str, stress: int, n_marks: int) -> int:
    behind, tone = marks_of(token), tone_of(token)
    found = _MARK_IDS[behind if tone else STRESSES[stress] + behind]
    if found >= n_marks:
        found = nearest_mark(found)
    if found >= n_marks:
        raise ValueError(
            f"the model knows no tones; leave them out of {token!r}, or train one with n_stresses={N_MARKS}."
        )
    return found


def _words_of_phonemes(text: str, spellings: Mapping[str, tuple[str, ...]]) -> list[str]:
    text = unicodedata.normalize("NFD", text).replace("c\u0327", "ç")  # nasal vowels are a vowel and a tilde
    for mark in PUNCTUATION:
        if mark != ".":  # between letters a full stop marks a syllable
            text = text.replace(mark, f" | {mark} | ")
    words: list[str] = []
    for group in text.split("|"):
        parts = group.split()
        is_spaced = len(parts) > 1 and all(
            p.lstrip("ˈˌ").rstrip(_BEHIND) in spellings or p in ("ˈ", "ˌ", ".") for p in parts
        )
        for part in ["".join(parts)] if is_spaced and "." not in parts else parts:
            words.append(part)
    return words


def _parse_word(word: str, text: str, spellings: Mapping[str, tuple[str, ...]]) -> list[str]:
    tokens: list[str] = []
    has_marks = spellings is not _SPELLINGS  # English has neither tones nor length
    ignored = _IGNORED_ELSEWHERE if has_marks else _IGNORED_MARKS
    stress, i, sounds = "", 0, 0
    while i < len(word):
        if word[i] in "ˈˌ":
            stress, i = word[i], i + 1
            continue
        if has_marks and word[i] in TONE_LETTERS:
            i = _read_tone(word, i, tokens, text)
            continue
        if has_marks and word[i] in (LONG, *QUALITIES):
            _mark(tokens, sounds + (word[i - 1] in "ʰʱ"), word[i])
            i += 1
            continue
        length = next((n for n in range(_LONGEST_SPELLING, 0, -1) if word[i : i + n] in spellings), 0)
        if not length:
            if word[i] in ignored:
                i += 1
                continue
            raise ValueError(f'phonemes must be IPA such as "h ə l ˈoʊ"; got "{word[i]}" in "{text.strip()[:60]}".')
        sounds = len(spellings[word[i : i + length]])
        for phoneme in spellings[word[i : i + length]]:
            is_nucleus = _CLASS_OF[split_stress(phoneme)[0]] in _NUCLEI
            tokens.append(stress + phoneme if is_nucleus else phoneme)
            stress = "" if is_nucleus else stress
        i += length
        if not has_marks and word[i : i + 1] == LONG and tokens:
            i += 1
            if tokens[-1].endswith("ɚ") and word[i : i + 1] == "ɹ":  # ɜːɹ is one sound
                i += 1
    return tokens


def _mark(tokens: list[str], sounds: int, mark: str) -> None:
    """Mark one of the last tokens, the sounds of one spelling: length goes to the vowel or the first, a quality to the last."""
    places = range(len(tokens) - sounds, len(tokens))
    vowels = [i for i in places if _CLASS_OF[split_stress(tokens[i])[0]] in _NUCLEI]
    if not places or (vowels and mark != LONG):
        return
    place = (vowels[-1] if vowels else places[0]) if mark == LONG else places[-1]
    token, behind, tone = tokens[place], marks_of(tokens[place]), tone_of(tokens[place])
    quality = mark if mark != LONG else behind.removesuffix(tone).removesuffix(LONG)
    length = LONG if LONG in (mark, *behind) else ""
    tokens[place] = token.removesuffix(behind) + quality + length + tone


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
