"""Loaders of recorded corpora: each reads a miniature of its real layout, and says in one line what is wrong with a folder."""

import json
import random
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from forty_clips import FORTY, Shelf
from miniatures import MINIATURES, POINTER, msp_improv, msp_podcast, put, tone

from emotts.data.corpora.cremad import CREMAD
from emotts.data.corpora.emodb import EmoDB
from emotts.data.corpora.emotiontalk import EmotionTalk
from emotts.data.corpora.esd import ESD
from emotts.data.corpora.expresso import Expresso
from emotts.data.corpora.folder import OwnFolder
from emotts.data.corpora.iemocap import IEMOCAP
from emotts.data.corpora.mead import MEAD
from emotts.data.corpora.msp_improv import MSPImprov
from emotts.data.corpora.msp_podcast import MSPPodcast
from emotts.data.corpora.ratings import FEWEST, plurality, scale, soft_votes, wrong_polarity
from emotts.data.corpora.registry import CORPORA, corpus_class, corpus_facts
from emotts.data.corpora.rows import Listing, SourceRow, parse_source, without_repeats
from emotts.data.corpora.splits import fold_split, hash_split, ranked_split
from emotts.data.corpora.tess import TESS
from emotts.data.corpora.thaiser import THAISER
from emotts.data.corpora.vctk import VCTK
from emotts.data.prepare import completeness
from emotts.emotion.labels import LABELS

ROW = SourceRow("esd-1", "a/b.wav", "esd", "0011", "en-us", "research", "train")

# corpus: rows, then for one of its clips what the loader must say of it
EXPECTED: dict[str, tuple[int, str, dict[str, object]]] = {
    "esd": (
        30,
        "esd-0011_001110",
        {"label": "sad", "language": "en-us", "split": "test", "text": "The nine the eggs, I keep.", "gender": "m"},
    ),
    "ravdess": (
        9,
        "ravdess-03-01-03-02-02-01-02",
        {"label": "happy", "intensity": 1.0, "speaker": "02", "gender": "f", "text": "Dogs are sitting by the door."},
    ),
    "cremad": (
        6,
        "cremad-1001_IEO_ANG_LO",
        {"label": "angry", "intensity": 0.33, "gender": "m", "text": "It's eleven o'clock."},
    ),
    "emodb": (7, "emodb-11a05Ac", {"label": "fearful", "raw_label": "anxiety", "language": "de", "gender": "m"}),
    "iemocap": (
        149,
        "iemocap-Ses05F_script01_1b_M001",
        {
            "speaker": "Ses05M",
            "gender": "m",
            "raw_label": "sad",
            "valence": -0.5,
            "arousal": -0.75,
            "split": "test",
            "text": "Excuse me.",
        },
    ),
    "msp_podcast": (
        99,
        "MSP-PODCAST_0005_0008",
        {"label": "angry", "arousal": 0.6667, "valence": -0.6667, "text": "And so it goes."},
    ),
    "msp_improv": (
        90,
        "MSP-IMPROV-S01A-F05-P-FM04",
        {"raw_label": "S", "arousal": -0.5, "dominance": None, "speaker": "F05", "gender": "f"},
    ),
    "emovdb": (
        4,
        "emovdb-bea_Angry_anger_1-28_0001",
        {"label": "angry", "text": "Author of the danger trail, Philip Steels, etc."},
    ),
    "tess": (4, "tess-OAF_bite_neutral", {"speaker": "OAF", "text": "Say the word bite.", "label": "neutral"}),
    "savee": (4, "savee-DC_sa01", {"label": "sad", "split": "train", "language": "en-gb"}),
    "jl": (
        4,
        "jl-female1_apologetic_15b_2",
        {"label": None, "raw_label": "apologetic", "gender": "f", "text": "Carl leaps into a jeep."},
    ),
    "emns": (
        2,
        "emns-recorded_audio_3aCYrjz",
        {"intensity": 0.8, "audio": "wavs/recorded_audio_3aCYrjz.wav", "text": 'Hello "there".'},
    ),
    "atthack": (
        3,
        "atthack-M04_a3_s001_v02",
        {"raw_label": "dominant", "label": None, "text": "Ça s'est bien passé.", "gender": "m"},
    ),
    "thaiser": (
        4,
        "thaiser-s001_con_actor001_script1_1_2a",
        {"label": "angry", "split": "valid", "gender": "f", "language": "th"},
    ),
    "emotiontalk": (
        4,
        "emotiontalk-G00009_42_14_000",
        {"label": "angry", "valence": -0.8, "arousal": None, "text": "你好 吗"},
    ),
    "mead": (
        57,
        "mead-M003-contempt-3-001",
        {"label": "contempt", "intensity": 1.0, "audio": "M003/audio/contempt/level_3/001.wav"},
    ),
    "expresso": (
        11,
        "expresso-ex03-ex01_angry_005-2-000",
        {"speaker": "ex01", "channel": 1, "start_s": 2.8, "split": "test", "label": "angry"},
    ),
    "emonet": (
        3,
        "emonet-shard0_000000",
        {"label": "angry", "intensity": 1.0, "valence": -1.0, "dominance": 1.0, "language": "de"},
    ),
    "meld": (
        6,
        "meld-train-dia0_utt0",
        {"label": "happy", "text": "Oh, it’s you!", "split": "train", "speaker": "Ross"},
    ),
    "ljspeech": (2, "LJ001-0001", {"label": "neutral", "text": 'Printing, "in fourteen sixty-five'}),
    "libritts": (3, "libritts-116_288045_000000_000001", {"split": "valid", "text": "Mister Bell said no."}),
    "vctk": (4, "vctk-p225_001", {"gender": "f", "text": "Please call Stella."}),
    "folder": (
        3,
        "own-clips_a",
        {"label": "happy", "raw_label": "joy", "arousal": 0.5, "valence": 0.75, "intensity": 0.8, "gender": "f"},
    ),
}

