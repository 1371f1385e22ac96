"""Pronunciation: words, homographs, weak forms, and for any text tokens of the alphabet between two silences."""

import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.text import Segment, text_to_segments
from emotts.text.lexicon import load_lexicon, pronounce, tag_parts_of_speech
from emotts.text.phonemize import phonemize
from emotts.text.symbols import PHONEMES, encode, is_vowel, split_stress


def words_of(text):
    """Phonemes of each word, joined by spaces."""
    words = [[]]
    for token in phonemize(text)[1:-1]:
        if token in " ,.!?;:—…":
            words.append([])
        else:
            words[-1].append(token)
    return [" ".join(word) for word in words if word]


def test_a_sentence():
    assert " ".join(phonemize("Hello, world!")) == "<sil> h ɛ l ˈoʊ , w ˈɚ l d ! <sil>"


@pytest.mark.parametrize(
    ("text", "index", "part"),
    [
        ("I read the book yesterday.", 1, "ɛ"),
        ("I will read the book.", 2, "i"),
        ("She has read it.", 2, "ɛ"),
        ("They read every day.", 1, "i"),
        ("He read the letter aloud.", 1, "ɛ"),
        ("Read this aloud.", 0, "i"),
        ("I like to read.", 3, "i"),
        ("The pipe is made of lead.", 5, "ɛ"),
        ("She will lead the team.", 2, "i"),
        ("He took the lead.", 3, "i"),
        ("Lead pipes are dangerous.", 0, "ɛ"),
        ("We live in a small town.", 1, "ɪ"),
        ("The live music was great.", 1, "aɪ"),
        ("Their lives changed.", 1, "aɪ"),
        ("She lives alone.", 1, "ɪ"),
        ("The wind is strong.", 1, "ɪ"),
        ("Please wind the clock.", 1, "aɪ"),
        ("A tear rolled down her cheek.", 1, "ɪ"),
        ("Don't tear the paper.", 1, "ɛ"),
        ("He burst into tears.", 3, "ɪ"),
        ("She tied a bow in her hair.", 3, "oʊ"),
        ("Take a bow.", 2, "aʊ"),
        ("The bow of the ship hit the ice.", 1, "aʊ"),
        ("He shot with a bow and arrow.", 4, "oʊ"),
        ("I want to record a song.", 3, "ɔ"),
        ("She broke the record.", 3, "ɛ"),
        ("The present is wrapped.", 1, "ɛ"),
        ("Let me present my friend.", 2, "ɛ"),
        ("I object to that.", 1, "ɛ"),
        ("The object fell.", 1, "ɑ"),
        ("Close the door.", 0, "z"),
        ("We are close friends.", 2, "s"),
        ("They stood close to the fire.", 2, "s"),
        ("Use the hammer.", 0, "z"),
        ("It's no use.", 2, "s"),
        ("The house is old.", 1, "s"),
        ("I used to swim.", 1, "s"),
        ("He used a knife.", 1, "z"),
        ("The dove flew away.", 1, "ʌ"),
        ("He dove into the pool.", 1, "oʊ"),
        ("The wound was deep.", 1, "u"),
        ("The path wound through the hills.", 2, "aʊ"),
        ("He caught a bass in the lake.", 3, "æ"),
        ("She plays the bass guitar.", 3, "eɪ"),
        ("Wait a minute.", 2, "ɪ"),
        ("Permit me to speak.", 0, "ɪ"),
        ("You need a permit.", 3, "ˈɚ"),
        ("They refuse to go.", 1, "j"),
        ("The content of the book.", 1, "ɑ"),
        ("He was content with it.", 2, "ə"),
        ("Excuse me.", 0, "z"),
        ("That is a poor excuse.", 4, "s"),
        ("I suspect him.", 1, "ə"),
        ("The suspect ran.", 1, "ˈʌ"),
        ("The project failed.", 1, "ɑ"),
        ("We project a loss.", 1, "ə"),
        ("Crops produce food.", 1, "ə"),
        ("They import oil.", 1, "ˈɔ"),
        ("The increase was small.", 1, "ˈɪ"),
        ("Prices increase every year.", 1, "ˈi"),
        ("The desert is dry.", 1, "ˈɛ"),
        ("Do not desert me.", 2, "ˈɚ"),
        ("They separate the eggs.", 1, "eɪ"),
        ("I estimate ten.", 1, "eɪ"),
        ("The conduct was bad.", 1, "ɑ"),
        ("She will conduct the orchestra.", 2, "ˈʌ"),
        ("The rebel escaped.", 1, "ˈɛ"),
        ("They rebel often.", 1, "ˈɛ l"),
        ("I know that.", 2, "ˈæ"),
        ("I know that he left.", 2, "ə"),
        ("Who is that man?", 2, "æ"),
        ("That was good.", 0, "æ"),
        ("The book that I read was good.", 2, "ə"),
        ("The contract was signed.", 1, "ɑ"),
        ("He felt the perfect calm.", 3, "ˈɚ"),
        ("Perfect your skills.", 0, "ˈɛ"),
    ],
)
def test_homographs(text, index, part):
    assert part in words_of(text)[index]


