"""Details of published layouts that loaders once misread: long recordings, quotes, unknown speakers, parquet, no valid part."""

import csv
import errno
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from miniatures import MINIATURES, msp_podcast, put, tone

from emotts.data.corpora.emns import EMNS
from emotts.data.corpora.emonet import EmoNetVoice
from emotts.data.corpora.esd import ESD
from emotts.data.corpora.expresso import LONGEST_S, SHORTEST_S, Expresso
from emotts.data.corpora.folder import OwnFolder
from emotts.data.corpora.mead import MEAD, SPEAKERS
from emotts.data.corpora.meld import MELD
from emotts.data.corpora.msp_podcast import MSPPodcast
from emotts.data.corpora.rows import Listing
from emotts.data.corpora.tables import table_lines
from emotts.data.corpora.tess import TESS
from emotts.data.faults import MachineFault
from emotts.data.packed import packed_audio
from emotts.data.prepare_audio import decode


def test_long_recordings_are_cut_at_splits_and_into_pieces(tmp_path: Path) -> None:
    """The windows of one long reading are in three splits; what is said lies in VAD_segments.txt."""
    MINIATURES["expresso"](tmp_path)
    listing = Expresso().read(tmp_path)
    rows = [row for row in listing.rows if "longform" in row.id]
    assert [(row.split, row.start_s, row.end_s) for row in rows] == [
        ("valid", 0.2, 1.0),
        ("test", 1.0, 1.8),
        ("test", 2.0, 2.5),
        ("train", 2.5, 17.5),
        ("train", 17.5, 32.5),
        ("train", 32.5, 37.6),
    ]
    assert all(row.channel is None and row.text is None and row.speaker == "ex01" for row in rows)
    assert len({row.id for row in rows}) == 6
    assert all(SHORTEST_S <= (row.end_s or 0.0) - (row.start_s or 0.0) <= LONGEST_S for row in rows)
    assert listing.notes == [
        "0.01 of 0.01 h of speech in long recordings are taken, in 9 pieces of at most 15 s without texts"
    ]
    assert not any("comment" in str(problem) or "#" in str(problem) for problem in listing.problems)
    assert all(0.4 < len(decode(tmp_path, row, 30.0)) / 24_000 <= 15.01 for row in rows)


def test_a_long_recording_without_segments_is_named(tmp_path: Path) -> None:
    MINIATURES["expresso"](tmp_path)
    path = tmp_path / "VAD_segments.txt"
    path.write_text("\n".join(line for line in path.read_text().split("\n") if "longform" not in line))
    listing = Expresso().read(tmp_path)
    assert not [row for row in listing.rows if "longform" in row.id]
    named = [str(problem) for problem in listing.problems if "longform" in problem.place]
    assert len(named) == 1 and named[0].endswith("has no line in VAD_segments.txt.")


def test_a_quote_that_nobody_closes_costs_no_row_of_emns(tmp_path: Path) -> None:
    texts = ['"Well," she said, "come in."', '"Open quote only, he said', "After.", '"He said ""no"" twice."', "Last."]
    rows = ["id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording|user_id"]
    for k, text in enumerate(texts):
        put(tmp_path / f"wavs/recorded_audio_000000{k}.wav")
        rows.append(f"{k}|{text}|x|Sad|2022|Complete|Female|20s|3|wavs/recorded_audio_000000{k}.webm|3")
    put(tmp_path / "metadata.csv", "\n".join(rows))
    put(tmp_path / "wavs/recorded_audio_9999999.wav")
    listing = EMNS().read(tmp_path)
    assert [row.text for row in listing.rows] == [*texts[:3], 'He said "no" twice.', "Last."]
    assert [str(problem) for problem in listing.problems] == [
        "wavs/recorded_audio_9999999.wav has no line in metadata.csv."
    ]


