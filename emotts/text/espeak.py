"""Words of the languages that espeak-ng reads: text comes in, a list of phoneme tokens per spoken word goes out.

The optional extra `espeak` brings phonemizer and the library itself; without the latter the system's espeak-ng is taken.
"""

import re
from functools import lru_cache
from typing import Any

from emotts.text.languages import ESPEAK_NAMES, NotInstalled, primary, read_mandarin, respell
from emotts.text.symbols import parse_phonemes
from emotts.text.vietnamese import read_syllables

INSTALL = "Run: pip install emotts[espeak]"
SEPARATOR = ord("_") << 8  # between phonemes, in espeak's own names of them
_SWITCH = re.compile(r"\([a-z]{2,3}(?:-[a-z-]+)?\)")  # espeak reads on in another language
REFUSED = {  # not read badly in silence
    "th": 'espeak leaves out most vowels and tones of Thai; backend "thaiphon" reads it (pip install emotts[thai])',
    "ja": 'espeak calls kanji "Chinese letter"; backend "openjtalk" reads Japanese (pip install emotts[japanese])',
    "yue": "espeak needs a dictionary of Cantonese that no package brings",
}


def espeak_words(text: str, language: str) -> list[list[str]]:
    """Read a text without punctuation.

    Raises:
        ValueError: espeak is not installed, does not speak the language, or says a sound that the alphabet has no place for.
    """
    name = primary(language)
    if name in REFUSED:
        raise ValueError(f"{REFUSED[name]}. Or write phonemes in IPA between [[ ]].")
    wrapper = _wrapper(ESPEAK_NAMES.get(name, language.lower()))
    if name == "vi":
        return [tokens for word in text.split() for tokens in _vietnamese(wrapper, word)]
    if name != "cmn":
        return _words_of(wrapper.text_to_phonemes(text), language)
    mnemonics = _mnemonics(wrapper, text)
    if _SWITCH.search(mnemonics):
        raise ValueError(
            f"espeak {'.'.join(map(str, wrapper.version))} reads {text[:40]!r} as another language than Mandarin; version 1.52 "
            f"does better. {INSTALL}"
        )
    return read_mandarin(mnemonics)


def _vietnamese(wrapper: Any, word: str) -> list[list[str]]:
    mnemonics = _mnemonics(wrapper, word)
    if _SWITCH.search(mnemonics):  # a word that espeak takes for English has no tones
        return _words_of(wrapper.text_to_phonemes(word), "en-us")
    return read_syllables(mnemonics)


def _words_of(spoken: str, language: str) -> list[list[str]]:
    spoken = respell(_SWITCH.sub("", spoken.replace("_", "")), language)
    return [tokens for word in spoken.split() if (tokens := parse_phonemes(word, language))]


def _mnemonics(wrapper: Any, text: str) -> str:
    import ctypes

    pointer = ctypes.pointer(ctypes.c_char_p(text.encode("utf-8")))
    parts = []
    while pointer.contents.value is not None:
        parts.append(wrapper._espeak.text_to_phonemes(pointer, 1, SEPARATOR).decode("utf-8"))
    return " ".join(parts)


@lru_cache(maxsize=8)
def _wrapper(name: str) -> Any:
    try:
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise NotInstalled(f'backend "espeak" needs phonemizer, which is not installed. {INSTALL}') from error
    try:
        import espeakng_loader

        EspeakWrapper.set_library(str(espeakng_loader.get_library_path()))
        EspeakWrapper.set_data_path(str(espeakng_loader.get_data_path()))
    except ImportError:  # then phonemizer looks for the system's espeak-ng
        pass
    try:
        wrapper = EspeakWrapper()
    except RuntimeError as error:
        raise NotInstalled(f'backend "espeak" finds no library of espeak-ng: {error}. {INSTALL}') from error
    try:
        wrapper.set_voice(name)
    except RuntimeError as error:
        raise ValueError(f'backend "espeak" cannot speak language "{name}": {error}. {INSTALL}') from error
    return wrapper