@pytest.mark.parametrize(
    ("text", "index", "expected"),
    [
        ("The cat", 0, "ð ə"),
        ("The apple", 0, "ð i"),
        ("The hour", 0, "ð i"),
        ("The university", 0, "ð ə"),
        ("a dog", 0, "ə"),
        ("go to school", 1, "t ə"),
        ("go to Ohio", 1, "t u"),
        ("where to?", 1, "t ˈu"),
        ("a cup of tea", 2, "ə v"),
        ("What is it made of?", 4, "ˈʌ v"),
        ("bread and butter", 1, "æ n d"),
        ("for me", 0, "f ɚ"),
        ("What is it for?", 3, "f ˈɔ ɹ"),
        ("We can swim", 1, "k ə n"),
        ("Yes, we can.", 2, "k ˈæ n"),
        ("He was late", 1, "w ə z"),
        ("I know he was.", 3, "w ˈʌ z"),
        ("I know that he left.", 2, "ð ə t"),
        ("That was good.", 0, "ð ˈæ t"),
        ("I know that.", 2, "ð ˈæ t"),
        ("It came from here", 2, "f ɹ ə m"),
        ("tell him", 1, "h ɪ m"),
        ("You!", 0, "j ˈu"),
        ("of", 0, "ˈʌ v"),
        ("Vitamin A is good.", 1, "ˈeɪ"),
        ("A dog barked.", 0, "ə"),
        ("on May first", 1, "m ˈeɪ"),
        ("you may go", 1, "m eɪ"),
        ("Who is that handsome man?", 2, "ð ˈæ t"),
    ],
)
def test_function_words_are_weak_inside_a_phrase_and_full_at_its_end(text, index, expected):
    assert words_of(text)[index] == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("water", "w ˈɔ ɾ ɚ"),
        ("city", "s ˈɪ ɾ i"),
        ("party", "p ˈɑ ɹ ɾ i"),
        ("attack", "ə t ˈæ k"),
        ("button", "b ˈʌ t ə n"),
        ("ladder", "l ˈæ d ɚ"),
        ("hotel", "h oʊ t ˈɛ l"),
        ("new", "n ˈu"),
        ("student", "s t ˈu d ə n t"),
        ("continue", "k ə n t ˈɪ n j u"),
        ("want", "w ˈɑ n t"),
        ("nineteen", "n ˌaɪ n t ˈi n"),
    ],
)
def test_american_sounds(word, expected):
    assert words_of(word) == [expected]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("NASA", "n ˈæ s ə"),
        ("FBI", "ˌɛ f b ˌi ˈaɪ"),
        ("USB", "j ˌu ˌɛ s b ˈi"),
        ("US", "j ˌu ˈɛ s"),
        ("us", "ˈʌ s"),
        ("CDs", "s ˌi d ˈi z"),
        ("IBM's", "ˌaɪ b ˌi ˈɛ m z"),
        ("GitHub", "ɡ ˈɪ t h ˌʌ b"),
        ("Zorb's", "z ˈɔ ɹ b z"),
        ("naïve", "n ɑ ˈi v"),
        ("bcdfg", "b ˌi s ˌi d ˌi ˌɛ f d͡ʒ ˈi"),
        ("nooo", "n ˈoʊ"),
    ],
)
def test_words_that_no_dictionary_has(word, expected):
    assert words_of(word) == [expected]


def test_shouted_words_are_words_not_initials():
    assert words_of("STOP IT NOW") == words_of("stop it now")


def test_stems_lend_their_pronunciation():
    stem = " ".join(pronounce("smartphone"))
    assert " ".join(pronounce("smartphones")) == stem + " z"
    assert " ".join(pronounce("smartphone's")) == stem + " z"


def test_every_phrase_has_a_stress():
    for text in ("to", "it is", "of the", "He is, and she is.", "you and me"):
        assert any(split_stress(token)[1] for token in phonemize(text))