def test_rows_of_csv_may_run_over_lines_and_an_open_quote_ends_with_its_line() -> None:
    text = 'a,b\n1,"two\nlines, ""quoted"""\n2,"open\n3,plain\n4,"closed"\n\n5,say "hi" now\n6,"x" y\n'
    assert list(table_lines(text, ",")) == [
        (1, ["a", "b"]),
        (2, ["1", 'two\nlines, "quoted"']),
        (4, ['2,"open']),
        (5, ["3", "plain"]),
        (6, ["4", "closed"]),
        (8, ["5", 'say "hi" now']),
        (9, ["6", "x y"]),
    ]
    assert list(table_lines('a,b\n1,"open\n2",x,y\n3,z', ","))[1:] == [
        (2, ['1,"open']),
        (3, ['2"', "x", "y"]),
        (4, ["3", "z"]),
    ]
    assert list(table_lines('a|b\n"x|y"|z\n', "|")) == [(1, ["a", "b"]), (2, ['"x', 'y"', "z"])]


def test_an_open_quote_in_a_csv_costs_its_own_line(tmp_path: Path) -> None:
    MINIATURES["meld"](tmp_path)
    path = tmp_path / "dev_sent_emo.csv"
    path.write_text(path.read_text().replace('"Oh, it’s you!"', '"Oh, it’s you!'))
    listing = MELD().read(tmp_path)
    assert [row.id for row in listing.rows if row.split == "valid"] == ["meld-dev-dia0_utt1"]
    named = [problem.place for problem in listing.problems if "dev" in problem.place]
    assert "dev_sent_emo.csv, line 2" in named and "dev/dev_splits_complete/dia0_utt0.mp4" in named


def test_unknown_speakers_of_msp_podcast_are_in_one_split_each(tmp_path: Path) -> None:
    MINIATURES["msp_podcast"](tmp_path)
    rows = [row for row in MSPPodcast().read(tmp_path).rows if row.speaker.startswith("Unknown")]
    assert {row.speaker for row in rows} == {f"Unknown-{row.id[12:16]}-{row.split}" for row in rows}
    assert len(rows) == 3 and len({row.split for row in rows}) > 1


def test_a_rating_that_is_no_number_is_named(tmp_path: Path) -> None:
    MINIATURES["msp_podcast"](tmp_path)
    path = tmp_path / "Labels/labels_consensus.csv"
    lines = path.read_text().split("\n")
    lines[5] = lines[5].replace(",4.0,4.0,4.5,", ",high,4.0,4.5,")
    lines[6] = lines[6].replace(",6.0,2.0,4.5,", ",,NaN,,")
    path.write_text("\n".join(lines))
    listing = MSPPodcast().read(tmp_path)
    assert any("line 6 has EmoAct 'high'; expected 1 to 7" in str(problem) for problem in listing.problems)
    hidden = next(row for row in listing.rows if row.id.endswith("0005_0008"))
    assert (hidden.arousal, hidden.valence, hidden.dominance) == (None, None, None)


def test_pitch_decides_where_sources_disagree_on_a_speaker_of_esd(tmp_path: Path) -> None:
    for speaker, f0 in (("0012", 215.0), ("0019", 105.0)):
        for n in (1, 2):
            put(tmp_path / f"{speaker}/Neutral/{speaker}_{n:06d}.wav", tone(f0=f0))
    put(tmp_path / "0019/Neutral/0019_000003.wav", b"RIFF but text")
    rows = ESD().read(tmp_path).rows
    assert {row.speaker: row.gender for row in rows} == {"0012": "f", "0019": "m"}


def transcribed(root: Path, lines: Sequence[str], n_clips: int) -> Listing:
    """List neutral clips of a speaker of ESD with these lines as the transcript."""
    for n in range(1, n_clips + 1):
        put(root / f"0015/Neutral/0015_{n:06d}.wav")
    put(root / "0015/0015.txt", "\n".join(lines))
    return ESD().read(root)


