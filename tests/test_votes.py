"""Votes of raters become soft labels: what no label of ours names makes nothing certain, and how strong it was is told."""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from miniatures import MINIATURES, put

from emotts.data.alignment import Alignment
from emotts.data.corpora.cremad import CREMAD, LETTERS
from emotts.data.corpora.emotiontalk import EmotionTalk
from emotts.data.corpora.iemocap import IEMOCAP
from emotts.data.corpora.msp_improv import MSPImprov
from emotts.data.corpora.msp_podcast import MSPPodcast
from emotts.data.corpora.ratings import soft_votes
from emotts.data.corpora.rows import Corpus, SourceRow
from emotts.data.corpora.thaiser import THAISER
from emotts.data.manifest import ManifestRow, emotion_of
from emotts.data.prepare import Job, Shard, check_shards
from emotts.data.prepare_clip import Settings, _manifest_row

TABLE = {"Anger": "angry", "Neutral": "neutral", "Sadness": "sad", "Frustration": None, "Other": None}


def in_manifest(row: SourceRow, settings: Settings | None = None) -> ManifestRow:
    """The line of the manifest without a clip."""
    alignment = Alignment([40, 40], "none")
    return _manifest_row(row, settings or Settings(), ["<sil>", "<sil>"], alignment, 80 * 256, "s", None)


def test_votes_that_no_label_names_make_no_other_one_certain() -> None:
    for counts in ({"Frustration": 2, "Anger": 1}, {"Other": 4, "Anger": 1}, {"Other": 1, "Anger": 1}, {"Other": 2}):
        assert soft_votes(counts, TABLE) is None
    spread = {"Other": 2, "Anger": 1, "Neutral": 1, "Sadness": 1}  # under half, yet more than any
    assert soft_votes(spread, TABLE) is None and soft_votes({}, TABLE) is None


def test_words_that_no_label_names_do_not_join_forces() -> None:
    """Frustration and something else are two opinions, each of fewer raters than the strongest label."""
    votes = soft_votes({"Neutral": 1.5, "Frustration": 1.0, "Other": 0.5}, TABLE)
    assert votes is not None and votes["neutral"] == pytest.approx((1.5 + 0.06) / (3 + 3 * 0.06), abs=1e-6)
    assert sum(votes.values()) == pytest.approx(1.0 - 1.5 / (3 + 3 * 0.06), abs=1e-5)  # theirs is missing to one


def test_words_that_the_table_does_not_know_are_no_votes() -> None:
    known = {"Anger": 2, "Other": 1}
    assert soft_votes(known | {"Angre": 5}, TABLE) == soft_votes(known, TABLE)
    assert soft_votes({"Angre": 5}, TABLE) is None


def test_a_minority_without_a_label_keeps_its_share() -> None:
    votes = soft_votes({"Anger": 3, "Frustration": 1}, TABLE)
    assert votes is not None
    assert votes["angry"] == pytest.approx((3 + 0.08) / (4 + 3 * 0.08), abs=1e-6)
    assert sum(votes.values()) == pytest.approx(1.0 - 1 / (4 + 3 * 0.08), abs=1e-5)
    sure = soft_votes({"Anger": 4}, TABLE)
    assert sure is not None and sum(sure.values()) == pytest.approx(1.0, abs=1e-5) and sure["angry"] > votes["angry"]


def test_frustration_in_iemocap_is_not_anger(tmp_path: Path) -> None:
    MINIATURES["iemocap"](tmp_path)
    path = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    text = path.read_text()
    raters = "C-E2:\tAnger; Frustration;\t()\nC-E3:\tNeutral;\t()\n"
    fru = "\tSes01F_impro01_F004\tfru\t"
    place = text.index(fru)
    others = "C-E2:\tFrustration;\t()\nC-E3:\tFrustration;\t()\nC-E4:\tAnger;\t()\n"
    path.write_text(text[:place] + text[place:].replace(raters, others, 1))
    row = next(row for row in IEMOCAP().read(tmp_path).rows if row.id.endswith("Ses01F_impro01_F004"))
    assert (row.raw_label, row.label, row.votes) == ("fru", None, None)


def test_the_consensus_of_iemocap_stays_whatever_a_shared_vote_weighs(tmp_path: Path) -> None:
    """Three raters ticked neutral; two of them something else too, so that its shared votes are half of all."""
    MINIATURES["iemocap"](tmp_path)
    path = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    head, raters = "\tSes01F_impro01_F000\tang\t", "C-E2:\tAnger; Frustration;\t()\nC-E3:\tNeutral;\t()\n"
    told = {
        "C-E2:\tNeutral; Frustration;\t()\nC-E3:\tNeutral; Frustration;\t()\nC-E4:\tNeutral; Other;\t()\n": True,
        "C-E2:\tNeutral; Frustration;\t()\nC-E3:\tNeutral; Sadness;\t()\nC-E4:\tFrustration;\t()\n": False,
    }
    whole = path.read_text()
    for lines, is_soft in told.items():
        before, _, after = whole.partition(head)
        path.write_text(before + head.replace("ang", "neu") + after.replace(raters, lines, 1))
        row = next(row for row in IEMOCAP().read(tmp_path).rows if row.id.endswith("Ses01F_impro01_F000"))
        assert (row.raw_label, row.label, row.votes is not None) == ("neu", "neutral", is_soft)


