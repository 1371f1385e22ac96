"""Markup: phonemes, pauses, spans and emphasis are taken out, other brackets stay text, mistakes are named with their place."""

import random
import re
import time
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.emotion.spans import read_span, span_specs
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.text import NO_SPAN, text_to_segments
from emotts.text.markup import Pause, Phonemes, SpanEnd, SpanStart, Text, parse_markup
from emotts.text.symbols import is_pause

SENTENCES = [
    "I waited for you.",
    "The invoice of $1,250.50 is due on 3/4/2021, not before.",
    "Dr. Smith met Mrs. Jones at 5 p.m. on St. Mark's Street.",
    '"Stop!" he said, and then: "Never mind."',
    "We read it in 1984; it cost £12 or 10% less.",
    "Call 555-1234, extension 7, before 10:30 a.m. today.",
    "THIS IS VERY IMPORTANT NEWS.",
    "NASA and the U.S. Army signed the FBI memo in May.",
    "I'd've gone, but they're not ready… are they?",
    "Visit https://example.com/a_b or write to me@example.org soon.",
    "It was 20 °C, i.e. 68 °F, with winds of 15 km/h.",
    "Chapter IV: the king, Henry VIII, is dead.",
    "A well-known mother-in-law — no joke — came by.",
    "She lives on 5th Avenue, No. 12, apt. 3.",
    "The lead pipes were there; they lead the way.",
    "Who is that? That is the man that I saw.",
    "Add 2 + 2 = 4 and 3 * 5 = 15, or 6 / 2.",
    "(Really?) Yes, really (I think).",
    "Vitamin A and plan B are a must.",
    "He ran 3.5 miles in 1/2 an hour on 21 January 2020.",
    "Mr. & Mrs. O'Neill paid 3 million dollars.",
    "The #1 song by @someone has 1,000,000 views!",
    "To the ends of the earth, to an end, the apple.",
    "It's 7 o'clock and all's well, isn't it?",
    "[[h ə l ˈoʊ]] said the robot, [[ˈoʊ v ɚ]] and out.",
    "Use C++ or C#, e.g. on Ph.D. work.",
    "The résumé of Zoë is naïve.",
    "First line\nthat goes on, and then a second sentence follows. It is short.",
    "When the long night was over, the village woke and looked about, and nobody could say what had happened there, "
    "because everyone had slept so well that not even the loudest of the bells, which rang at 6:15, had been heard by "
    "anyone at all in the 3 streets around.",
    "We met him at the St. Paul station. In the U.S. we call it a depot.",
]


def spoken(text):
    return list(text_to_segments(text, read_span=read_span))


def words_in(segments, choose):
    """Phonemes of the words of which the function says True, joined, one text a word."""
    words = {}
    for n, segment in enumerate(segments):
        for i, token in enumerate(segment.tokens):
            if segment.words[i] >= 0 and choose(segment, i):
                words.setdefault((n, segment.words[i]), []).append(token)
    return ["".join(word) for _, word in sorted(words.items())]


def said(text):
    return words_in(spoken(text), lambda segment, i: True)


def test_parts_come_in_order():
    assert parse_markup("Say [[həˈloʊ]] now. [pause 300ms] Bye.") == [
        *(Text("Say "), Phonemes(["h", "ə", "l", "ˈoʊ"]), Text(" now. "), Pause(0.3), Text(" Bye."))
    ]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("[pause 300ms]", 0.3),
        ("[pause 0.5s]", 0.5),
        ("[pause:1s]", 1.0),
        ("[ pause 10 s ]", 10.0),
        ("[PAUSE 0s]", 0.0),
        ("[pause .5s]", 0.5),
    ],
)
def test_pauses(tag, seconds):
    assert parse_markup(tag) == [Pause(seconds)]