# corpus: parts of the lines that name what was not taken
PROBLEMS: dict[str, list[str]] = {
    "esd": [
        "0011_001100.wav is empty",
        "0011_001101.wav is a Git LFS pointer",
        "0011_000999.wav has a number of another emotion",
        "speaker 0002 is missing with all 1750 clips",
        "0015_000001.wav is missing",
    ],
    "ravdess": [
        "copy/Actor_01/03-01-01-01-01-01-01.wav is a second copy",
        "actor 24 is missing with all 60 clips",
        "03-01-08-02-02-02-02.wav is missing",
    ],
    "cremad": ["1076_MTI_SAD_XX.wav is silent", "1002_ITH_DIS_XX.wav is missing"],
    "iemocap": ["Ses01F_impro01_M049.wav is missing", "Ses01F_impro01_F999.wav has no line", "session 2 is missing."],
    "msp_podcast": [
        "MSP-PODCAST_0003_0008.wav is missing",
        "line 102 has an unknown EmoClass 'Q'",
        "MSP-PODCAST_9999_0001.wav has no line",
    ],
    "msp_improv": ["line 362 is no label line", "MSP-IMPROV-S02A-F01-P-FM01.wav is missing"],
    "emovdb": ["sam_Sleepy is missing"],
    "tess": ["TESS Toronto/OAF_Fear/OAF_lid_fear.wav is a second copy", "YAF_bite_sad.wav is missing"],
    "savee": ["speaker JK is missing with all 120 clips", "savee-DC_a02 is missing"],
    "jl": ["names the emotion 'gleeful'", "female1_angry_1a_2.wav is missing"],
    "emns": [
        "line 4 has the status 'Needs Updating'",
        "recorded_audio_0000000.webm, which is missing",
        "line 6 has the level '11'",
    ],
    "atthack": ["speaker M19 is missing"],
    "thaiser": ["s001_con_actor001_impro1_1 is missing", "impro1_2.wav has no list `annotated`"],
    "emotiontalk": ["G00009_45_01_000.wav has no JSON", "G00009_46_01_000.wav is missing"],
    "mead": ["neutral/level_2/001.m4a is neutral", "speaker M005 is missing with all clips"],
    "expresso": [
        "ex03-ex01_angry_005-1-001 lies in no split for 0.5 s or more (1.8 to 2.6 s)",
        "ex04_whisper_00004.wav is in none of splits",
        "ex01_happy_00099.wav is missing",
    ],
    "emonet": ["000009.wav has no 000009.json", "000010.json is not JSON", "000003.wav is rated in none"],
    "meld": ["train_splits/dia125_utt3 is missing (train_sent_emo.csv, line 4)"],
    "ljspeech": ["LJ001-0003.wav is missing"],
    "libritts": ["103_1241_000000_000002.wav has no .normalized.txt"],
    "vctk": ["speaker p280 has no microphone 2", "p315_001_mic2.flac has no text", "p225_002_mic2.flac is missing"],
    "folder": [
        "line 5 is not taken: audio 'clips/none.wav' is missing",
        "line 6 is not taken: valence must lie in [1, 5]; got 9",
        "line 7 is not taken: path must be a file below",
        "has the id 'own-clips_a'",
        "line 9 is not taken: clips/p.wav is a Git LFS pointer",
        "line 10 has 10 cells",
    ],
}


