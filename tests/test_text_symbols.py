"""The alphabet: frozen order, ids there and back, classes, hand-written phonemes."""

import pytest

from emotts.text import symbols
from emotts.text.symbols import PHONEMES, decode, encode, is_pause, is_voiced, is_vowel, parse_phonemes, phoneme_class


def test_order_of_the_alphabet_is_frozen():
    assert symbols.ALPHABET_VERSION == 1
    assert symbols.alphabet_hash() == "cb1bae2136110799"
    assert PHONEMES[:3] == ("<pad>", "<sil>", " ")
    assert len(PHONEMES) == len(set(PHONEMES)) == 68


def test_encode_and_decode_are_inverse():
    tokens = ["<sil>", "h", "ə", "l", "ˈoʊ", " ", "w", "ˌɚ", "l", "d", "!", "<sil>"]
    phoneme_ids, stress_ids = encode(tokens)
    assert decode(phoneme_ids, stress_ids) == tokens
    assert stress_ids == [0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("token", "message"), [("q", "in the alphabet"), ("ˈt", "belongs on a vowel"), ("", "in the alphabet")]
)
def test_encode_names_the_bad_token(token, message):
    with pytest.raises(ValueError, match=message):
        encode(["<sil>", token])


def test_every_symbol_has_one_class():
    listed = [symbol for group in symbols.PHONEME_CLASSES.values() for symbol in group]
    assert sorted(listed) == sorted(PHONEMES)
    assert all(not (is_vowel(symbol) and is_pause(symbol)) for symbol in PHONEMES)


def test_voicing_and_classes():
    assert [is_voiced(token) for token in ("ˈɑ", "m", "z", "s", "t", "d", "ɾ", " ", "<sil>", "ʔ")] == [
        *(True, True, True, False, False, True, True, False, False, False)
    ]
    assert [phoneme_class(t) for t in ("ˌaɪ", "t͡ʃ", "ŋ", "…")] == ["diphthong", "voiceless affricate", "nasal", "pause"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("h ə l ˈoʊ", "h ə l ˈoʊ"),
        ("həˈloʊ", "h ə l ˈoʊ"),
        ("həlˈO", "h ə l ˈoʊ"),
        ("ˈbɜːɹd", "b ˈɚ d"),
        ("bˈɜɹd", "b ˈɚ d"),
        ("tʃ ɪ p", "t͡ʃ ɪ p"),
        ("ʧˈɪp ʤˈʌmp", "t͡ʃ ˈɪ p   d͡ʒ ˈʌ m p"),
        ("ɡet", "ɡ eɪ t"),
        ("bˈʌtn̩", "b ˈʌ t ə n"),
        ("h ə l ˈoʊ | ð ˈɛ ɹ", "h ə l ˈoʊ   ð ˈɛ ɹ"),
        ("h ə l ˈoʊ, ð ˈɛ ɹ", "h ə l ˈoʊ , ð ˈɛ ɹ"),
        ("hə.loʊ", "h ə l oʊ"),
    ],
)
def test_hand_written_phonemes_are_read(written, expected):
    tokens = parse_phonemes(written)
    assert " ".join(tokens) == expected
    encode(tokens)


def test_near_phones_end_in_the_alphabet():
    for spelling in [*symbols.NEAR_PHONES, *symbols.ENGLISH_NEAR_PHONES]:
        assert set(parse_phonemes(spelling)) <= symbols.ENGLISH_PHONEMES


def test_other_languages_keep_their_phonemes():
    assert parse_phonemes("ʁ a", "fr-fr") == ["ʁ", "a"]


def test_a_wrong_phoneme_is_named():
    with pytest.raises(ValueError, match='got "%"'):
        parse_phonemes("h %")
