"""Figures in other languages than English: read as the words that they stand for, and no pause or sentence's end inside of them."""

import importlib.util
import json
import random
import time
from pathlib import Path

import pytest

from emotts.text import text_to_segments
from emotts.text.cldr import decimal_mark, with_unit
from emotts.text.normalise import normalise
from emotts.text.numerals import mandarin_numeral, vietnamese_words
from emotts.text.phonemize import backend_of, phonemize, phonemize_marked, written_words
from emotts.text.split import iter_sentences, split_text
from emotts.text.symbols import PUNCTUATION, SPACE, is_pause

# What is written and the words that it stands for. A number that espeak says otherwise than its words, in a vowel or where two
# words meet, stands in the latter as plain digits, which is what it must be brought to.
ROWS: dict[str, list[tuple[str, str]]] = json.loads(
    (Path(__file__).parent / "languages_figures.json").read_text(encoding="utf-8")
)
MODULES = {  # of each backend; the espeak-ng of a system may be an older one, with other words
    "openjtalk": ("pyopenjtalk",),
    "thaiphon": ("pythainlp", "thaiphon"),
    "espeak": ("phonemizer", "espeakng_loader"),
}


def needs(language: str) -> None:
    for module in MODULES[backend_of(language)]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def said(text: str, language: str) -> list[str]:
    """The tokens of a text and its pauses, without stress and spaces: espeak joins the words of a number otherwise."""
    return [t.lstrip("ˈˌ") for t in phonemize(text, language, backend_of(language)) if t != SPACE]


@pytest.mark.parametrize("language", ROWS)
def test_figures_are_read_as_the_words_that_they_stand_for(language: str) -> None:
    needs(language)
    assert len(ROWS[language]) >= 8
    wrong = [written for written, words in ROWS[language] if said(written, language) != said(words, language)]
    assert not wrong


@pytest.mark.parametrize("language", ROWS)
def test_a_decimal_is_said_with_its_mark_and_without_a_pause(language: str) -> None:
    needs(language)
    tokens = said(f"3{decimal_mark(language)}5", language)
    assert not any(token in PUNCTUATION for token in tokens)
    assert len(tokens) > len(said("3 5", language)) + 1


@pytest.mark.parametrize(
    ("language", "written", "read"),
    [
        ("de", "Er hat 3, 5 und 7. Ja: gut; nein…", "Er hat 3, 5 und 7. Ja: gut; nein…"),  # marks beside figures stay
        ("de", "1,2,3 und 2.0.1", "1, 2, 3 und 2.0.1"),
        ("de", "1. Mehl, 2. Zucker", "1. Mehl, 2. Zucker"),
        ("de", "5-10 Leute, Typ A-5", "5-10 Leute, Typ A-5"),
        ("de", "Er zahlt 5 CHF.", "Er zahlt 5 Schweizer Franken."),
        ("es-MX", "1,000.5 km", "1000.5 km"),
        ("es", "1,000 km", "1,000 km"),  # one, comma, and three zeros
        ("fr", "01 23 45 67 89", "01 23 45 67 89"),
        ("fr", "1\u202f234,5 et 2’000", "1234,5 et 2000"),
        ("pt-BR", "3.5", "3 ponto 5"),
        ("ru", "2 $, 5 $, 21 $, 1,5 $", "2 доллара, 5 долларов, 21 доллар, одна целая пять десятых доллара"),
        ("ja", "20°C", "摂氏20度"),
        ("zh", "2个, 2020年-2024年", "两个, 二零二零年-二零二四年"),
        ("zh", "1,2,3", "一, 二, 三"),
        ("zh", "0.333, 2.0.1", "零点三三三, 二点零点一"),  # no letters drawn out
        ("vi", "2.0.1", "hai chấm không chấm một"),
        ("id", "3,5 1.000 2.500 Rp", "3,5 1000 2500 Rp"),
        ("fr", "2024 500 06 123 456", "2024 500 06 123 456"),  # no thousands
        ("de", "Er kommt am 3.5.", "Er kommt am dritten Mai."),
        ("de", "Kapitel 3.5.", "Kapitel 3.5."),
        ("de", "im Jahr 1999 1999 Leute", "im Jahr neunzehnhundertneunundneunzig 1999 Leute"),
        ("ru", "1" * 50 + " %", "1" * 50 + " процентов"),
        ("de", "1%-5%, 5€-10€, 1 %", "1 Prozent — 5 Prozent, 5 Euro — 10 Euro, 1 Prozent"),
        ("de", "um 3:16, 14:30, Abfahrt 8:15-9:45 Uhr", "um 3 Uhr 16, 14 Uhr 30, Abfahrt 8 Uhr 15 — 9 Uhr 45"),
        ("de", "Es ist 8:15, um 1:25", "Es ist 8 Uhr 15, um ein Uhr 25"),
        ("de", "Psalm 119:105, Mk 10:45, gewann mit 21:15", "Psalm 119, 105, Mk 10, 45, gewann mit 21 zu 15"),
        ("de", "im Maßstab von 1:25, es steht 2:10", "im Maßstab von 1 zu 25, es steht 2 zu 10"),
        ("nl", "versie 2.30, om 2.50 euro", "versie 2 punt 3 0, om 2 punt 5 0 euro"),
        ("nl", "OM 14.30", "OM 14 uur 30"),
        ("pl", "godz.14.30, od 8.00 do 16.00", "godzina 14:30, od 8:00 do 16:00"),
        ("pl", "od 1.20 do 2.50 zł", "od 1 kropka 2 0 do 2 kropka 5 0 złotego"),
        ("pl", "Ma 14.30, 5 złotych", "Ma 14 kropka 3 0, 5 złotych"),
        ("zh", "2万-3万, 5度-10度, 2个-3个", "二万-三万, 五度-十度, 两个-三个"),  # ranges
        ("zh", "2024年气温-5度, 海拔-155米, 亏损-¥500", "二零二四年气温负五度, 海拔负一百五十五米, 亏损负五百元"),
        ("zh", "2次方, 2次", "二次方, 两次"),
        ("vi", "0, 05, 0912.345.678", "không, không năm, không chín một hai, ba bốn năm, sáu bảy tám"),
        ("qya", "3.5 %", "3.5"),  # a language that CLDR does not know
    ],
)
def test_what_figures_become(language: str, written: str, read: str) -> None:
    assert normalise(written, language) == read