@pytest.fixture(scope="module")
def listings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Listing]:
    """What each loader says of its miniature."""
    found = {}
    for name, build in MINIATURES.items():
        build(root := tmp_path_factory.mktemp(name))
        loader = OwnFolder(scale=(1, 5)) if name == "folder" else corpus_class(name)()
        found[name] = loader.read(root)
    return found


def test_every_corpus_has_a_miniature_a_configuration_and_facts() -> None:
    configurations = {path.stem for path in (Path(__file__).parent.parent / "conf/prepare/corpus").glob("*.yaml")}
    assert set(CORPORA) == set(MINIATURES) == set(EXPECTED) == configurations
    for name, facts in corpus_facts().items():
        assert facts.name == name and facts.licence and facts.split and facts.example


@pytest.mark.parametrize("name", CORPORA)
def test_a_loader_reads_the_real_layout(listings: dict[str, Listing], name: str) -> None:
    n_rows, clip, values = EXPECTED[name]
    listing = listings[name]
    assert len(listing.rows) == n_rows
    row = next(row for row in listing.rows if row.id == clip)
    assert {key: getattr(row, key) for key in values} == values
    assert row.licence and row.corpus in (name, "own")
    assert [parse_source(row.to_json()) for row in listing.rows] == listing.rows
    assert without_repeats(listing.rows) == (listing.rows, [])


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_missing_or_broken_is_named(listings: dict[str, Listing], name: str) -> None:
    lines = [str(problem) for problem in listings[name].problems]
    for part in PROBLEMS[name]:
        assert sum(part in line for line in lines) == 1, part
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("name", [n for n, facts in corpus_facts().items() if facts.is_speaker_disjoint])
def test_no_speaker_is_in_two_splits(listings: dict[str, Listing], name: str) -> None:
    splits: dict[str, set[str]] = {}
    for row in listings[name].rows:
        splits.setdefault(row.speaker, set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())


def test_votes_are_soft_labels(listings: dict[str, Listing]) -> None:
    rows = {row.id: row for name in ("cremad", "iemocap", "thaiser", "msp_podcast") for row in listings[name].rows}
    votes = rows["cremad-1001_IEO_ANG_HI"].votes
    assert votes is not None and sum(votes.values()) == pytest.approx(1.0, abs=1e-5)
    assert votes["angry"] == pytest.approx((8 + 0.2) / (10 + 6 * 0.2), abs=1e-6)  # 2 % of ten votes for each label
    tie = rows["cremad-1001_IEO_ANG_LO"].votes
    assert tie is not None and tie["angry"] == tie["neutral"]
    dyad = rows["iemocap-Ses01F_impro01_F000"].votes  # E2 anger and frustration, E3 neutral; F1 is the actress herself
    assert dyad is not None and dyad["neutral"] > 1.9 * dyad["angry"] and dyad["sad"] < 0.02
    ticked = rows["thaiser-s006_con_actor002_script1_1_2a"]
    assert ticked.label is None and ticked.votes is not None and ticked.votes["sad"] == ticked.votes["neutral"]


def test_both_releases_of_msp_podcast_give_the_same_rows(tmp_path: Path) -> None:
    for name, detail in (("new", True), ("old", False)):
        msp_podcast(tmp_path / name, detail)
    new, old = (MSPPodcast().read(tmp_path / name) for name in ("new", "old"))
    assert [replace(row, audio="") for row in new.rows if row.text is None] == [
        replace(row, audio="") for row in old.rows if row.text is None
    ]


