"""Votes of raters become soft labels: what no label of ours names makes nothing certain, and how strong it was is told."""

import json
import re
from pathlib import Path

import pytest
from miniatures import MINIATURES, put

from emotts.data.alignment import Alignment
from emotts.data.corpora.cremad import CREMAD, LETTERS
from emotts.data.corpora.iemocap import IEMOCAP
from emotts.data.corpora.msp_improv import MSPImprov
from emotts.data.corpora.msp_podcast import MSPPodcast
from emotts.data.corpora.ratings import label_heard, soft_votes
from emotts.data.corpora.rows import SourceRow
from emotts.data.corpora.thaiser import THAISER
from emotts.data.manifest import ManifestRow, emotion_of
from emotts.data.prepare_clip import Settings, _manifest_row

TABLE = {"Anger": "angry", "Neutral": "neutral", "Sadness": "sad", "Frustration": None, "Other": None}


def in_manifest(row: SourceRow, settings: Settings | None = None) -> ManifestRow:
    """The line of the manifest without a clip."""
    alignment = Alignment([40, 40], "none")
    return _manifest_row(row, settings or Settings(), ["<sil>", "<sil>"], alignment, 80 * 256, "s", None)


def test_votes_that_no_label_names_make_no_other_one_certain() -> None:
    for counts in ({"Frustration": 2, "Anger": 1}, {"Other": 4, "Anger": 1}, {"Other": 1, "Anger": 1}, {"Other": 2}):
        assert soft_votes(counts, TABLE) is None and label_heard("angry", counts, TABLE) is None
    spread = {"Other": 2, "Anger": 1, "Neutral": 1, "Sadness": 1}  # under half, yet more than any
    assert soft_votes(spread, TABLE) is None
    assert label_heard("angry", {"Anger": 2, "Other": 1}, TABLE) == "angry" and label_heard(None, {}, TABLE) is None


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
    assert all(row.votes is None and row.label is None for row in improv)


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