@pytest.mark.parametrize(
    "text", ["a [note] here", "[sic]", "[1]", "[pause for effect]", "array[i]", "[]", "]", "plain", "[John 3:16]"]
)
def test_other_brackets_are_text(text):
    assert parse_markup(text) == [Text(text)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab [pause 11s]", "from 0 to 10 s; got .* at character 3"),
        ("[pause]", "a length and a unit"),
        ("[pause 300]", "a length and a unit"),
        ("[pause -1s]", "a length and a unit"),
        ("go [happy:.5]on[/]", "tag must be one of .* at character 3"),
        ("[/]", "tag must be one of"),
        ("[v=0.3 a=1]", "tag must be one of"),
        ("x [[h ə", "must be closed.* at character 2"),
        ("[[]]", "must not be empty"),
        ("[[h % l]]", 'got "%".*at character 0'),
    ],
)
def test_mistakes_are_named_with_their_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_markup(text)


def test_brackets_without_end_take_linear_time():
    assert parse_markup("[a" * 20_000) == [Text("[a" * 20_000)]


def test_a_span_starts_and_ends_where_its_tags_stand():
    spec = parse_emotion("sad:.3")
    assert parse_markup("[sad:.3]I waited.[/] No.", read_span=read_span) == [
        *(SpanStart(0, spec), Text("I waited."), SpanEnd(), Text(" No."))
    ]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_spans_and_emphasis_do_not_change_what_is_said(sentence):
    plain = spoken(sentence)
    rng = random.Random(sentence)
    for _ in range(8):
        marked = insert_marks(sentence, rng)
        segments = spoken(marked)
        assert [segment.tokens for segment in segments] == [segment.tokens for segment in plain], marked
        assert [segment.text for segment in segments] == [segment.text for segment in plain]
        assert [segment.words for segment in segments] == [segment.words for segment in plain]


def insert_marks(sentence, rng):
    """Put two spans, one within the other or after it, and one emphasis around words of a sentence."""
    words = re.findall(r"\[\[[^]]*\]\][^ ]*|[^ ]+", sentence)
    starts = sorted(rng.choices(range(len(words)), k=2))
    ends = [rng.randrange(start, len(words)) for start in starts]
    stressed = rng.choice([i for i, word in enumerate(words) if re.fullmatch(r"[\w'-]+[.,!?]?", word)] or [-1])
    marked = [f"*{word}*" if i == stressed else word for i, word in enumerate(words)]
    for tag, start, end in zip(("[sad:.3]", "[v=.5]"), starts, ends, strict=True):
        marked[start] = tag + marked[start]
        marked[end] += "[/]"
    return " ".join(marked)


@pytest.mark.parametrize(
    "sentence", [s for s in SENTENCES if re.fullmatch(r"[A-Za-z ,.!?;—'’]+", s) and "St." not in s]
)
def test_a_span_covers_exactly_its_words(sentence):
    words = sentence.split()
    everything = said(sentence)
    n_spoken = [sum(c.isalpha() for c in word) > 0 for word in words]
    for i in range(len(words)):
        for j in range(i, len(words)):
            marked = " ".join([*words[:i], "[sad:.3]" + words[i], *words[i + 1 : j], *words[j : j + 1] * (j > i)])
            marked = " ".join([marked + "[/]", *words[j + 1 :]])
            inside = words_in(spoken(marked), lambda segment, k: segment.spans[k] == 0)
            assert inside == everything[sum(n_spoken[:i]) : sum(n_spoken[: j + 1])], marked


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("I paid [sad]$5 million[/] today.", "five million dollars"),
        ("I paid $5 [sad]million[/] today.", "million dollars"),
        ("On [sad]3/4/2020[/] we left.", "March fourth twenty twenty"),
        ("Ask Dr. [sad]Smith[/] now.", "Smith"),
        ("Ask [sad]Dr.[/] Smith now.", "Doctor"),
        ("Go to St. [sad]Paul[/] now.", "Paul"),
        ("un[sad]believable news[/] today", "news"),
        ("it is [sad]un[/]believable today", "unbelievable"),
        ("a well-[sad]known[/] man", "known"),
        ('He said "[sad]never[/]" twice.', "never"),
        ("say [sad][[h ə l ˈoʊ]][/] now", "[[h ə l ˈoʊ]]"),
        ("say [[h ə l ˈoʊ]] [sad]now[/] please", "now"),
        ("all [sad] of this [/] here", "of this"),
        ("so [sad]it goes on", "it goes on"),
        ("nothing [sad][/] here", ""),
    ],
)
def test_a_span_follows_what_is_written_out(text, inside):
    tokens = words_in(spoken(text), lambda segment, i: segment.spans[i] == 0)
    whole = [word.replace("ˈ", "").replace("ˌ", "") for word in tokens]
    expected = [word.replace("ˈ", "").replace("ˌ", "") for word in (said(inside) if inside else [])]
    assert len(whole) == len(expected)
    assert [word[-1] for word in whole] == [word[-1] for word in expected]  # weak forms differ at their beginning


