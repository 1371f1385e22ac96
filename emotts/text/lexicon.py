"""One English word in, its phonemes out: own exceptions, gruut's lexicon, letters, known stems, compounds, gruut's CRF.

Only gruut's data are read (package ``gruut_lang_en``: a lexicon with parts of speech, a CRF for unknown words, a
tagger); gruut's own pipeline takes 0.4 s to import and does the work of ``normalise.py`` a second time.
"""

from __future__ import annotations

import base64
import re
import sqlite3
import string
import threading
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from emotts.text.symbols import is_voiced, is_vowel, split_stress

Pronunciation = tuple[str, ...]

_LETTERS = """
a: ˈeɪ; b: b ˈi; c: s ˈi; d: d ˈi; e: ˈi; f: ˈɛ f; g: d͡ʒ ˈi; h: ˈeɪ t͡ʃ; i: ˈaɪ; j: d͡ʒ ˈeɪ; k: k ˈeɪ; l: ˈɛ l;
m: ˈɛ m; n: ˈɛ n; o: ˈoʊ; p: p ˈi; q: k j ˈu; r: ˈɑ ɹ; s: ˈɛ s; t: t ˈi; u: j ˈu; v: v ˈi; w: d ˈʌ b ə l j u;
x: ˈɛ k s; y: w ˈaɪ; z: z ˈi
"""
_EXCEPTIONS = """
emotts: ˈi m oʊ t ˌi t ˈi ˈɛ s; gruut: ɡ ɹ ˈu t; ok: ˌoʊ k ˈeɪ; github: ɡ ˈɪ t h ˌʌ b; wifi: w ˈaɪ f ˌaɪ;
jpeg: d͡ʒ ˈeɪ p ˌɛ ɡ; gif: ɡ ˈɪ f; asap: ˈeɪ s ˌæ p; unesco: j u n ˈɛ s k oʊ; emoji: ɪ m ˈoʊ d͡ʒ i; hmm: h ˈə m;
hm: h ˈə m; mm: ˈə m; mmm: ˈə m; shh: ʃ ˈə; pst: p s ˈə t; ugh: ˈʌ ɡ; uh: ˈʌ; ah: ˈɑ; aha: ɑ h ˈɑ; haha: h ˈɑ h ˈɑ;
oh: ˈoʊ; ooh: ˈu; wow: w ˈaʊ; yay: j ˈeɪ; um: ˈʌ m; huh: h ˈʌ; eh: ˈɛ; ew: ˈi u; phew: f j ˈu; whoa: w ˈoʊ;
gonna: ɡ ˈʌ n ə; wanna: w ˈɑ n ə; library: l ˈaɪ b ɹ ˌɛ ɹ i; libraries: l ˈaɪ b ɹ ˌɛ ɹ i z;
surprise: s ɚ p ɹ ˈaɪ z; surprised: s ɚ p ɹ ˈaɪ z d; surprising: s ɚ p ɹ ˈaɪ z ɪ ŋ; surprises: s ɚ p ɹ ˈaɪ z ɪ z;
surprisingly: s ɚ p ɹ ˈaɪ z ɪ ŋ l i; tonight: t ə n ˈaɪ t; hospital: h ˈɑ s p ɪ t ə l; toward: t ˈɔ ɹ d;
towards: t ˈɔ ɹ d z; vase: v ˈeɪ s; anybody: ˈɛ n i b ˌɑ d i; email: ˈi m eɪ l; emails: ˈi m eɪ l z;
obelisk: ˈɑ b ə l ˌɪ s k; obelisks: ˈɑ b ə l ˌɪ s k s; hassock: h ˈæ s ə k; hassocks: h ˈæ s ə k s;
tasseled: t ˈæ s ə l d; lifelong: l ˈaɪ f l ˌɔ ŋ; celsius: s ˈɛ l s i ə s; yo: j ˈoʊ; data: d ˈeɪ t ə; et: ˈɛ t;
hashtag: h ˈæ ʃ t ˌæ ɡ; beta: b ˈeɪ t ə; online: ˌɑ n l ˈaɪ n; miz: m ˈɪ z; missus: m ˈɪ s ɪ z;
onto: ˈɑ n t u; on: ˈɑ n; with: w ˈɪ ð; beyond: b i j ˈɑ n d; app: ˈæ p; apps: ˈæ p s;
smartphone: s m ˈɑ ɹ t f ˌoʊ n; podcast: p ˈɑ d k ˌæ s t; naive: n ɑ ˈi v; soo: s ˈoʊ
"""
_INITIALISMS = """
MIT AC AD ADHD AI AKA AM API ASR ATM BBC BC CD CEO CFO CGI CIA CNN CPU CTO DC DIY DJ DNA DVD EDT EEG ER EST EU FAQ FBI
FYI GMT GPS GPU HIV HR HTML HTTP IBM ID IP IQ IT JR KGB LA LED LGBT MBA MP MRI NBA NFL NHS NY OK PC PDF PHD PM PR
PST RNA RSVP SMS SOS SUV TTS TV UAE UFO UK UN URL US USA USB UTC VIP XP
"""
_ACRONYMS = """
AIDS ASAP FIFA GIF JPEG LASER NASA NATO OPEC PIN RADAR RAM ROM SCUBA SIM SWAT UNESCO UNICEF
"""