def test_german_ordinals_end_as_the_word_before_them_asks() -> None:
    for written, read in (
        ("Heute ist der 1. Mai", "Heute ist der erste Mai"),
        ("in der 2. Klasse", "in der zweiten Klasse"),
        ("Berlin, 3. Mai", "Berlin, dritter Mai"),
        ("der 1. und 2. Weltkrieg", "der erste und zweite Weltkrieg"),
        ("ein 4. Versuch", "ein vierter Versuch"),
        ("seit dem 19. Jahrhundert", "seit dem neunzehnten Jahrhundert"),
    ):
        assert normalise(written, "de") == read


GERMAN = "Am 3. Mai kam er. Ich habe 3. Das reicht. Im 19. Jahrhundert war es anders. Der 2. Mann ging."


def test_an_ordinal_ends_no_sentence_and_a_number_does() -> None:
    sentences = [
        "Am 3. Mai kam er.",
        "Ich habe 3.",
        "Das reicht.",
        "Im 19. Jahrhundert war es anders.",
        "Der 2. Mann ging.",
    ]
    assert split_text(GERMAN, language="de") == sentences
    assert len(split_text(GERMAN)) == 8  # in English each of them ends one


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_date_that_opens_a_german_sentence_does_not_end_it(size: int) -> None:
    sentences = [
        "Am 24.12. Weihnachten feiern wir.",
        "Am 1.1. Neujahr.",
        "Vom 1.5. bis 3.5. Urlaub.",
        "Ab 3.5. 3 Tage.",
        "Er hat Urlaub vom 1.5. bis 3.5.",
        "Dann kommt er.",
        "Es steht in Kapitel 3.5.",
        "Das ist neu.",
    ]
    text = " ".join(sentences)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert list(iter_sentences(pieces, language="de")) == sentences
    assert normalise(sentences[0], "de") == "Am vierundzwanzigsten Dezember Weihnachten feiern wir."


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_ordinal_is_known_once_the_word_behind_it_is_whole(size: int) -> None:
    text = f"Es war Montag, 3. Mai, und kalt. {GERMAN}"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    whole = split_text(text, language="de")
    assert list(iter_sentences(pieces, language="de")) == whole and whole[0] == "Es war Montag, 3. Mai, und kalt."


def test_an_abbreviated_hour_ends_no_sentence() -> None:
    assert split_text("Jest o godz. 14.30. Idę.", language="pl") == ["Jest o godz. 14.30.", "Idę."]


def test_segments_are_cut_in_their_language() -> None:
    needs("de")
    assert [segment.text for segment in text_to_segments(GERMAN, "de", backend="espeak")] == split_text(
        GERMAN, language="de"
    )