def test_spans_nest_and_the_innermost_holds():
    text = "[sad]One [happy]two[/] three[/] four [angry]five. Six."
    segments = spoken(text)
    by_word = [
        (span, word)
        for segment in segments
        for span, word in dict(zip(zip(segment.spans, segment.words, strict=True), segment.tokens, strict=True))
        if word >= 0
    ]
    assert [span for span, _ in by_word] == [0, 1, 0, NO_SPAN, 2, 2]
    assert [spec.label for spec in span_specs(text)] == ["sad", "happy", "angry"]


def test_one_sentence_with_two_spans_stays_one_segment():
    (segment,) = spoken("[sad:.3]I waited, [/]and you [angry:.8]never came![/]")
    assert [segment.spans[0], segment.spans[-1]] == [0, 1]
    assert segment.tokens[segment.spans.index(NO_SPAN) - 1] == ","  # a pause goes with the word before it
    assert len(segment.spans) == len(segment.emphasis) == len(segment.words) == len(segment.tokens)


def test_spans_go_on_over_sentences_and_pauses():
    segments = spoken("[sad:.3]One. [pause 300ms] Two.[/] Three.")
    assert [set(segment.spans) for segment in segments] == [{0}, {0}, {NO_SPAN}]
    assert segments[0].pause_after_s == 0.3


def test_sentences_stay_apart_where_only_a_tag_stood_between_them():
    assert len(spoken("[sad:.3]I waited.[/][angry:.8]You never came![/]")) == 2
    assert span_specs("[sad:.3]I waited. [/][angry:.8]You never came![/]") == [
        EmotionSpec("sad", 0.3), EmotionSpec("angry", 0.8)
    ]  # fmt: skip


def test_words_are_counted_and_pauses_are_not():
    (segment,) = spoken("Go, on [[h ə l ˈoʊ]]!")
    for token, word in zip(segment.tokens, segment.words, strict=True):
        assert (word == -1) == is_pause(token)
    assert sorted(set(segment.words)) == [-1, 0, 1, 2]


@pytest.mark.parametrize(
    ("text", "emphasised"),
    [
        ("That is *very* good.", "very"),
        ("That is **very good** news.", "very good"),
        ("That is ***very*** good.", "very"),
        ("*Stop!* he said.", "Stop"),
        ('"*Never*," he said (*not* today).', "Never not"),
        ("It was *so very\nlong* ago.", "so very long"),
        ("*One* and *two*.", "One two"),
        ("[sad]*very*[/] good", "very"),
        ("*[sad]very[/]* good", "very"),
        ("It costs *$5* now.", "five dollars"),
        ("it is 2 * 3 * 4 now", ""),
        ("it is 2*3*4 now", ""),
        ("a lone * here", ""),
        ("unmatched *here it is", ""),
        ("a footnote* and another*", ""),
        ("* one thing\n* two things", ""),
        ("un*believ*able", ""),
        ("* not this *", ""),
        ("*a\n\nb*", ""),
    ],
)
def test_emphasis_is_of_words_between_stars(text, emphasised):
    tokens = words_in(spoken(text), lambda segment, i: segment.emphasis[i])
    assert len(tokens) == len(emphasised.split())
    assert [word[-1] for word in tokens] == [word[-1] for word in (said(emphasised) if emphasised else [])]