def _table(text: str) -> dict[str, str]:
    pairs = (entry.partition(":") for entry in text.replace("\n", " ").split(";"))
    return {key.strip(): value.strip() for key, _, value in pairs}


LETTERS = _table(_LETTERS)
EXCEPTIONS = _table(_EXCEPTIONS)
INITIALISMS = frozenset(_INITIALISMS.split())  # in capitals these are spelled, even where a word has the same letters
SPOKEN_ACRONYMS = frozenset(_ACRONYMS.split())
_CACHE_SIZE = 20_000
_MAX_WORD = 60  # letters; what is longer is no word and is cut
_LIVING_SUFFIXES = (
    *(("ingly", "ɪ ŋ l i"), ("ing", "ɪ ŋ"), ("ness", "n ə s"), ("less", "l ə s"), ("ment", "m ə n t"), ("ly", "l i")),
    *(("ers", "ɚ z"), ("er", "ɚ"), ("y", "i"), ("ish", "ɪ ʃ"), ("ful", "f ə l"), ("able", "ə b ə l")),
)
_PREFIXES = {
    "un": "ʌ n",
    "re": "ɹ i",
    "non": "n ˌɑ n",
    "anti": "ˌæ n t i",
    "pre": "p ɹ i",
    "mis": "m ɪ s",
    "over": "ˌoʊ v ɚ",
}
_SIBILANTS = ("s", "z", "ʃ", "ʒ", "t͡ʃ", "d͡ʒ")
_crf_lock = threading.Lock()  # a CRF tagger holds its sentence: one thread at a time


@lru_cache(maxsize=1)
def load_lexicon() -> dict[str, str | dict[str, str]]:
    """Read gruut's lexicon (0.15 s, 30 MB): word -> phonemes, or part of speech -> phonemes with the default first."""
    entries: dict[str, str | dict[str, str]] = {}
    connection = sqlite3.connect(f"file:{_data_dir() / 'lexicon.db'}?mode=ro", uri=True)
    try:
        for word, role, phonemes in connection.execute("SELECT word, role, phonemes FROM word_phonemes"):
            known = entries.get(word)
            if known is None:
                entries[word] = {role.removeprefix("gruut:"): phonemes} if role else phonemes
            elif role and isinstance(known, dict):
                known.setdefault(role.removeprefix("gruut:"), phonemes)
    finally:
        connection.close()
    return entries


def pronounce(word: str, tag: str = "") -> Pronunciation:
    """Pronounce one English word.

    Args:
        word: letters and apostrophes; capitals matter (``US`` is spelled, ``us`` is not).
        tag: Penn part of speech from ``tag_parts_of_speech``; needed for homographs only (``is_homograph``).

    Returns:
        Phoneme tokens, empty when no letter of the word can be read in English.
    """
    return _americanise(_pronounce(word[:_MAX_WORD], _role(word, tag) if tag else ""))


def is_homograph(word: str) -> bool:
    """Say whether the pronunciation depends on the part of speech."""
    entry = load_lexicon().get(word.lower())
    return isinstance(entry, dict) and len(entry) > 1


def is_known(word: str) -> bool:
    """Say whether the word stands in the lexicon."""
    return word in EXCEPTIONS or word in load_lexicon()


def spell(letters: str) -> Pronunciation:
    """Name the letters one by one; the last one bears the main stress."""
    names = [LETTERS[letter].split() for letter in letters.lower() if letter in LETTERS]
    tokens = [token for name in names[:-1] for token in name]
    return tuple([token.replace("ˈ", "ˌ") for token in tokens] + (names[-1] if names else []))


def tag_parts_of_speech(words: Sequence[str]) -> list[str]:
    """Tag each word of a sentence (Penn tags) with gruut's CRF."""
    features = [_word_features(words, i) for i in range(len(words))]
    with _crf_lock:
        return list(_crf("pos").tag(features))