def test_the_target_of_cremad_is_what_was_asked_for(tmp_path: Path) -> None:
    MINIATURES["cremad"](tmp_path)
    acted = {row.id: row for row in CREMAD(target="acted").read(tmp_path).rows}
    heard = {row.id: row for row in CREMAD(target="voice_majority").read(tmp_path).rows}
    assert acted["cremad-1006_ITS_HAP_XX"].label == "happy" and acted["cremad-1006_ITS_HAP_XX"].votes is None
    assert heard["cremad-1006_ITS_HAP_XX"].label == "neutral"
    assert heard["cremad-1001_IEO_ANG_LO"].label is None  # a tie of anger and neutral
    assert heard["cremad-1001_IEO_ANG_HI"].intensity == 0.75
    assert heard["cremad-1001_IEO_ANG_HI"].label == "angry"


def test_options_choose_the_part_and_the_split(tmp_path: Path) -> None:
    for name in ("esd", "mead", "expresso", "thaiser", "vctk", "emotiontalk"):
        MINIATURES[name](tmp_path / name)
    english = ESD(split="sentences", languages=("en-us",)).read(tmp_path / "esd")
    assert {row.language for row in english.rows} == {"en-us"}
    assert english.published == (17_500, 10)
    assert {row.id[-6:]: row.split for row in english.rows if row.label == "neutral"} == {
        "000001": "valid",
        "000021": "test",
        "000060": "train",
    }
    last = MEAD(split="sentences").read(tmp_path / "mead")
    neutral = [row.split for row in last.rows if row.speaker == "M030" and row.label == "neutral"]
    assert neutral == ["train", "valid"] + ["test"] * 10
    assert len(Expresso(with_dialogues=False).read(tmp_path / "expresso").rows) == 8
    clips = THAISER(microphone="clip").read(tmp_path / "thaiser").rows
    assert [row.audio.split("/")[1] for row in clips] == ["clip", "clip", "clip", "mic"]
    first = VCTK(microphone=1).read(tmp_path / "vctk")
    assert "p280" in {row.speaker for row in first.rows}
    published = {row.id: row.split for row in EmotionTalk().read(tmp_path / "emotiontalk").rows}
    assert published == {
        "emotiontalk-G00003_44_01_003": "test",
        "emotiontalk-G00009_42_14_000": "train",
        "emotiontalk-G00009_42_15_001": "train",
        "emotiontalk-G00012_43_01_002": "valid",
    }
    by_speaker = EmotionTalk(split="speakers").read(tmp_path / "emotiontalk").rows
    assert sorted(row.split for row in by_speaker) == ["test", "train", "train", "valid"]
    assert {row.id: row.split for row in by_speaker} != published
    with pytest.raises(ValueError, match="must be"):
        EmotionTalk(split="hash").read(tmp_path / "emotiontalk")
    FORTY["emotiontalk"](Shelf(tmp_path / "many"))  # whose four speakers have ten clips each
    many = EmotionTalk(split="speakers").read(tmp_path / "many").rows
    assert len({(row.speaker, row.split) for row in many}) == 4 and {row.split for row in many} == {
        "train",
        "valid",
        "test",
    }


def test_the_old_version_of_vctk_is_read(tmp_path: Path) -> None:
    for name in ("p225_001", "p226_001", "p315_001"):
        put(tmp_path / f"wav48/{name[:4]}/{name}.wav", tone(rate=48_000))
        if name != "p315_001":
            put(tmp_path / f"txt/{name[:4]}/{name}.txt", "Please call Stella.\n")
    put(tmp_path / "txt/p226/p226_002.txt", "Ask her.\n")
    people = "ID  AGE  GENDER  ACCENTS  REGION  \n225  23  F    English    Southern  England\n226  22  M    English    Surrey\n"
    put(tmp_path / "speaker-info.txt", people + "248  23  F    Indian  \n")
    listing = VCTK().read(tmp_path)
    assert [(row.id, row.gender) for row in listing.rows] == [("vctk-p225_001", "f"), ("vctk-p226_001", "m")]
    problems = [str(problem) for problem in listing.problems]
    assert (
        len(problems) == 2 and "p315_001.wav has no text" in problems[0] and problems[1] == "p226_002.wav is missing."
    )
    assert completeness(listing, VCTK.facts).startswith("VCTK: 2 clips, 2 of 109 speakers (107 missing)")
    MINIATURES["vctk"](tmp_path)
    both = VCTK().read(tmp_path)
    assert both.notes == ["3 wav files, as of version 0.80, are not read beside flac files of version 0.92"]
    assert both.published is None and all(row.audio.endswith("_mic2.flac") for row in both.rows) and len(both.rows) == 4


