"""Thai: a text without punctuation comes in, tokens of each word with their tones go out.

The optional extra `thai` brings PyThaiNLP, whose dictionary finds the words, and thaiphon, whose rules and lists of exceptions say
how each is read. Kept: five tones, length, aspiration as h behind the plosive. Where rules and dictionary end, as in names, a word
may be read wrongly. Tingsabadh and Abramson, "Thai", Journal of the
International Phonetic Association 23 (1993).
"""

import re
from collections.abc import Callable
from functools import lru_cache

from emotts.text.languages import NotInstalled
from emotts.text.symbols import parse_phonemes

INSTALL = "Run: pip install emotts[thai]"
_REPEAT = "ๆ"
# Frequent words and parts of words that thaiphon 0.7 reads wrongly, as they would be written by its rules; | parts what it joins.
_RESPELLED = {
    **{"จริง": "จิง", "สร้าง": "ส้าง", "สร้อย": "ส้อย", "เสริม": "เสิม", "เศร้า": "เส้า", "สามารถ": "สามาด"},
    **{"ปรากฏ": "ปรากด", "เจริญ": "จะ|เริน", "ประชาชน": "ประชา|ชน", "เสื้อผ้า": "เสื้อ|ผ้า", "ทุก": "ทุก|"},
}
_FIGURE = re.compile(r"(\d{1,100})(?:\.(\d{1,100}))?")
_LONGEST = 15  # digits; longer numbers are read digit by digit
_THAI = re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e4e]")


def thai_words(text: str, language: str = "th") -> list[list[str]]:
    """Read a text without punctuation; numbers and decimals are read out, ๆ says the word before it again.

    Raises:
        ValueError: PyThaiNLP or thaiphon is not installed, or the text has words in another script.
    """
    found: list[list[str]] = []
    for word in split_words(text):
        if word == _REPEAT:
            found.extend([list(found[-1])] if found else [])
        elif tokens := list(_read(word)):
            found.append(tokens)
    return found


def split_words(text: str) -> list[str]:
    """Split Thai, which has no spaces between words; numbers become words, those with leading zeros digit by digit.

    Raises:
        ValueError: PyThaiNLP is not installed, or there is another script.
    """
    try:
        from pythainlp.tokenize import word_tokenize
        from pythainlp.util import num_to_thaiword
    except ImportError as error:
        raise NotInstalled(f'backend "thaiphon" needs pythainlp, which is not installed. {INSTALL}') from error
    text = text.replace("\u0e4d\u0e32", "\u0e33")  # normalisation takes this vowel apart
    spoken = _FIGURE.sub(lambda match: f" {_say_figure(match[1], match[2] or '', num_to_thaiword)} ", text)
    words = [part for word in word_tokenize(spoken, keep_whitespace=False) for part in re.findall(r"ๆ|[^ๆ\s]+", word)]
    for word in words:
        if not _THAI.search(word) and any(sign.isalpha() for sign in word):
            raise ValueError(
                f'backend "thaiphon" reads Thai script; got "{word[:40]}". Write it in Thai, or in IPA between [[ ]].'
            )
    return [word for word in words if _THAI.search(word)]


def _say_figure(whole: str, fraction: str, say: Callable[[int], str]) -> str:
    is_spelled = len(whole) > _LONGEST or (whole[0] == "0" and len(whole) > 1)
    words = [say(int(digit)) for digit in whole] if is_spelled else [say(int(whole))]
    return " ".join([*words, *(["จุด", *(say(int(digit)) for digit in fraction)] if fraction else [])])


@lru_cache(maxsize=4096)
def _read(word: str) -> tuple[str, ...]:
    try:
        import thaiphon
    except ImportError as error:
        raise NotInstalled(f'backend "thaiphon" needs thaiphon, which is not installed. {INSTALL}') from error
    written = word
    for spelling, simple in _RESPELLED.items():
        written = written.replace(spelling, simple)
    try:
        spoken = [thaiphon.transcribe_word(part, "ipa") for part in written.split("|") if part]
    except thaiphon.errors.ThaiphonError as error:
        raise ValueError(
            f'backend "thaiphon" cannot read "{word[:40]}": {error}. Write it in IPA between [[ ]].'
        ) from error
    tokens = [token for each in spoken for token in parse_phonemes(re.sub(r"[/.]", "", each), "th")]
    if not tokens:
        raise ValueError(f'backend "thaiphon" finds no sound in "{word[:40]}". Write it in IPA between [[ ]].')
    return tuple(tokens)
