"""A sentence in, phoneme tokens out: its words, how each is said, and what American English makes of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from emotts.text.espeak import espeak_words
from emotts.text.figures import PAUSE
from emotts.text.homographs import choose_homograph, has_rules
from emotts.text.japanese import japanese_words
from emotts.text.languages import primary
from emotts.text.lexicon import INITIALISMS, is_homograph, is_known, pronounce, tag_parts_of_speech
from emotts.text.markup import PLACEHOLDER
from emotts.text.normalise import normalise
from emotts.text.symbols import PUNCTUATION, SIL, SPACE, is_pause, is_vowel, split_stress
from emotts.text.thai import thai_words

BACKENDS = ("gruut", "espeak", "openjtalk", "thaiphon")
_READS = {
    "gruut": "en",
    "openjtalk": "ja",
    "thaiphon": "th",
}  # the one language of each; espeak reads the others, English too

# word: inside a phrase / at its end or alone
_WEAK_FORMS = """
a: ə / ˈeɪ; an: ə n / ˈæ n; the: ð ə / ð ə; of: ə v / ˈʌ v; to: t ə / t ˈu; and: æ n d / ˈæ n d; for: f ɚ / f ˈɔ ɹ;
at: æ t / ˈæ t; from: f ɹ ə m / f ɹ ˈʌ m; as: æ z / ˈæ z; but: b ə t / b ˈʌ t; or: ɔ ɹ / ˈɔ ɹ; nor: n ɔ ɹ / n ˈɔ ɹ;
than: ð ə n / ð ˈæ n; if: ɪ f / ˈɪ f; in: ɪ n / ˈɪ n; on: ɑ n / ˈɑ n; by: b aɪ / b ˈaɪ; with: w ɪ ð / w ˈɪ ð;
can: k ə n / k ˈæ n; was: w ə z / w ˈʌ z; were: w ɚ / w ˈɚ; is: ɪ z / ˈɪ z; are: ɑ ɹ / ˈɑ ɹ; am: æ m / ˈæ m;
be: b i / b ˈi; been: b ɪ n / b ˈɪ n; has: h æ z / h ˈæ z; had: h æ d / h ˈæ d; have: h æ v / h ˈæ v;
do: d u / d ˈu; does: d ʌ z / d ˈʌ z; did: d ɪ d / d ˈɪ d; will: w ɪ l / w ˈɪ l; would: w ʊ d / w ˈʊ d;
could: k ʊ d / k ˈʊ d; should: ʃ ʊ d / ʃ ˈʊ d; shall: ʃ æ l / ʃ ˈæ l; must: m ʌ s t / m ˈʌ s t;
that: ð ə t / ð ˈæ t; this: ð ɪ s / ð ˈɪ s; i: aɪ / ˈaɪ; you: j u / j u; he: h i / h i; she: ʃ i / ʃ i;
it: ɪ t / ɪ t; we: w i / w i; they: ð eɪ / ð eɪ; me: m i / m i; him: h ɪ m / h ɪ m; her: h ɚ / h ɚ; us: ʌ s / ʌ s;
them: ð ə m / ð ə m; my: m aɪ / m ˈaɪ; your: j ɔ ɹ / j ˈɔ ɹ; his: h ɪ z / h ˈɪ z; its: ɪ t s / ˈɪ t s;
our: aʊ ɚ / ˈaʊ ɚ; their: ð ɛ ɹ / ð ˈɛ ɹ; some: s ə m / s ˈʌ m; there: ð ɛ ɹ / ð ˈɛ ɹ; i'm: aɪ m / ˈaɪ m;
i've: aɪ v / ˈaɪ v; i'll: aɪ l / ˈaɪ l; i'd: aɪ d / ˈaɪ d; it's: ɪ t s / ˈɪ t s; you're: j ʊ ɹ / j ˈʊ ɹ;
you've: j u v / j ˈu v; you'll: j u l / j ˈu l; you'd: j u d / j ˈu d; he's: h i z / h ˈi z; she's: ʃ i z / ʃ ˈi z;
we're: w ɪ ɹ / w ˈɪ ɹ; we've: w i v / w ˈi v; we'll: w i l / w ˈi l; they're: ð ɛ ɹ / ð ˈɛ ɹ;
they've: ð eɪ v / ð ˈeɪ v; they'll: ð eɪ l / ð ˈeɪ l; there's: ð ɛ ɹ z / ð ˈɛ ɹ z; that's: ð æ t s / ð ˈæ t s;
through: θ ɹ u / θ ɹ ˈu; they'd: ð eɪ d / ð ˈeɪ d; he'd: h i d / h ˈi d; she'd: ʃ i d / ʃ ˈi d;
we'd: w i d / w ˈi d; he'll: h i l / h ˈi l; she'll: ʃ i l / ʃ ˈi l; it'll: ɪ ɾ ə l / ˈɪ ɾ ə l; may: m eɪ / m ˈeɪ;
might: m aɪ t / m ˈaɪ t
"""
WEAK_FORMS: dict[str, tuple[str, str]] = {
    word: (weak, full)
    for word, weak, full in (re.split(": | / ", entry.strip()) for entry in _WEAK_FORMS.replace("\n", " ").split(";"))
}
_BEFORE_VOWEL = {"the": "ð i", "to": "t u"}
_WORD_OR_MARK = re.compile(rf"{PLACEHOLDER}|[^\W\d_{PLACEHOLDER}]+(?:['’][^\W\d_{PLACEHOLDER}]+)*'?|[,.!?;:—…]")
_TAPPING_VOWELS = ("ə", "ɚ", "i", "ɪ", "oʊ")  # without stress
_BEFORE_DEMONSTRATIVE = frozenset(
    ("is", "was", "who's", "what's", "of", "at", "in", "on", "with", "for", "from", "like", "all")
)
_CACHE_SIZE = 512


@dataclass
class _Word:
    """A word of the sentence and how it is said."""

    text: str
    tag: str = ""
    phonemes: tuple[str, ...] = ()
    mark: str = ""  # punctuation after it
    number: int = 0  # which word of the sentence it is, those counted that cannot be read
    is_given: bool = False  # its phonemes were written by hand


def phonemize(text: str, language: str = "en-us", backend: str = "gruut") -> list[str]:
    """Turn one sentence or chunk into phoneme tokens.

    Args:
        text: as written; it is normalised here.
        language: English with gruut, which reads it as American; any of espeak's names with espeak.
        backend: ``gruut``, or one of the optional extras ``espeak`` (GPL-3), ``openjtalk`` (Japanese), ``thaiphon`` (Thai).

    Returns:
        Tokens of the alphabet in ``symbols.py``, ``<sil>`` first and last.

    Raises:
        ValueError: the backend or its language is unknown or not installed, or nothing in the text can be spoken.
    """
    check_backend(language, backend)
    tokens, _ = _phonemize(text, (), language.lower(), backend)
    if not tokens:
        raise ValueError(
            f"text has nothing speakable in {language}; got {_shorten(text)!r}. Give it at least one word or number."
        )
    return list(tokens)


def phonemize_marked(
    text: str, inline: Sequence[Sequence[str]], language: str, backend: str = "gruut"
) -> tuple[list[str], list[int]]:
    """Turn a chunk in which each ``PLACEHOLDER`` stands for given phonemes into tokens.

    Returns:
        The tokens, none if the chunk has no sound, and which word of ``written_words`` each belongs to; -1 for pauses.
    """
    check_backend(language, backend)
    tokens, words = _phonemize(text, tuple(map(tuple, inline)), language.lower(), backend)
    return list(tokens), list(words)


def written_words(text: str, language: str, backend: str = "gruut") -> list[str]:
    """Return the words as they will be read: numbers and abbreviations written out, ``PLACEHOLDER`` as a word."""
    spoken = normalise(text, language.lower())
    if backend != "gruut":
        return _spaced_words(spoken)
    return [word.text for word in _words(spoken)]


def backend_of(language: str, read_by: Mapping[str, str] | None = None) -> str:
    """Return the backend that reads a language, in preparing a corpus as in speaking.

    Args:
        language: a tag such as ``de`` or ``en-gb``.
        read_by: backends by language with which a model learnt; they come before ours: gruut for English, openjtalk for
            Japanese, thaiphon for Thai, espeak for every other language.
    """
    known = {name.lower(): backend for name, backend in (read_by or {}).items()}
    ours = next((backend for backend, name in _READS.items() if name == primary(language)), "espeak")
    return known.get(language.lower(), ours)


def check_backend(language: str, backend: str) -> None:
    """Raise ValueError if there is no such backend or it does not read the language."""
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {", ".join(BACKENDS)}; got "{backend}".')
    if primary(language) == _READS.get(backend, primary(language)):
        return
    other = backend_of(language)
    extra = {"openjtalk": "japanese", "thaiphon": "thai"}.get(other, other)
    raise ValueError(
        f'language of backend "{backend}" must be {_READS[backend]}; got "{language}". '
        f'Use backend="{other}"{"" if other == "gruut" else f" (pip install emotts[{extra}])"}.'
    )


@lru_cache(maxsize=_CACHE_SIZE)
def _phonemize(
    text: str, inline: tuple[tuple[str, ...], ...], language: str, backend: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    spoken = normalise(text, language)
    if backend == "gruut":
        tokens, words = _phonemize_english(spoken, inline, language)
    else:
        read = {"espeak": espeak_words, "openjtalk": japanese_words, "thaiphon": thai_words}[backend]
        tokens, words = _phonemize_pieces(spoken, inline, language, read)
    if all(is_pause(token) for token in tokens):
        return (), ()
    numbers = (-1 if is_pause(token) else word for token, word in zip(tokens, words, strict=True))
    return (SIL, *tokens, SIL), (-1, *numbers, -1)


def _phonemize_english(text: str, inline: tuple[tuple[str, ...], ...], language: str) -> tuple[list[str], list[int]]:
    words = _words(text)
    if any(_needs_tag(word.text.lower()) for word in words):
        _tag(words)
    given = iter(inline)
    for i, word in enumerate(words):
        word.is_given = word.text == PLACEHOLDER
        word.phonemes = next(given, ()) if word.is_given else _citation_form(words, i)
    words = _without_unreadable(words, language)
    for i, word in enumerate(words):
        if not word.is_given:
            word.phonemes = _running_form(words, i)
    _stress_phrases_without_stress(words)
    tokens: list[str] = []
    numbers: list[int] = []
    for word in words:
        tokens.extend(word.phonemes if word.is_given else _flap(word.phonemes))
        tokens.append(word.mark or SPACE)
        numbers.extend([word.number] * (len(tokens) - len(numbers)))
    end = -1 if tokens and tokens[-1] == SPACE else None
    return tokens[:end], numbers[:end]


def _without_unreadable(words: list[_Word], language: str) -> list[_Word]:
    lost = [word.text for word in words if not word.phonemes]
    if lost:
        warnings.warn(f'skipped what cannot be read in {language}: "{" ".join(lost)[:60]}"', stacklevel=2)
    for before, word in zip(words, words[1:], strict=False):
        if not word.phonemes and word.mark:
            before.mark = _stronger(before.mark, word.mark)
    return [word for word in words if word.phonemes]


def _words(sentence: str) -> list[_Word]:
    words: list[_Word] = []
    found = _WORD_OR_MARK.findall(sentence)
    in_capitals = _is_shouted(found)
    for item in found:
        if item in PUNCTUATION:
            if words:
                words[-1].mark = _stronger(words[-1].mark, item)
        else:
            word = item.replace("’", "'")
            text = word.lower() if in_capitals and is_known(word.lower()) else word
            words.append(_Word(text, number=len(words)))
    return words


def _is_shouted(items: list[str]) -> bool:
    long_words = [item for item in items if len(item) > 1]
    capitals = sum(item.isupper() for item in long_words)
    return capitals >= 2 and capitals >= 0.7 * len(long_words)


def _stronger(old: str, new: str) -> str:
    order = "—,:;….!?"
    return new if not old or order.find(new) > order.find(old) else old


def _tag(words: list[_Word]) -> None:
    sequence: list[str] = []
    for word in words:
        sequence.extend([word.text, word.mark] if word.mark else [word.text])
    tags = iter(tag_parts_of_speech(sequence))
    for word in words:
        word.tag = next(tags)
        if word.mark:
            next(tags)


def _needs_tag(word: str) -> bool:
    return word == "that" or is_homograph(word) or has_rules(word)


def _citation_form(words: list[_Word], i: int) -> tuple[str, ...]:
    chosen = choose_homograph([word.text.lower() for word in words], i, words[i].tag)
    return chosen or pronounce(words[i].text, words[i].tag)


def _running_form(words: list[_Word], i: int) -> tuple[str, ...]:
    """Choose the weak or the full form of a function word."""
    word = words[i]
    forms = None if word.text == "May" or _is_letter_a(words, i) else WEAK_FORMS.get(word.text.lower())
    if forms is None or (word.text.isupper() and word.text.upper() in INITIALISMS):
        return word.phonemes
    is_last = bool(word.mark) or i + 1 == len(words)
    following = None if is_last else words[i + 1]
    plain = word.text.lower()
    if plain == "that" and (is_last or _is_demonstrative(words, i)):
        return tuple(forms[1].split())
    if following is not None and plain in _BEFORE_VOWEL and is_vowel(following.phonemes[0]):
        return tuple(_BEFORE_VOWEL[plain].split())
    return tuple(forms[1 if is_last else 0].split())


def _is_letter_a(words: list[_Word], i: int) -> bool:
    """Tell vitamin A from the article of a sentence's or a title's beginning."""
    if words[i].text != "A" or i == 0 or (words[i - 1].mark and words[i - 1].mark not in ",—"):
        return False
    following = words[i + 1].text if i + 1 < len(words) else ""
    return not (len(following) > 1 and following[0].isupper())


def _is_demonstrative(words: list[_Word], i: int) -> bool:
    following = words[i + 1].text.lower() if i + 1 < len(words) else ""
    if i == 0 or words[i - 1].mark or words[i].tag == "DT":
        return True
    return words[i - 1].text.lower() in _BEFORE_DEMONSTRATIVE or following in ("is", "was", "one", "way", "day")


def _stress_phrases_without_stress(words: list[_Word]) -> None:
    """Give every phrase between punctuation marks at least one stressed vowel, on its last word."""
    start = 0
    for i, word in enumerate(words):
        if not word.mark and i + 1 < len(words):
            continue
        phrase = words[start : i + 1]
        start = i + 1
        if not any(split_stress(token)[1] for each in phrase for token in each.phonemes):
            forms = WEAK_FORMS.get(word.text.lower())
            tokens = list(forms[1].split() if forms else word.phonemes)
            vowel = next((k for k, token in enumerate(tokens) if is_vowel(token)), None)
            if vowel is not None and not any(split_stress(token)[1] for token in tokens):
                tokens[vowel] = "ˈ" + tokens[vowel]
            word.phonemes = tuple(tokens)


def _flap(phonemes: tuple[str, ...]) -> list[str]:
    """Turn t into the tap of American English between a vowel or ɹ and an unstressed vowel, but not before ən (button).

    d is tapped there as well, yet stays d: voices do it by themselves, and writer and rider keep their difference.
    """
    tokens = list(phonemes)
    for i in range(1, len(tokens) - 1):
        before, sound, after = tokens[i - 1 : i + 2]
        if sound != "t" or after not in _TAPPING_VOWELS or tokens[i + 1 : i + 3] == ["ə", "n"]:
            continue
        if is_vowel(before) or before == "ɹ":
            tokens[i] = "ɾ"
    return tokens


def _phonemize_pieces(
    text: str, inline: tuple[tuple[str, ...], ...], language: str, read: Callable[[str, str], list[list[str]]]
) -> tuple[list[str], list[int]]:
    """Read what stands between punctuation marks, piece by piece."""
    given = iter(inline)
    tokens: list[str] = []
    numbers: list[int] = []
    n_before = 0
    for piece in re.split(rf"({PAUSE}|{PLACEHOLDER})", text):
        if piece in PUNCTUATION:
            if tokens and tokens[-1] not in PUNCTUATION:
                tokens.append(piece)
                numbers.append(-1)
            continue
        if piece == PLACEHOLDER:
            words = [list(next(given, ()))]
        elif re.search(r"\w", piece):
            words = read(piece, language)
        else:
            words = []
        written = _spaced_words(piece)
        for word, owner in zip(words, _owners(written, len(words), language, read), strict=True):
            tokens.extend(([SPACE] if tokens and tokens[-1] not in PUNCTUATION else []) + word)
            numbers.extend([n_before + owner] * (len(tokens) - len(numbers)))
        n_before += len(written)
    return tokens, numbers


def _owners(written: list[str], n_said: int, language: str, read: Callable[[str, str], list[list[str]]]) -> list[int]:
    """Match what is said with what is written: a figure may be said as several words, several words as one."""
    shares = [len(read(word, language)) if any(map(str.isdigit, word)) else 1 for word in written]
    if sum(shares) == n_said:
        return [i for i, share in enumerate(shares) for _ in range(share)]
    return [
        (2 * i + 1) * len(written) // (2 * n_said) for i in range(n_said)
    ]  # in proportion, as where none has spaces


def _spaced_words(text: str) -> list[str]:
    return [word for word in re.split(rf"({PLACEHOLDER})|(?:\s|{PAUSE})+", text) if word and re.search(r"\w", word)]


def _shorten(text: str, limit: int = 60) -> str:
    printable = text.encode("utf-8", "backslashreplace").decode()
    return printable if len(printable) <= limit else printable[:limit] + "…"