def test_a_space_in_place_of_a_tab_keeps_the_text(tmp_path: Path) -> None:
    texts = (
        "0015_000001 The nine the eggs.\tNeutral",
        "0015_000002\tI keep.\tNeutral",
        "0015_000003 Be happy. Neutral",
        "0015_000004\tNot sad at all",
        "0015_00005 bad",
    )
    listing = transcribed(tmp_path, texts, 4)
    assert [row.text for row in listing.rows] == ["The nine the eggs.", "I keep.", "Be happy.", "Not sad at all"]
    assert sum("0015.txt, line 5 must have id, text and label" in str(problem) for problem in listing.problems) == 1


def test_a_label_word_is_of_the_text_where_tabs_end_the_columns(tmp_path: Path) -> None:
    lines = (
        "0015_000001\tI am Happy",
        "0015_000002\tWe are Sad\tNeutral",
        "0015_000003 They look Angry\tNeutral",
        "0015_000004\t\tNeutral",
        "0015_000005 Neutral",
        "0015_000006\tNot Sad \t Neutral\t",
        "0015_000007   You sound Happy   Neutral",
    )
    listing = transcribed(tmp_path, lines, 7)
    texts = ["I am Happy", "We are Sad", "They look Angry", None, None, "Not Sad", "You sound Happy"]
    assert [row.text for row in listing.rows] == texts
    named = [str(problem) for problem in listing.problems if "0015.txt" in str(problem)]
    assert len(named) == 2 and all(
        f"line {n} must have id, text" in line for n, line in zip((4, 5), named, strict=True)
    )


@pytest.mark.parametrize("fold", [1, 2])
def test_a_tenth_of_the_words_of_tess_validates(tmp_path: Path, fold: int) -> None:
    for speaker in ("OAF", "YAF"):
        for first in "bcdfghklmn":
            for rest in ("ait", "oot", "ill", "ack", "een"):
                put(tmp_path / f"{speaker}_{first}{rest}_sad.wav", b"RIFF")
                put(tmp_path / f"{speaker}_{first}{rest}_ps.wav", b"RIFF")
    rows = TESS(fold=fold).read(tmp_path).rows
    words = {split: {row.text for row in rows if row.split == split} for split in ("train", "valid", "test")}
    assert not words["train"] & words["valid"] and words["test"] == words["train"] | words["valid"]
    assert 0.04 < len(words["valid"]) / len(words["test"]) < 0.2
    assert {row.speaker for row in rows if row.split == "test"} == {("YAF", "OAF")[fold - 1]}
    assert {row.speaker for row in rows if row.split != "test"} == {("OAF", "YAF")[fold - 1]}


def test_sentences_of_mead_before_the_last_ones_validate(tmp_path: Path) -> None:
    for n in range(1, 41):
        put(tmp_path / f"M003/audio/neutral/level_1/{n:03d}.wav", b"RIFF")
        if n <= 30:
            put(tmp_path / f"M003/audio/sad/level_2/{n:03d}.wav", b"RIFF")
    listing = MEAD(split="sentences").read(tmp_path)
    found = {row.id: row.split for row in listing.rows}
    neutral = [found[f"mead-M003-neutral-1-{n:03d}"] for n in range(1, 41)]
    sad = [found[f"mead-M003-sad-2-{n:03d}"] for n in range(1, 31)]
    assert neutral == ["train"] * 25 + ["valid"] * 5 + ["test"] * 10
    assert sad == ["train"] * 21 + ["valid"] * 3 + ["test"] * 6
    assert {str(problem) for problem in listing.problems} == {
        f"speaker {name} is missing with all clips." for name in SPEAKERS if name != "M003"
    }
    assert len(set(SPEAKERS)) == MEAD.facts.speakers


