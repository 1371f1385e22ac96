"""The files that say when each word is spoken, and how their words are matched with those of a text."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.word_times import WordTime, match_words, read_word_times

WORDS = [WordTime("Hello", 0.1, 0.4), WordTime("there", 0.4, 0.75), WordTime("friend", 1.0, 1.5)]
GRID_LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 2
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 2
            text = "x"
    item [2]:
        class = "TextTier"
        name = "bells"
        xmin = 0
        xmax = 2
        points: size = 1
        points [1]:
            number = 0.5
            mark = "say ""ding"" now"
    item [3]:
        class = "IntervalTier"
        name = "{tier}"
        xmin = 0
        xmax = 2
        intervals: size = 5
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.4
            text = "Hello"
        intervals [3]:
            xmin = 0.4
            xmax = 0.75
            text = "there"
        intervals [4]:
            xmin = 0.75
            xmax = 1.0
            text = "<sil>"
        intervals [5]:
            xmin = 1.0
            xmax = 1.5
            text = "friend"
"""
GRID_SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2
<exists>
1
"IntervalTier"
"whatever"
0
2
5
0
0.1
""
0.1
0.4
"Hello"
0.4
0.75
"there"
0.75
1
"sp"
1
1.5
"friend"
"""
SRT = """1
00:00:00,100 --> 00:00:00,400
Hello

2
00:00:00,400 --> 00:00:00,750
<i>there</i>

