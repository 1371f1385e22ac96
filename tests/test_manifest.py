"""The manifest: what is written is read, what is wrong is refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from emotts.data.manifest import ManifestRow, parse_row, read_manifest, write_manifest

ROW = ManifestRow(
    id="heart-000-0a",
    audio="audio/heart-0000/heart-000-0a.flac",
    text="Hi “you”.",
    voice="heart",
    language="en-us",
    phonemes=["<sil>", "h", "ˈaɪ", ".", "<sil>"],
    durations=[5, 6, 20, 0, 4],
    label="happy",
    intensity=0.8,
    arousal=0.4,
    valence=None,
    dominance=-0.1,
    split="train",
    licence="Apache-2.0",
    n_frames=35,
    duration_s=0.3733,
    features="features/heart-0000.safetensors",
)


def test_round_trip_keeps_every_field(tmp_path: Path) -> None:
    rows = [ROW, dataclasses.replace(ROW, id="b", label=None, intensity=0.0)]
    write_manifest(tmp_path / "manifest.jsonl", rows)
    assert read_manifest(tmp_path / "manifest.jsonl") == rows
    assert len((tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.jsonl", [ROW])
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "split must be one of train, valid, test; got 'dev'"),
        ({"label": "joyful"}, "label must be null or one of"),
        ({"durations": [5, 6, 20, 4]}, "5 phonemes but 4 durations"),
        ({"durations": [5, 6, 20, 1, 4]}, "add up to n_frames = 35; got 36"),
        ({"durations": [5, 6, 20, -1, 5]}, "durations must be >= 0"),
        ({"duration_s": 1.0}, "does not fit n_frames"),
        ({"intensity": 2.0}, r"intensity must lie in \[0, 1.5\]"),
        ({"arousal": 1.2}, "arousal must be null or lie in"),
        ({"audio": "/etc/passwd"}, "below the manifest's folder"),
        ({"features": "../x.safetensors"}, "below the manifest's folder"),
    ],
)
def test_contradictions_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ROW, **change)


def test_errors_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(ROW.to_json() + "\n{not json}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: a manifest line must be a JSON object"):
        read_manifest(path)


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [ROW, ROW])
    with pytest.raises(ValueError, match="line 2: id 'heart-000-0a' appears twice"):
        read_manifest(tmp_path / "m.jsonl")


def test_missing_and_unknown_keys_are_named() -> None:
    values = json.loads(ROW.to_json())
    values["speaker"] = values.pop("voice")
    with pytest.raises(ValueError, match=r"missing keys \['voice'\], unknown keys \['speaker'\]"):
        parse_row(json.dumps(values))


def test_missing_manifest_tells_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="simulate_corpus"):
        read_manifest(tmp_path / "manifest.jsonl")


@pytest.mark.parametrize(
    ("changes", "is_clear"),
    [
        ({"label": "neutral", "intensity": 0.0}, True),
        ({"label": "sad", "intensity": 0.8, "arousal": -0.2, "valence": -0.5, "dominance": -0.3}, True),
        ({"label": "sad", "intensity": 0.5, "arousal": -0.2, "valence": -0.3, "dominance": -0.2}, False),
        ({"label": "sad", "intensity": 0.8, "arousal": -0.2, "valence": 0.6, "dominance": -0.3}, False),
        ({"label": None, "intensity": 0.0}, False),
        ({"label": "sad", "intensity": 1.0, "arousal": None, "valence": None, "dominance": None}, True),
    ],
)
def test_a_row_is_clear_where_one_label_says_it(changes: dict, is_clear: bool) -> None:
    plain = {"arousal": 0.0, "valence": 0.0, "dominance": 0.0}
    assert dataclasses.replace(ROW, **plain | changes).is_clear(0.7) is is_clear


def test_a_mixture_is_known_labels_without_one_of_them() -> None:
    row = dataclasses.replace(ROW, label=None, intensity=0.0, mixture={"happy": 0.6, "sad": 0.4})
    assert parse_row(row.to_json()) == row and not row.is_clear(0.0)
    with pytest.raises(ValueError, match="label must be null beside a mixture"):
        dataclasses.replace(row, label="happy")
    with pytest.raises(ValueError, match="mixture must give labels weights"):
        dataclasses.replace(row, mixture={"glad": 0.6})