def test_tagger_agrees_with_gruut():
    pos = pytest.importorskip("gruut.pos")
    import gruut_lang_en

    theirs = pos.PartOfSpeechTagger(gruut_lang_en.get_lang_dir() / "pos" / "model.crf")
    words = ["I", "will", "read", "the", "old", "book", ",", "which", "she", "had", "read", "."]
    assert tag_parts_of_speech(words) == list(theirs(words))


def test_whole_lexicon_is_in_the_alphabet():
    for entry in load_lexicon().values():
        for phonemes in [entry] if isinstance(entry, str) else entry.values():
            assert all(split_stress(token)[0] in PHONEMES for token in phonemes.split())


def check_tokens(tokens):
    encode(tokens)
    assert tokens[0] == tokens[-1] == "<sil>"
    assert "<sil>" not in tokens[1:-1]
    assert all(is_vowel(token) for token in tokens if split_stress(token)[1])
    pauses = [a in " ,.!?;:—…" and b in " ,.!?;:—…" for a, b in zip(tokens, tokens[1:], strict=False)]
    assert not any(pauses)


PLANES = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cs"]),
        st.sampled_from("aeiou stn'’-.,!?\u202e\u0301\u200d\x00\x1b😀👩🏽ñßøŒאبΩжकn'你好ﷺ①Ⅷ½²™ǂ0123"),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(PLANES)
def test_any_text_gives_tokens_of_the_alphabet_or_says_why_not(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check_tokens(phonemize(text))
        except ValueError as error:
            assert "nothing speakable" in str(error)
            str(error).encode()


@settings(max_examples=150)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEIOU' -éï", min_size=1, max_size=30))
def test_any_word_can_be_said(text):
    if any(character.isalpha() for character in text):
        check_tokens(phonemize(text))


def test_what_cannot_be_read_is_named():
    with pytest.warns(UserWarning, match="привет"):
        assert words_of("Hello привет") == ["h ɛ l ˈoʊ"]


@pytest.mark.parametrize("text", ["", "   ", "...", "😀", "\ud800", "()"])
def test_nothing_speakable_is_an_error(text):
    with pytest.raises(ValueError, match="nothing speakable"):
        phonemize(text)
    with pytest.raises(ValueError, match="nothing speakable"):
        list(text_to_segments(text))


def test_unknown_backend_and_language_are_named():
    with pytest.raises(ValueError, match='got "festival"'):
        phonemize("Hi.", backend="festival")
    with pytest.raises(ValueError, match='got "de"'):
        phonemize("Hallo.", language="de")


def test_espeak_is_optional_and_says_how_to_install_it():
    try:
        import phonemizer  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match=r"pip install emotts\[espeak\]"):
            phonemize("Hi.", backend="espeak")
        return
    check_tokens(phonemize("Hello there, world.", backend="espeak"))


def test_segments_hold_text_phonemes_and_pauses():
    segments = list(text_to_segments("Say [[həˈloʊ]]. [pause 300ms] Bye. [pause 1s][pause 0.5s]"))
    assert [segment.text for segment in segments] == ["Say [[h ə l ˈoʊ]].", "Bye."]
    assert " ".join(segments[0].tokens) == "<sil> s ˈeɪ   h ə l ˈoʊ . <sil>"
    assert [segment.pause_after_s for segment in segments] == [0.3, 1.5]


def test_a_pause_may_come_first():
    assert next(text_to_segments("[pause 2s] Hi.")) == Segment([], "", 2.0)


def test_first_segment_may_be_short():
    text = "When the long night was over, the village woke and looked about for a while."
    assert next(text_to_segments(text, first_max_chars=40)).text == "When the long night was over,"


def test_a_hundred_thousand_characters():
    text = "The rain came early this year, 12 days before May 1st, and Dr. Read read it all. " * 1240
    start = time.thread_time()
    segments = text_to_segments(text)
    next(segments)
    first_s = time.thread_time() - start
    assert 1 + sum(1 for _ in segments) == 1240
    assert first_s < 1.0  # measured: 2 ms, with the lexicon in memory
    assert time.thread_time() - start < 20


def test_a_sentence_takes_few_milliseconds():
    phonemize("Warm up, please.")
    sentences = [
        f"The {word} record number {i} was read by her own people." for i, word in enumerate(("old", "new", "live"))
    ]
    start = time.thread_time()
    for sentence in sentences:
        phonemize(sentence)
    assert (time.thread_time() - start) / len(sentences) < 0.05  # measured: 1.5 ms