@lru_cache(maxsize=_CACHE_SIZE)
def _pronounce(word: str, role: str) -> Pronunciation:
    plain = word.lower()
    if word in INITIALISMS:
        return spell(word)
    found = _look_up(plain, role)
    if found and not (len(word) == 1 and word != "a"):
        return found
    folded = "".join(c for c in unicodedata.normalize("NFKD", plain) if c in string.ascii_lowercase or c == "'")
    if folded != plain:
        return _pronounce(folded, role) if folded.strip("'") else ()
    if len(plain) == 1 or _looks_spelled(word):
        return spell(plain)
    plural = re.fullmatch(r"([A-Z]{2,6})'?s", word)
    if plural and plural[1] not in SPOKEN_ACRONYMS:
        return _with_ending_s(spell(plural[1]))
    parts = [part for part in re.split(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", word) if part]
    if len(parts) > 1:
        return _join_compound([_pronounce(part, "") for part in parts])
    return _from_stem(plain) or _from_two_words(plain) or _guess(plain)


@lru_cache(maxsize=_CACHE_SIZE)
def _americanise(tokens: Pronunciation) -> Pronunciation:
    """Drop j in new and duke, open want and watch to ɑ, and keep one main stress, the last (as in ˌnineˈteen)."""
    said = list(tokens)
    stressed = [i for i, token in enumerate(said) if token[0] == "ˈ"]
    for i in stressed[:-1]:
        said[i] = "ˌ" + said[i][1:]
    for i in range(1, len(said) - 1):
        if said[i - 1 : i + 1] == ["w", "ˈɔ"] and said[i + 1] in ("n", "m", "s", "ʃ", "t͡ʃ"):
            said[i] = "ˈɑ"
    kept = []
    for i, token in enumerate(said):
        following = said[i + 1 : i + 2]
        is_yod = token == "j" and i > 0 and said[i - 1] in ("n", "t", "d", "s", "z", "θ")
        if not (is_yod and following and (following[0] in ("ˈu", "ˌu", "ˈʊ") or (following[0] == "u" and i == 1))):
            kept.append(token)
    return tuple(kept)


def _look_up(word: str, role: str) -> Pronunciation:
    if word in EXCEPTIONS:
        return tuple(EXCEPTIONS[word].split())
    entry = load_lexicon().get(word)
    if isinstance(entry, dict):
        entry = entry.get(role) or next(iter(entry.values()))
    return tuple(entry.split()) if entry else ()


def _role(word: str, tag: str) -> str:
    entry = load_lexicon().get(word.lower())
    if not isinstance(entry, dict):
        return ""
    wanted = {"VBN": ("VBN", "VBD", "VB"), "VBD": ("VBD", "VB")}.get(tag, (tag, tag[:2]))
    return next((role for role in wanted if role in entry), "")


def _looks_spelled(word: str) -> bool:
    if not word.isupper() or word in SPOKEN_ACRONYMS or not word.isascii():
        return False
    return (
        len(word) <= 3
        or not re.search("[AEIOUY]", word)
        or (len(word) == 4 and not re.search("[AEIOU].*[AEIOU]", word))
    )


def _from_stem(word: str) -> Pronunciation:
    """Read a known word with a living ending or prefix: possessive, plural, past, -ing, -ly, un-..."""
    if word.endswith("s'") and is_known(word[:-1]):
        return _look_up(word[:-1], "")
    if word.endswith("'s") or word.endswith("s'"):
        stem = _pronounce(word[:-2], "")
        return _with_ending_s(stem) if stem else ()
    single = re.sub(r"([a-z])\1", r"\1", word)
    if single != word and is_known(single):  # sooo, yess
        return _look_up(single, "")
    if "'" in word:
        return tuple(token for part in word.split("'") if part for token in _pronounce(part, ""))
    for ending, cut in (("ies", "y"), ("es", ""), ("es", "e"), ("s", "")):
        stem = _stem(word, ending, cut)
        if stem and not word.endswith("ss"):
            return _with_ending_s(stem)
    for ending, cut in (("ied", "y"), ("ed", "e"), ("ed", "")):
        stem = _stem(word, ending, cut)
        if stem:
            if stem[-1] in ("t", "d"):
                return (*stem, "ɪ", "d")
            return (*stem, "d" if is_voiced(stem[-1]) else "t")
    for ending, phonemes in _LIVING_SUFFIXES:
        stem = _stem(word, ending, "") or (_stem(word, ending, "e") if ending in ("ing", "ingly", "er") else ())
        if stem:
            return (*stem, *phonemes.split())
    for prefix, phonemes in _PREFIXES.items():
        if word.startswith(prefix) and len(word) > len(prefix) + 3:
            rest = _look_up(word[len(prefix) :], "") or _from_suffix_only(word[len(prefix) :])
            if rest:
                return (*phonemes.split(), *rest)
    return ()


def _from_suffix_only(word: str) -> Pronunciation:
    for ending, phonemes in _LIVING_SUFFIXES:
        stem = _stem(word, ending, "")
        if stem:
            return (*stem, *phonemes.split())
    return ()


def _stem(word: str, ending: str, restored: str) -> Pronunciation:
    if not word.endswith(ending) or len(word) < len(ending) + 3:
        return ()
    bare = word[: -len(ending)]
    doubled = bare[:-1] if ending in ("ing", "ed", "er") and bare[-1] == bare[-2] and bare[-1] not in "aeiouls" else ""
    return _look_up(bare + restored, "VB") or (_look_up(doubled, "VB") if doubled and not restored else ())


def _from_two_words(word: str) -> Pronunciation:
    """Read a closed compound (``nightcrawler``) when both halves are long known words."""
    for cut in sorted(range(4, len(word) - 3), key=lambda i: abs(2 * i - len(word))):
        left, right = _look_up(word[:cut], ""), _look_up(word[cut:], "")
        if left and right:
            return _join_compound([left, right])
    return ()


def _join_compound(parts: list[Pronunciation]) -> Pronunciation:
    tokens: list[str] = []
    for i, part in enumerate(part for part in parts if part):
        tokens.extend(part if i == 0 else [token.replace("ˈ", "ˌ") for token in part])
    return tuple(tokens)


def _with_ending_s(stem: Pronunciation) -> Pronunciation:
    if stem[-1] in _SIBILANTS:
        return (*stem, "ɪ", "z")
    return (*stem, "z" if is_voiced(stem[-1]) else "s")


def _guess(word: str) -> Pronunciation:
    letters = word.replace("'", "")
    if not re.search("[aeiouy]", letters):
        return spell(letters)
    features = [_letter_features(letters, i) for i in range(len(letters))]
    with _crf_lock:
        coded = _crf("g2p").tag(features)
    tokens = [p for code in coded for p in base64.b64decode(code).decode().split("|") if p != "_"]
    vowels = [i for i, token in enumerate(tokens) if is_vowel(token)]
    if vowels and not any(split_stress(token)[1] == 1 for token in tokens):
        full = [i for i in vowels if split_stress(tokens[i])[0] not in ("ə", "ɚ")] or vowels
        tokens[full[0]] = "ˈ" + split_stress(tokens[full[0]])[0]
    return tuple(tokens)


def _data_dir() -> Path:
    try:
        import gruut_lang_en
    except ImportError as error:
        raise ValueError(
            "English text needs gruut's lexicon, which is not installed. Run: pip install gruut"
        ) from error
    return Path(gruut_lang_en.__file__).parent


@lru_cache(maxsize=2)
def _crf(name: str) -> Any:
    import pycrfsuite

    tagger = pycrfsuite.Tagger()
    tagger.open(str(_data_dir() / name / "model.crf"))
    return tagger


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")  # as gruut trained its CRFs


def _letter_features(word: str, i: int) -> dict[str, Any]:
    features: dict[str, Any] = {"bias": 1.0, "grapheme": _encode(word[i])}
    if i == 0:
        features["begin"] = True
    for j in range(1, 4):
        if i >= j:
            features[f"grapheme-{j}"] = _encode(word[i - j])
        if i < len(word) - j:
            features[f"grapheme+{j}"] = _encode(word[i + j])
    if i == len(word) - 1:
        features["end"] = True
    return features


def _word_features(words: Sequence[str], i: int) -> dict[str, Any]:
    features = _local_features(words[i], "")
    if i == 0:
        features["BOS"] = True
    if i == len(words) - 1:
        features["EOS"] = True
    for j in (1, 2):
        if i >= j:
            features.update(_local_features(words[i - j], f"-{j}:"))
        if i < len(words) - j:
            features.update(_local_features(words[i + j], f"+{j}:"))
    return features


def _local_features(word: str, prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}bias": 1.0, f"{prefix}word": _encode(word), f"{prefix}len(word)": len(word),
        f"{prefix}word.ispunctuation": word in string.punctuation,
        f"{prefix}word.isdigit()": word.isdigit(),
        **{f"{prefix}word[:{n}]": word[:n] for n in (2, 3)},
        **{f"{prefix}word[-{n}:]": word[-n:] for n in (2, 3)},
    }  # fmt: skip