def test_one_speaker_of_ones_own_is_split_by_sentence(tmp_path: Path) -> None:
    rows = ["path,text,speaker"]
    for n in range(200):
        put(tmp_path / f"{n}.wav", b"RIFF")
        rows.append(f"{n}.wav,Sentence {n % 100}.,anna")
    put(tmp_path / "metadata.csv", "\n".join(rows))
    listed = OwnFolder().read(tmp_path).rows
    assert {row.split for row in listed} == {"train", "valid", "test"}
    assert all(a.split == b.split for a, b in zip(listed[:100], listed[100:], strict=True))


def parquet(path: Path, make: Callable[[int], dict[str, object]]) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([make(k) for k in range(5)]), path, row_group_size=2)


def test_parquet_is_read_row_by_row(tmp_path: Path) -> None:
    parquet(
        tmp_path / "data/train-00000.parquet",
        lambda k: {
            "audio": {"bytes": b"" if k == 4 else tone(0.5 + 0.1 * k), "path": f"{k}.wav"},
            "Anger": 2 if k != 3 else None,
            "speaker": f"v{k}",
            "transcription": "Leave me.",
            "language": "de",
        },
    )
    parquet(
        tmp_path / "data/train-00001.parquet",
        lambda k: {"mp3": tone(0.5, kind="MP3"), "json": '{"Sadness": [1, 1, 2], "speaker": "x", "Valence": -3}'},
    )
    put(tmp_path / "data/train-00002.parquet", b"PAR1xxxx")
    put(tmp_path / "dataset_infos.json", "{}")
    listing = EmoNetVoice().read(tmp_path)
    assert len(listing.rows) == 9
    row = next(row for row in listing.rows if row.id == "emonet-data_train-00000_000002")
    assert (row.label, row.text, row.language, row.speaker) == ("angry", "Leave me.", "de", "v2")
    assert row.audio == "data/train-00000.parquet/000002"
    assert len(decode(tmp_path, row, 30.0)) == pytest.approx(0.7 * 24_000, abs=2)
    other = next(row for row in listing.rows if row.id == "emonet-data_train-00001_000003")
    assert (other.label, other.valence) == ("sad", -1.0) and len(decode(tmp_path, other, 30.0)) > 10_000
    empty = next(row for row in listing.rows if row.id == "emonet-data_train-00000_000004")
    with pytest.raises(ValueError, match="has no audio in its row of train-00000.parquet"):
        decode(tmp_path, empty, 30.0)
    named = [str(problem) for problem in listing.problems]
    assert len(named) == 2 and any("train-00002.parquet is not taken" in line and "\n" not in line for line in named)
    assert any("000003 is rated in none of the 40 categories" in line for line in named)
    with pytest.raises(ValueError, match="has no such row"):
        packed_audio(tmp_path, "data/train-00000.parquet/000009")


@pytest.mark.parametrize("part", ["footer", "page"])
def test_one_damaged_parquet_of_two_is_one_problem(tmp_path: Path, part: str) -> None:
    """Of the library's own errors some are OSErrors without a number, which no disk raises."""
    for name in ("a", "b"):
        parquet(tmp_path / f"{name}.parquet", lambda k: {"audio": b"RIFF", "Anger": k, "speaker": f"voice {k}"})
    path = tmp_path / "b.parquet"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - size if part == "footer" else data.index(b"voice 0") - 40
    data[start : start + 24] = b"\xff" * 24
    path.write_bytes(data)
    listing = EmoNetVoice().read(tmp_path)
    assert [row.audio for row in listing.rows] == [f"a.parquet/{k:06d}" for k in range(5)]
    (problem,) = listing.problems
    assert problem.place == "b.parquet" and "b.parquet cannot be read as parquet" in problem.reason
    assert "copy it again" in problem.reason and "\n" not in problem.reason


def test_a_disk_that_gives_no_parquet_ends_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path / "a.parquet", lambda k: {"audio": b"RIFF", "Anger": 1})

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pyarrow.parquet.ParquetFile", fail)
    with pytest.raises(OSError, match="Input/output error") as told:
        EmoNetVoice().read(tmp_path)
    assert told.value.errno == errno.EIO