@pytest.mark.parametrize(
    ("name", "corpus", "file", "right", "wrong", "word"),
    [
        (
            "iemocap",
            IEMOCAP,
            "EmoEvaluation/Ses01F_impro01.txt",
            "C-E2:\tAnger; Frustration",
            "C-E2:\tAnger; Angre",
            "Angre",
        ),
        ("emotiontalk", EmotionTalk, "G00009_42_14_000.json", '"angry", "neutral"', '"生气", "生气"', "生气"),
        ("msp_podcast", MSPPodcast, "labels_detailed.csv", "Angry", "Enraged", "Enraged"),
        ("msp_improv", MSPImprov, "Evalution.txt", "ee-1; Neutral", "ee-1; Qeutral", "Q"),
        ("thaiser", THAISER, "emotion_label.json", '"Angry"', '"Anrgy"', "Anrgy"),
    ],
)
def test_a_word_that_no_table_knows_is_named_once_and_costs_no_label(
    tmp_path: Path, name: str, corpus: type[Corpus], file: str, right: str, wrong: str, word: str
) -> None:
    MINIATURES[name](tmp_path)
    before = corpus().read(tmp_path)
    (path,) = (path for path in tmp_path.rglob(file) if "audio" in path.parts or name != "emotiontalk")
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False) if file.endswith("json") else path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    listing = corpus().read(tmp_path)
    new = [str(problem) for problem in listing.problems if problem not in before.problems]
    assert len(new) == 1 and f"has a vote for {word!r}, a word that is not counted" in new[0]
    assert len(listing.rows) == len(before.rows) and any(row.votes for row in listing.rows)
    for row, was in zip(listing.rows, before.rows, strict=True):
        assert row.label == was.label or name == "thaiser"  # its label is made of the votes


def test_a_label_line_that_is_spoilt_gives_its_votes_to_nobody(tmp_path: Path) -> None:
    MINIATURES["iemocap"](tmp_path)
    path = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    before = {row.id: row for row in IEMOCAP().read(tmp_path).rows}
    text = path.read_text()
    place = text.index("[7.2901 ")
    spoilt = re.sub(r"^[^\n]*", "spoilt", text[place:]).replace("C-E3:\tNeutral", "C-E3:\tSadness", 1)
    path.write_text(text[:place] + spoilt)
    rows = {row.id: row for row in IEMOCAP().read(tmp_path).rows}
    assert set(before) - set(rows) == {"iemocap-Ses01F_impro01_M007"}
    assert rows["iemocap-Ses01F_impro01_F006"].votes == before["iemocap-Ses01F_impro01_F006"].votes


def test_the_frustrated_of_thaiser_and_other_of_msp_have_no_label(tmp_path: Path) -> None:
    MINIATURES["thaiser"](tmp_path / "thai")
    path = tmp_path / "thai/emotion_label.json"
    labels = json.loads(path.read_text())
    labels["s001_con_actor001_script1_1_2a.wav"] = [{"annotated": [["Frustrated"]] * 3 + [["Angry"]]}]
    path.write_text(json.dumps(labels))
    thai = next(row for row in THAISER().read(tmp_path / "thai").rows if "s001" in row.id)
    assert (thai.raw_label, thai.label, thai.votes) == ("Frustrated", None, None)

    MINIATURES["msp_podcast"](tmp_path / "pod")  # of every fifth clip three raters heard something else, two nothing
    others = [row for row in MSPPodcast().read(tmp_path / "pod").rows if row.raw_label == "O"]
    assert len(others) > 15 and all(row.label is None and row.votes is None for row in others)

    MINIATURES["msp_improv"](tmp_path / "improv")
    path = tmp_path / "improv/Evalution.txt"
    path.write_text(path.read_text().replace("ee-1; Neutral; Frustrated;", "ee-1; Other,Disgust; ;"))
    improv = MSPImprov().read(tmp_path / "improv").rows  # one rater something else, one anger
    assert all(row.votes is None for row in improv)
    assert {row.raw_label: row.label for row in improv} == {
        "A": "angry",
        "S": "sad",
        "H": "happy",
    }  # what most agreed on