3
00:00:01.000 --> 00:00:01.500
friend
"""
GOOD = {
    "plain.csv": "Hello,0.1,0.4\nthere,0.4,0.75\n\nfriend,1.0,1.5\n",
    "header.csv": "start,end,word\n0.1,0.4,Hello\n0.4,0.75,there\n0.75,1.0,\n1.0,1.5,friend\n",
    "bom.csv": "\ufeffword;start;end\nHello; 0.1; 0.4\nthere;0.4;0.75\nfriend;1.0;1.5\n",
    "crlf.csv": "word,start,end\r\nHello,0.1,0.4\r\nthere,0.4,0.75\r\nfriend,1,1.5\r\n",
    "rounded.csv": "Hello,0.1,0.4004\nthere,0.4,0.75\nfriend,1,1.5\n",
    "tabs.tsv": "Hello\t0.1\t0.4\nthere\t0.4\t0.75\nfriend\t1\t1.5\n",
    "cues.srt": SRT,
    "long.TextGrid": GRID_LONG.replace("{tier}", "Wörter"),
    "short.textgrid": GRID_SHORT,
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_form_gives_the_same_words(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name].encode(encoding))
    times = read_word_times(path)
    assert [time.word for time in times] == ["Hello", "there", "friend"]
    asked = [x for time in WORDS for x in (time.start_s, time.end_s)]
    assert [x for time in times for x in (time.start_s, time.end_s)] == pytest.approx(asked, abs=5e-4)


def test_a_phrase_is_spread_over_its_words_by_their_letters(tmp_path: Path) -> None:
    path = tmp_path / "phrases.srt"
    path.write_text("00:00:01,000 --> 00:00:02,000\nI\nwon't — really\n")
    times = read_word_times(path)
    assert [time.word for time in times] == ["I", "won't", "really"]
    assert [time.start_s for time in times] == pytest.approx([1.0, 1.0 + 2 / 14, 1.0 + 7 / 14])
    assert times[-1].end_s == 2.0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.txt", "", "must be a .csv, .tsv, .srt or .TextGrid file; got 'x.txt'"),
        ("x.csv", "", "x.csv holds no words"),
        ("x.csv", "word,start,end\n", "x.csv holds no words"),
        ("x.csv", "word,start,end,start\na,1,2,3\n", "line 1: the header must name word, start and end once each"),
        ("x.csv", "a,0,1\nb,1\n", "line 2: expected 3 cells, got 2"),
        ("x.csv", "a,0,5,1,0\n", "line 1: expected 3 cells, got 5.*decimal point"),
        ("x.csv", "a,zero,1\n", 'line 1: start must be a number of seconds such as 0.45; got "zero"'),
        ("x.csv", "a,0,nan\n", 'line 1: end must be a number of seconds such as 0.45; got "nan"'),
        ("x.csv", "a,0,1e9\n", "line 1: times must be from 0 to 36000 s"),
        ("x.csv", "a,-1,1\n", "line 1: times must be from 0"),
        ("x.csv", "\na,1,1\n", 'line 2: the end must come after the start; got 1 to 1 s for "a"'),
        ("x.csv", "a,0,1\nb,0.5,2\n", 'line 2: "b" at 0.5 s overlaps with "a" of line 1, which lasts from 0 to 1 s'),
        ("x.csv", "a,1,2\nb,0,0.5\n", 'line 2: "b" at 0 s starts before "a" of line 1'),
        ("x.csv", 'a,0,1\n"b"c,1,2\n', "line 2: not a table"),
        ("x.csv", 'a,0,1\n"b,1,2\n', "line 2: not a table"),
        ("x.srt", "1\nhello\n", 'line 1: expected the times of a cue.*got "1"'),
        ("x.srt", "1\n00:00:01 --> 00:00:02\nhello\n", "line 2: expected the times of a cue"),
        ("x.srt", "1\n00:00:02,000 --> 00:00:01,000\nhello\n", "line 2: the end must come after the start"),
        ("x.textgrid", "hello", 'line 1: not a TextGrid: expected "ooTextFile", got the end of the file'),
        ("x.textgrid", '"ooTextFile" "Pitch 1"', 'must begin with "ooTextFile" and "TextGrid"'),
        ("x.textgrid", GRID_SHORT.replace('0.4\n"H', '"H'), "line 17: .*expected the end of an interval, got .*Hello"),
        (
            "x.textgrid",
            GRID_SHORT.replace("\n5\n", "\n6\n"),
            "expected the start of an interval, got the end of the file",
        ),
        ("x.textgrid", GRID_SHORT.replace("\n5\n", "\n5000000000\n"), "line 12: the number of intervals must be"),
        ("x.textgrid", GRID_SHORT.replace("0.75\n1\n", "0.5\n1\n"), 'line 23: "" at 0.5 s overlaps|line 24'),
        ("x.textgrid", GRID_SHORT.replace("IntervalTier", "PointTier"), 'expected "IntervalTier" or "TextTier"'),
        ("x.textgrid", GRID_SHORT.replace("<exists>", "<absent>"), "has no interval tier"),
        ("x.textgrid", GRID_SHORT.replace("0.75", "0.7.5"), 'number of seconds such as 0.45; got "0.7.5"'),
    ],
)
def test_a_malformed_file_is_refused_in_one_line_with_its_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_word_times(path)
    assert str(caught.value).isprintable()


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_word_times(tmp_path / "no.csv")
    (tmp_path / "x.csv").write_bytes(b"caf\xe9,0,1\n")
    with pytest.raises(ValueError, match="must be UTF-8 or UTF-16; byte 3 is not"):
        read_word_times(tmp_path / "x.csv")


def test_a_table_that_a_quote_breaks_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('"a"b\tc\td\n')
    with pytest.raises(ValueError, match="not a table") as caught:
        read_word_times(tmp_path / "x.csv")
    assert str(caught.value).isprintable()


@given(st.text(max_size=200), st.sampled_from([".csv", ".srt", ".TextGrid"]))
@settings(max_examples=150)
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert read_word_times(path)
    except ValueError as error:
        assert str(error).isprintable()


def test_the_words_of_the_file_are_those_of_the_text_case_and_marks_aside() -> None:
    times = [
        WordTime("«HELLO,»", 0.1, 0.4),
        WordTime("don’t", 0.4, 0.7),
        WordTime("—", 0.7, 0.8),
        WordTime("go!", 0.8, 1),
    ]
    assert match_words(times, ["Hello", "dont", "go"]) == [
        WordTime("Hello", 0.1, 0.4), WordTime("dont", 0.4, 0.7), WordTime("go", 0.8, 1)
    ]  # fmt: skip


def test_words_written_together_on_one_side_are_matched() -> None:
    times = [
        WordTime("twenty", 0.0, 0.5),
        WordTime("one", 0.6, 1.0),
        WordTime("21", 1.0, 2.0),
        WordTime("now", 2.0, 2.3),
    ]
    matched = match_words(times, ["twenty-one", "twenty", "one", "now"])
    assert [time.word for time in matched] == ["twenty-one", "twenty", "one", "now"]
    assert matched[0] == WordTime("twenty-one", 0.0, 1.0)
    assert 1.0 == matched[1].start_s < matched[1].end_s == matched[2].start_s < matched[2].end_s == 2.0


@pytest.mark.parametrize(
    ("spoken", "message"),
    [
        (
            ["Hello", "dear", "friend"],
            'word 2 of the word times must be "dear", as in the text; got "there" at 0.400 s',
        ),
        (["Hello", "there", "friend", "Ann"], 'they end before word 4 "Ann"'),
        (["Hello", "there"], 'after 2 words; got one more: "friend" at 1.000 s'),
        (["Hello", "therefriends"], 'word 2 of the word times must be "therefriends"'),
    ],
)
def test_the_first_difference_of_words_is_named(spoken: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_words(WORDS, spoken)