def test_parquet_without_its_reader_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "train-00000.parquet", b"PAR1xxxx")
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MachineFault, match=r"train-00000.parquet is parquet, which needs pyarrow; .*emotts\[parquet\]"):
        EmoNetVoice().read(tmp_path)


def test_parquet_that_is_none_or_has_no_audio_costs_one_line(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", lambda k: {"text": "x", "Anger": 1})
    with pytest.raises(
        ValueError, match="EmoNet-Voice: a.parquet is not taken: a.parquet must have a column audio, mp3"
    ):
        EmoNetVoice().read(tmp_path)


def test_audio_in_folders_named_parquet_is_still_audio(tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(1_000), 16_000, format="WAV")
    put(tmp_path / "a.parquet/000001.wav", file.getvalue())
    assert packed_audio(tmp_path, "a.parquet/000001.wav") is None


def _rows(root: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a table of MSP-Podcast, without the second line of a clip whose class is none."""
    with (root / f"Labels/labels_{name}.csv").open() as table:
        return [row for row in csv.DictReader(table) if row.get("EmoClass") != "Q"]


def _as_json(root: Path) -> None:
    """Turn the tables of MSP-Podcast into the JSON of the same release."""
    rows = {row.pop("FileName"): row for row in _rows(root, "consensus")}
    first = next(iter(rows))
    put(root / "Labels/labels_consensus.json", json.dumps({**rows, first: [rows[first]]}))  # some releases have lists
    raters: dict = {}
    for row in _rows(root, "detailed"):
        worker, vote = row["EmoDetail"].split(";")[:2]
        raters.setdefault(row["FileName"], {})[worker] = {
            "EmoClass_Major": vote.strip(),
            "EmoClass_Second": "Concerned",
        }
    listed = {"Workers": [{"Name": name, **rating} for name, rating in raters[first].items()]}
    put(root / "Labels/labels_detailed.json", json.dumps({**raters, first: listed}))


def _as_text(root: Path) -> None:
    """Turn them into labels.txt with splits and speakers in files of their own."""
    lines, splits, speakers = [], [], []
    for row in _rows(root, "consensus"):
        name = row["FileName"]
        lines.append(f"{name}; {row['EmoClass']}; A:{row['EmoAct']}; V:{row['EmoVal']}; D:{row['EmoDom']};")
        lines += [rating["EmoDetail"] for rating in _rows(root, "detailed") if rating["FileName"] == name] + [""]
        splits.append(f"{row['Split_Set']}; {name}")
        speakers.append(f"{name}; {row['SpkrID']}")
    put(root / "Labels/labels.txt", "\n".join(lines))
    put(root / "Partitions.txt", "\n".join(splits))
    put(root / "Speaker_ids.txt", "\n".join(speakers))


@pytest.mark.parametrize("form", [_as_json, _as_text])
def test_all_label_files_of_msp_podcast_say_the_same(tmp_path: Path, form: Callable[[Path], None]) -> None:
    msp_podcast(tmp_path)
    tables = MSPPodcast().read(tmp_path)
    form(tmp_path)
    for name in ("consensus", "detailed"):
        (tmp_path / f"Labels/labels_{name}.csv").unlink()
    found = MSPPodcast().read(tmp_path)
    assert len(tables.rows) > 90 and tables.rows[0].votes and tables.rows[0].gender
    keep = {} if form is _as_json else {"gender": None}  # labels.txt does not tell it
    assert found.rows == [replace(row, **keep) for row in tables.rows]
    assert len(found.problems) == len(tables.problems) - 1  # the line that is left out


def test_broken_label_files_of_msp_podcast_are_named_by_place(tmp_path: Path) -> None:
    msp_podcast(tmp_path)
    _as_json(tmp_path)
    _as_text(tmp_path)
    for name in ("consensus", "detailed"):
        (tmp_path / f"Labels/labels_{name}.csv").unlink()
    good = json.loads((tmp_path / "Labels/labels_consensus.json").read_text())
    del good["MSP-PODCAST_0007_0008.wav"]["EmoVal"]
    put(tmp_path / "Labels/labels_consensus.json", json.dumps(good))
    raters = json.loads((tmp_path / "Labels/labels_detailed.json").read_text())
    raters["MSP-PODCAST_0008_0008.wav"] = {"WORKER0001": "Angry"}
    put(tmp_path / "Labels/labels_detailed.json", json.dumps(raters))
    told = [f"{problem.place} {problem.reason}" for problem in MSPPodcast().read(tmp_path).problems]
    assert "Labels/labels_consensus.json, MSP-PODCAST_0007_0008.wav lacks EmoVal." in told
    assert "Labels/labels_detailed.json, MSP-PODCAST_0008_0008.wav has a rating without EmoClass_Major." in told
    for name in ("consensus", "detailed"):
        (tmp_path / f"Labels/labels_{name}.json").unlink()
    lines = (tmp_path / "Labels/labels.txt").read_text().split("\n")
    lines[0] = lines[0].replace("A:", "B:")
    put(tmp_path / "Labels/labels.txt", "\n".join([*lines, "no rating"]))
    places = {problem.place for problem in MSPPodcast().read(tmp_path).problems}
    assert {"Labels/labels.txt, line 1", f"Labels/labels.txt, line {len(lines) + 1}"} <= places
    (tmp_path / "Partitions.txt").unlink()
    with pytest.raises(FileNotFoundError, match="Partitions.txt, which tells the splits that Labels/labels.txt lacks"):
        MSPPodcast().read(tmp_path)
    put(tmp_path / "Labels/labels_consensus.json", "[]")
    with pytest.raises(ValueError, match="must hold an object with a key for each clip"):
        MSPPodcast().read(tmp_path)


@pytest.mark.parametrize("form", [None, _as_json, _as_text])
def test_secondary_votes_of_msp_podcast_count_what_they_are_told_to(
    tmp_path: Path, form: Callable[[Path], None] | None
) -> None:
    """Three of five say angry and hear frustration and excitement beside it, two say neutral; smoothed by 2 % a label."""
    msp_podcast(tmp_path)
    table = tmp_path / "Labels/labels_detailed.csv"
    heard = table.read_text().replace("Angry; Concerned,;", "Angry; Angry,Excited,Frustrated;")
    table.write_text(heard.replace("Neutral; Concerned,;", "Neutral; ;"))
    if form is not None:
        form(tmp_path)
        for name in ("consensus", "detailed"):
            (tmp_path / f"Labels/labels_{name}.csv").unlink()
        if form is _as_json:
            place = tmp_path / "Labels/labels_detailed.json"
            place.write_text(
                place.read_text()
                .replace('"Angry", "EmoClass_Second": "Concerned"', '"Angry", "EmoClass_Second": "Excited,Frustrated"')
                .replace('"EmoClass_Second": "Concerned"', '"EmoClass_Second": ""')
            )
    without, half = (
        next(row for row in MSPPodcast(secondary=share).read(tmp_path).rows if row.label == "angry").votes
        for share in (0.0, 0.5)
    )
    assert without is not None and half is not None
    assert "excited" not in without and without["angry"] == pytest.approx(3.1 / (5 + 0.1 * len(without)), abs=1e-6)
    labels = len(half)
    whole = 3 + 1.5 + 1.5 + 2  # angry, excited, frustrated, neutral
    assert half["excited"] == pytest.approx((1.5 + 0.02 * whole) / (whole + 0.02 * whole * labels), abs=1e-6)
    assert half["angry"] == pytest.approx((3 + 0.02 * whole) / (whole + 0.02 * whole * labels), abs=1e-6)


def test_a_share_of_secondary_votes_is_none_beyond_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="secondary must be 0 to 1; got 1.5. Example: corpus.secondary=0.5"):
        MSPPodcast(secondary=1.5).read(tmp_path)