def test_split_folders_of_esd_are_taken_at_their_word(tmp_path: Path) -> None:
    for split in ("train", "evaluation", "test"):
        put(tmp_path / f"0011/Angry/{split}/0011_{351 + len(split):06d}.wav")
    rows = ESD(split="sentences").read(tmp_path).rows
    assert {Path(row.audio).parent.name: row.split for row in rows} == {
        "train": "train",
        "evaluation": "valid",
        "test": "test",
    }


def test_arousal_that_is_upside_down_is_turned_in_the_one_corpus_known_for_it(tmp_path: Path) -> None:
    msp_improv(tmp_path / "up")
    msp_improv(tmp_path / "down", is_upside_down=True)
    up, down = (MSPImprov().read(tmp_path / name) for name in ("up", "down"))
    assert up.rows == down.rows
    assert up.notes == [] and "turned around" in down.notes[0]


def test_swapped_columns_are_refused(tmp_path: Path) -> None:
    """IEMOCAP stores valence before arousal; a table in another order must not pass."""
    MINIATURES["iemocap"](tmp_path)
    for path in tmp_path.rglob("EmoEvaluation/Ses*.txt"):
        path.write_text(re.sub(r"\[(\d\.\d{4}), (\d\.\d{4}), ", r"[\2, \1, ", path.read_text()))
    with pytest.raises(ValueError, match="IEMOCAP: expected anger .* columns are swapped"):
        IEMOCAP().read(tmp_path)
    rows = [replace(ROW, label=label, arousal=a) for label, a in (("angry", -0.5), ("sad", 0.5)) for _ in range(FEWEST)]
    assert wrong_polarity(rows) == ["arousal"] and wrong_polarity(rows[1:]) == []


@pytest.mark.parametrize("name", CORPORA)
def test_a_wrong_root_costs_one_line(tmp_path: Path, name: str) -> None:
    put(tmp_path / "holiday/photo.jpg", "x")
    loader = corpus_class(name)()
    with pytest.raises(FileNotFoundError, match="root must be a folder") as missing:
        loader.read(tmp_path / "nowhere")
    with pytest.raises((ValueError, FileNotFoundError)) as wrong:
        loader.read(tmp_path)
    for error in (missing, wrong):
        message = str(error.value)
        assert "\n" not in message and message.startswith(loader.facts.title) and loader.facts.example in message


def test_only_pointers_are_no_corpus(tmp_path: Path) -> None:
    for name in ("1001_IEO_ANG_HI", "1001_IEO_ANG_LO"):
        put(tmp_path / f"AudioWAV/{name}.wav", POINTER)
    with pytest.raises(ValueError, match="all 2 clips below .* are Git LFS pointers, not audio; run `git lfs pull`"):
        CREMAD().read(tmp_path)


