"""The comparison with published lists sees what a loader leaves out, names otherwise or puts into another fold."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import published_lists  # noqa: E402

FOLDER = "audio/Audio_Speech_Actors_01-24"


def entry(actor: int, emotion: str = "01", word: str = "Neutral") -> dict[str, str]:
    name = f"03-01-{emotion}-01-01-01-{actor:02d}"
    return {"key": name, "wav": f"downloads/ravdess/{FOLDER}/Actor_{actor:02d}/{name}.wav", "emo": word}


def compared(
    lists: Path, monkeypatch: pytest.MonkeyPatch, all_rows: list[dict[str, str]], tested: list[int]
) -> dict[str, bool]:
    folder = lists / "EmoBox" / "data" / "ravdess"
    (folder / "fold_1").mkdir(parents=True)
    rows = {"ravdess": all_rows, "fold_1/ravdess_test_fold_1": [entry(actor) for actor in tested]}
    for name, entries in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
    monkeypatch.setattr(sys, "argv", ["x", "--lists", str(lists), "--output", str(lists / "told")])
    published_lists.main()
    told = json.loads((lists / "told.json").read_text())
    left_out = told["run"]["measured"]["left_out"]
    assert [each for each in left_out if each.startswith("ravdess")] == [
        f"ravdess: fold {k} has no list" for k in range(2, 7)
    ]
    assert {each.split(":")[0] for each in left_out} == set(published_lists.BUILDERS)
    return {row["measure"].removeprefix("ravdess: "): row["is_met"] for row in told["rows"]}


ACTORS = [entry(actor) for actor in range(1, 25)]
FIRST_FOLD = [1, 11, 20, 21]  # the actors that test in EmoBox


def test_lists_that_agree_are_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = compared(tmp_path, monkeypatch, ACTORS, FIRST_FOLD)
    assert told == {"recordings": True, "labels": True, "test of fold 1": True}


def test_what_differs_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {"key": "x", "wav": f"downloads/ravdess/{FOLDER}/Actor_01/03-01-09-01-01-01-01.wav", "emo": "Neutral"}
    spoilt = [*ACTORS[:-1], entry(24, "05", "Happy"), unknown]
    told = compared(tmp_path, monkeypatch, spoilt, FIRST_FOLD[1:])
    assert told == {"recordings": False, "labels": False, "test of fold 1": False}


def test_no_list_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--lists", str(tmp_path), "--output", str(tmp_path / "told")])
    with pytest.raises(SystemExit, match="no list was found"):
        published_lists.main()
    assert not (tmp_path / "told.json").exists()