def test_every_token_of_a_figure_is_of_a_written_word() -> None:
    needs("de")
    text = "Das kostet 1.234,5 Mark, am 3. Mai."
    tokens, words = phonemize_marked(text, [], "de", "espeak")
    written = written_words(text, "de", "espeak")
    assert written == ["Das", "kostet", "1234,5", "Mark", "am", "dritten", "Mai"]
    alone = [
        [token for t in phonemize(word, "de", "espeak") if not is_pause(token := t.lstrip("ˈˌ"))] for word in written
    ]
    spoken = [[t.lstrip("ˈˌ") for t, w in zip(tokens, words, strict=True) if w == i] for i in range(len(written))]
    assert spoken == alone


# --- numerals that no reader says rightly


def value_of_mandarin(numeral: str) -> int:
    """Evaluate a Chinese numeral below a trillion."""
    total = part = digit = 0
    for sign in numeral:
        if sign in "亿万":
            if sign == "亿":
                total = (total + part + digit) * 10**8
            else:
                total += (part + digit) * 10**4
            part = digit = 0
        elif sign in "千百十":
            part += (digit or 1) * {"千": 1000, "百": 100, "十": 10}[sign]
            digit = 0
        else:
            digit = 2 if sign == "两" else "零一二三四五六七八九".index(sign)
    return total + part + digit


def value_of_vietnamese(words: str) -> int:
    """Evaluate a Vietnamese numeral below a trillion."""
    names = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
    ones = {**{name: digit for digit, name in enumerate(names)}, "mốt": 1, "lăm": 5}
    total = group = digit = 0
    for word in words.split():
        if word in ("nghìn", "triệu", "tỷ"):
            total += (group + digit) * {"nghìn": 10**3, "triệu": 10**6, "tỷ": 10**9}[word]
            group = digit = 0
        elif word == "trăm":
            group, digit = digit * 100, 0
        elif word in ("mươi", "mười"):
            group, digit = group + (10 if word == "mười" else digit * 10), 0
        elif word != "lẻ":
            digit = ones[word]
    return total + group + digit


def test_numerals_have_the_value_of_their_digits() -> None:
    draw = random.Random(4)
    numbers = [*range(1200), *(draw.randrange(10 ** draw.randint(4, 12)) for _ in range(2000)), 10**8, 10**8 + 50000]
    for number in numbers:
        assert value_of_mandarin(mandarin_numeral(str(number))) == number
        assert value_of_vietnamese(vietnamese_words(str(number))) == number


def test_numerals_have_their_zeros() -> None:
    for digits, words in (
        ("10", "十"), ("110", "一百一十"), ("1005", "一千零五"), ("10005", "一万零五"), ("20000", "两万"),
        ("100050000", "一亿零五万"), ("101000", "十万一千"), ("007", "零零七"), ("12" * 10, "一二" * 10),
    ):  # fmt: skip
        assert mandarin_numeral(digits) == words
    for digits, words in (
        ("21", "hai mươi mốt"), ("15", "mười lăm"), ("105", "một trăm lẻ năm"), ("007", "không không bảy"),
        ("2024", "hai nghìn không trăm hai mươi bốn"),
    ):  # fmt: skip
        assert vietnamese_words(digits) == words


def test_units_that_cldr_does_not_translate_are_left_out() -> None:
    from decimal import Decimal

    assert with_unit("3", Decimal(3), "length-kilometer", "de") == "3 Kilometer"
    assert with_unit("3", Decimal(3), "percent", "zh") == "3" == with_unit("3", Decimal(3), "no-such-unit", "de")


def test_a_unit_is_looked_up_once_and_not_for_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    from babel import units

    format_unit, asked = units.format_unit, []
    monkeypatch.setattr(units, "format_unit", lambda *args, **names: asked.append(args) or format_unit(*args, **names))
    assert normalise("1% 2% " * 1500, "fr") == "1 pour cent 2 pour cent " * 1499 + "1 pour cent 2 pour cent"
    assert len(asked) <= 2


@pytest.mark.parametrize("language", ["de", "fr", "hi", "pl", "zh", "es"])
@pytest.mark.parametrize(
    "piece",
    [
        "1% ",
        "um 1:2",
        "o 1.20 ",
        "歼-2",
        "Am 1.1. ",
        "godz. 1.20 ",
        "1",
        "1,",
        "1.",
        "1 000",
        "1:",
        "3. ",
        "-5",
        "$1",
        "1'000",
        "0-12",
        "1.1",
    ],
)
def test_time_grows_with_the_length(language: str, piece: str) -> None:
    normalise("1", language)
    taken = []
    for length in (2_000, 20_000):
        text = piece * (length // len(piece))
        start = time.process_time()
        normalise(text, language)
        taken.append(time.process_time() - start)
    assert taken[1] < 60 * taken[0] + 0.2  # ten times as long; a quadratic pattern takes a hundred times