def test_weak_and_strong_anger_of_cremad_differ(tmp_path: Path) -> None:
    MINIATURES["cremad"](tmp_path)
    path = tmp_path / "processedResults/tabulatedVotes.csv"
    lines = path.read_text().split("\n")  # the same votes for both
    path.write_text("\n".join(re.sub(r"^(100002),3,0,0,0,3,0", r"\1,8,1,0,0,1,0", line) for line in lines))
    rows = {row.id.removeprefix("cremad-"): row for row in CREMAD().read(tmp_path).rows}
    low, high = in_manifest(rows["1001_IEO_ANG_LO"]), in_manifest(rows["1001_IEO_ANG_HI"])
    assert low.mixture is not None and high.mixture is not None
    share = (8 + 0.2) / (10 + 6 * 0.2)
    assert high.mixture["angry"] == pytest.approx(share, abs=1e-5)
    assert low.mixture["angry"] == pytest.approx(0.33 * share, abs=1e-5)
    assert emotion_of(low) == emotion_of(high) == "angry" and (low.intensity, high.intensity) == (0.33, 1.0)

    sad = rows["1002_TSI_SAD_XX"]  # no acted level: 75 of 100 by the raters who heard sadness
    assert sad.intensity == 0.75
    happy = rows["1006_ITS_HAP_XX"]  # nobody heard joy, and neutral has no strength
    assert happy.intensity is None
    told = in_manifest(happy, Settings(unknown_intensity=0.5)).mixture
    assert told is not None and told["angry"] == pytest.approx(0.5 * 0.18 / (9 + 6 * 0.18), abs=1e-5)


def test_a_tie_of_weak_votes_stays_a_tie(tmp_path: Path) -> None:
    MINIATURES["cremad"](tmp_path)
    tie = next(row for row in CREMAD().read(tmp_path).rows if row.id == "cremad-1001_IEO_ANG_LO")
    assert emotion_of(in_manifest(tie)) == "mixed"


@pytest.mark.parametrize("name", ["1076_MTI_NEU_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"])
def test_clips_that_were_broken_when_they_were_rated_lose_their_votes(tmp_path: Path, name: str) -> None:
    MINIATURES["cremad"](tmp_path)
    put(tmp_path / f"AudioWAV/{name}.wav")
    path = tmp_path / "processedResults/tabulatedVotes.csv"
    if name not in path.read_text():
        path.write_text(path.read_text() + f"100099,0,0,9,0,0,0,{name},9,1.0,F,75,-1,-1,75,-1,-1,-1\n")
    found = {}
    for target in ("voice_votes", "voice_majority", "acted_agreed"):
        found[target] = next(row for row in CREMAD(target=target).read(tmp_path).rows if row.id == f"cremad-{name}")
    acted = {"NEU": "neutral", "SAD": "sad", "DIS": "disgusted"}[name[9:12]]
    assert found["voice_votes"].votes is None and found["voice_votes"].label == acted
    assert found["voice_majority"].label is None
    assert found["acted_agreed"] == found["voice_votes"]


def test_the_acted_emotion_can_be_weighted_by_those_who_heard_it(tmp_path: Path) -> None:
    MINIATURES["cremad"](tmp_path)
    rows = {row.id.removeprefix("cremad-"): row for row in CREMAD(target="acted_agreed").read(tmp_path).rows}
    assert rows["1001_IEO_ANG_HI"].votes == {"angry": 0.8} and rows["1001_IEO_ANG_LO"].votes == {"angry": 0.5}
    low = in_manifest(rows["1001_IEO_ANG_LO"])
    assert low.mixture == {"angry": pytest.approx(0.165)}
    unheard = rows["1006_ITS_HAP_XX"]  # all nine heard neutral
    assert (unheard.raw_label, unheard.label, unheard.votes) == ("HAP", None, None)
    assert set(LETTERS.values()) >= {"angry"}


def test_a_row_with_votes_and_one_without_say_how_strong() -> None:
    row = SourceRow("a", "a.wav", "own", "x", "en-us", "CC0-1.0", "train", votes={"angry": 0.6, "neutral": 0.2})
    told = in_manifest(row)
    assert told.label is None and told.mixture == {"angry": 0.6} and told.intensity == 1.0
    assert emotion_of(told) == "angry"
    assert in_manifest(SourceRow("a", "a.wav", "own", "x", "en-us", "CC0-1.0", "train")).intensity == 0.0


@pytest.mark.parametrize(("votes", "is_refused"), [({"angry": 0.6}, True), (None, False)])
def test_a_preparation_of_votes_that_older_code_began_is_refused(
    tmp_path: Path, votes: dict[str, float] | None, is_refused: bool
) -> None:
    """What was made of votes has changed; of all else nothing has, and hours of preparation stay good."""
    row = SourceRow("a", "a.wav", "own", "x", "en-us", "CC0-1.0", "train", label="angry", votes=votes)
    job, shard = Job(tmp_path, tmp_path / "out", Settings()), Shard("own-00000", (row,), (0.0,))
    older = [[row.to_json()], [0.0], asdict(Settings()), None]  # as versions before it wrote it
    fingerprint = hashlib.sha256(json.dumps(older).encode()).hexdigest()
    put(tmp_path / "out/shards/own-00000.json", json.dumps({"fingerprint": fingerprint}))
    if is_refused:
        with pytest.raises(ValueError, match="or by an older version; choose another output folder"):
            check_shards(job, [shard])
    else:
        check_shards(job, [shard])