MISTAKES = {
    "votes missing": (
        "cremad",
        "processedResults/tabulatedVotes.csv",
        None,
        "tabulatedVotes.csv with the votes .* is missing",
    ),
    "votes a pointer": ("cremad", "processedResults/tabulatedVotes.csv", POINTER, "is a Git LFS pointer, not the file"),
    "no heading": (
        "msp_podcast",
        "Labels/labels_consensus.csv",
        "MSP-PODCAST_0001_0008.wav,A,4,4,4,1,Male,Train",
        "heading must have the columns",
    ),
    "column lost": ("emns", "metadata.csv", "id|utterance|emotion|status|gender|audio_recording", "level not in"),
    "other order": (
        "ljspeech",
        "LJSpeech-1.1/metadata.csv",
        "Yes.|LJ001-0002|Yes.",
        "line 1: expected id.text.normalised",
    ),
    "transcript order": (
        "esd",
        "0011/0011.txt",
        "Neutral\t0011_000001\tHello.",
        "0011.txt, line 1: expected id, text and label",
    ),
    "json broken": ("thaiser", "emotion_label.json", "{'a': __import__('os')}", "emotion_label.json is not JSON"),
    "no path column": (
        "folder",
        "metadata.csv",
        "name,text\na,b",
        "a column path or file_name or audio must be in the heading",
    ),
    "not utf-8": (
        "folder",
        "metadata.csv",
        "path\xe9".encode("latin-1"),
        "metadata.csv is not utf-8-sig; save it as UTF-8",
    ),
    "no splits": ("expresso", "splits", None, "splits/train.txt, dev.txt and test.txt are missing"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_table_costs_one_line(tmp_path: Path, name: str) -> None:
    corpus, path, content, message = MISTAKES[name]
    MINIATURES[corpus](tmp_path)
    if content is None:
        place = tmp_path / path
        for file in list(place.iterdir()) if place.is_dir() else [place]:
            file.unlink()
    else:
        put(tmp_path / path, content)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        corpus_class(corpus)().read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (ESD(fold=6), "fold must be 1 to 5; got 6"),
        (EmoDB(fold="one"), "fold must be 1 to 5; got 'one'"),
        (ESD(split="official"), 'split of ESD must be "speakers" or "sentences"'),
        (ESD(languages=("de",)), "languages of ESD must be of en-us and zh; got de"),
        (CREMAD(target="face"), "target of CREMA-D must be one of acted"),
        (MEAD(split="x"), "split of MEAD"),
        (THAISER(microphone="mic"), "microphone of THAI-SER"),
        (VCTK(microphone=3), "microphone of VCTK must be 1 or 2; got 3"),
        (TESS(fold=0), "fold must be 1 to 2; got 0"),
        (OwnFolder(scale=(5, 1)), "corpus.scale must be the least and the greatest"),
        (OwnFolder(corpus="../x"), "corpus.corpus must be letters"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(tmp_path: Path, loader: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loader.read(tmp_path)  # type: ignore[attr-defined]


def test_a_folder_of_ones_own_may_be_jsonl_in_folders_of_splits(tmp_path: Path) -> None:
    """The layout of Hugging Face's audio folders."""
    for split in ("train", "test"):
        put(tmp_path / f"data/{split}/a.wav")
        line = {"file_name": "a.wav", "transcription": "Hi.", "speaker_id": 7, "label": "anger", "unknown": [1]}
        put(tmp_path / f"data/{split}/metadata.jsonl", json.dumps(line) + "\n[1]\n{broken\n")
    listing = OwnFolder(corpus="mine", licence="CC0-1.0").read(tmp_path)
    assert [(row.id, row.split, row.label, row.speaker, row.licence) for row in listing.rows] == [
        ("mine-data_test_a", "test", "angry", "7", "CC0-1.0"),
        ("mine-data_train_a", "train", "angry", "7", "CC0-1.0"),
    ]
    assert len(listing.problems) == 4


def test_packed_shards_tell_to_unpack(tmp_path: Path) -> None:
    put(tmp_path / "train-00000.tar", b"x" * 2_000)
    with pytest.raises(ValueError, match="is packed; unpack it first"):
        corpus_class("emonet")().read(tmp_path)


@pytest.mark.parametrize("name", [n for n, facts in corpus_facts().items() if facts.clips or facts.speakers])
def test_half_a_corpus_costs_one_line(listings: dict[str, Listing], name: str) -> None:
    """Though nothing else be wrong with it: MEAD of two speakers is no MEAD."""
    facts, rows = corpus_facts()[name], listings[name].rows
    said = completeness(Listing(rows), facts)
    n_speakers = len({row.speaker for row in rows})
    assert (
        facts.clips is None
        or f"{len(rows)} of {facts.clips} published clips ({facts.clips - len(rows)} missing" in said
    )
    if facts.speakers is not None and facts.speakers > n_speakers:
        assert f"{n_speakers} of {facts.speakers} speakers ({facts.speakers - n_speakers} missing)" in said
    assert said.endswith("; no problems") and "\n" not in said


def test_a_whole_part_of_a_corpus_is_not_called_incomplete(listings: dict[str, Listing]) -> None:
    said = completeness(
        Listing([replace(ROW, split=split) for split in ("train", "valid")], published=(2, 1)), ESD.facts
    )
    assert said == "ESD: 2 of 2 published clips, 1 of 1 speakers; no clips in the split test; no problems"
    assert "134 problems, see quarantine.jsonl" in completeness(listings["ravdess"], corpus_facts()["ravdess"])
    assert "MSP-Podcast: 99 clips, " in completeness(listings["msp_podcast"], corpus_facts()["msp_podcast"])


def test_a_text_that_cannot_be_decoded_costs_its_clip_the_text(tmp_path: Path) -> None:
    MINIATURES["jl"](tmp_path)
    next(tmp_path.rglob("male1_angry_1a_1.txt")).write_bytes(b"\x81\x8d")
    listing = corpus_class("jl")().read(tmp_path)
    assert {row.speaker for row in listing.rows if row.text is None} == {"male1"}
    assert any("male1_angry_1a_1.txt is not utf-8-sig or cp1252" in str(problem) for problem in listing.problems)


@pytest.mark.parametrize("name", CORPORA)
def test_a_spoilt_table_gives_a_listing_or_one_line(tmp_path: Path, name: str) -> None:
    MINIATURES[name](tmp_path)
    draw = random.Random(name)
    texts = [path for path in sorted(tmp_path.rglob("*")) if path.suffix in (".csv", ".txt", ".json", ".tsv", ".data")]
    for path in draw.sample(texts, min(2, len(texts))):
        whole = path.read_bytes()
        for spoilt in (
            whole[: len(whole) // 2],
            draw.randbytes(200),
            whole.replace(b",", b"\0"),
            whole.replace(b"1", b"1e999"),
            b"",
        ):
            path.write_bytes(spoilt)
            try:
                assert not any("\n" in str(problem) for problem in corpus_class(name)().read(tmp_path).problems)
            except (ValueError, FileNotFoundError) as error:
                assert "\n" not in str(error) and (path.name in str(error) or corpus_facts()[name].title in str(error))
        path.write_bytes(whole)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    put(tmp_path / "AudioWAV/1001_IEO_ANG_HI.wav")
    (tmp_path / "AudioWAV/up").symlink_to(tmp_path)
    assert len(CREMAD(target="acted").read(tmp_path).rows) == 1


def test_scales_and_votes() -> None:
    assert [scale(x, 1, 5) for x in (1, "3.0", 5, 9, "NaN", "", None, "x")] == [
        -1.0,
        0.0,
        1.0,
        1.0,
        None,
        None,
        None,
        None,
    ]
    assert soft_votes({"fru": 3}, {"fru": None, "ang": "angry"}) is None
    assert plurality({"A": 2, "B": 2}) is None and plurality({"A": 3, "B": 2}) == "A" and plurality({}) is None


def test_splits_are_functions_of_names() -> None:
    names = [f"p{k}" for k in range(50)]
    split = ranked_split(names)
    assert [list(split.values()).count(part) for part in ("test", "valid", "train")] == [5, 5, 40]
    assert ranked_split(reversed(names)) == split and set(ranked_split("ab").values()) == {"train"}
    assert {hash_split(f"{name} {k}") for name in names for k in range(9)} == {"train", "valid", "test"}
    folds = [["a"], ["b"], ["c"]]
    assert [fold_split(name, folds, 3) for name in "abc"] == ["valid", "train", "test"]
    assert [fold_split(name, folds[:2], 1) for name in "ab"] == ["test", "train"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a/b"}, "id must be letters"),
        ({"audio": "../x.wav"}, "audio must be a path below"),
        ({"audio": "/etc/passwd"}, "audio must be a path below"),
        ({"label": "joy"}, "label must be one of"),
        ({"split": "dev"}, "split must be one of"),
        ({"votes": {"happy": 0.4, "sad": 0.7}}, "votes must be shares"),
        ({"votes": {"joy": 0.4}}, "votes must be shares"),
        ({"votes": {"sad": -0.1}}, "votes must be shares"),
        ({"arousal": 1.5}, r"arousal must lie in \[-1, 1\]"),
        ({"intensity": 2.0}, "intensity must lie"),
        ({"licence": ""}, "must name its speaker, language and licence"),
    ],
)
def test_contradictions_in_a_row_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ROW, **change)


def test_unknown_corpora_are_refused_and_labels_are_ours() -> None:
    with pytest.raises(ValueError, match="corpus must be one of esd, .*; got 'esdd'"):
        corpus_class("esdd")
    assert {field.name for field in fields(SourceRow)} >= {"raw_label", "label", "intensity", "votes", "arousal"}
    assert set(LABELS) >= {"neutral", "fearful", "disgusted", "surprised"}


def test_listing_is_fast(tmp_path: Path) -> None:
    """100 clips a second and core are wanted; this machine does some thousands, so a tenth of that cannot be chance."""
    import time

    for n in range(1, 351):
        put(tmp_path / f"0011/Neutral/0011_{n:06d}.wav", tone()[:100])
    started = time.process_time()
    assert len(ESD().read(tmp_path).rows) == 350
    assert 350 / (time.process_time() - started) > 100