@pytest.mark.parametrize(
    "text", ["it is 2 * 3 now", "a lone * here", "2*3", "* one\n* two", "unmatched *here", "a* b*"]
)
def test_other_stars_are_read_as_before(text):
    joined = [token for segment in spoken(text) for token in segment.tokens]
    assert joined == [token for segment in text_to_segments(text) for token in segment.tokens]
    assert not any(any(segment.emphasis) for segment in spoken(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("go [/] on", 'must close a span, and none is open.*got "\\[/\\]" at character 3'),
        ("[sad]a[/] b[/]", "none is open.* at character 11"),
        ("go [hapy:0.5]on", 'Did you mean "happy".*at character 3'),
        ("go [v=3]on[/]", "position 3: valence must be from -1 to 1; got 3.*at character 3"),
        ("go [sad]on[/sad]", "tag must be one of .*at character 10"),
        ("go [sad:2]", "intensity must be from 0 to 1.5; got 2.*at character 3"),
    ],
)
def test_mistakes_in_spans_are_named_with_their_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_markup(text, read_span=read_span)


@pytest.mark.parametrize(
    "text", ["a [note] here", "[sic]", "see [1]", "[John 3:16] says", "[note: below] it", "[x = 5] so"]
)
def test_brackets_that_are_no_tag_are_read_with_spans_too(text):
    assert parse_markup(text, read_span=read_span) == [Text(text)]
    assert said(text) == words_in(text_to_segments(text), lambda segment, i: True)


@pytest.mark.filterwarnings("ignore:skipped what cannot be read")
@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["[sad]", "[v=.5]", "[/]", "*", "**", "a", "the", "3.5", " ", ". ", "[[ə]]", "$", "ǂ", "\n"])
    )
)
def test_any_mixture_of_marks_gives_aligned_segments_or_a_clear_error(pieces):
    try:
        segments = spoken("".join(pieces))
    except ValueError as error:
        assert "at character" in str(error) or "nothing speakable" in str(error)
        return
    for segment in segments:
        assert len(segment.spans) == len(segment.emphasis) == len(segment.words) == len(segment.tokens)
        assert all(word >= 0 for word, is_on in zip(segment.words, segment.emphasis, strict=True) if is_on)


@pytest.mark.parametrize("unit", ["[sad]a[/] ", "[sad]", "*a* ", "*a", "* ", "[sad", "[/x", "*", "[[ə]]*a* "])
def test_marks_are_read_in_linear_time(unit):
    text = "One. " + unit * (20_000 // len(unit))
    start = time.thread_time()
    try:
        parts = parse_markup(text, read_span=read_span)
    except ValueError:
        return
    assert time.thread_time() - start < 2.0 and parts


def merging(text, language):
    """Stand for espeak: a vowel for each word, "of the" said as one word."""
    return [["ə"] for _ in text.replace("of the", "ofthe").split()]


def test_spans_follow_a_backend_that_joins_words(monkeypatch):
    monkeypatch.setattr(import_module("emotts.text.phonemize"), "espeak_words", merging)
    text = "je vois [sad]le monde[/], et *tout*"
    (segment,) = text_to_segments(text, "fr-fr", backend="espeak", read_span=read_span)
    states = {word: (span, e) for word, span, e in zip(segment.words, segment.spans, segment.emphasis, strict=True)}
    assert [states[i] for i in range(6)] == [(-1, False)] * 2 + [(0, False)] * 2 + [(-1, False), (-1, True)]
    (segment,) = text_to_segments("end of the [sad]day", "en-us", backend="espeak", read_span=read_span)
    assert [segment.spans[segment.words.index(i)] for i in range(3)] == [NO_SPAN, NO_SPAN, 0]
