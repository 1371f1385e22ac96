"""benchmarks/convert.py counts what it says it counts, and picks the same recordings every time."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotts.data.manifest import ManifestRow, write_manifest
from emotts.emotion.labels import LABELS
from emotts.emotion.spec import parse_emotion

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import convert as bench
import convert_data as data
import convert_more as more
import convert_rows as rows
import convert_store as store

SOME = data.Recordings("simulated", (), data.SIMULATED, 2, 1)


def manifest_row(
    name: str, voice: str, label: str | None, place: tuple[float, float, float], **more: object
) -> ManifestRow:
    row = ManifestRow(
        name, f"audio/{name}.flac", f"Words of {name}.", voice, "en-us", ["<sil>", "a", "<sil>"], [1, 92, 1], label,
        0.0 if label in (None, "neutral") else 1.0, *place, "test", "CC0-1.0", 94, 94 / 93.75, "features/x.safetensors",
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def crowd(folder: Path) -> Path:
    calm = [manifest_row(f"a{i}", "ada", "neutral", (0.01 * (9 - i), 0.0, 0.0)) for i in range(7)]
    felt = [
        manifest_row("sad1", "ada", "sad", (-0.27, -0.63, -0.33)),
        manifest_row("sad2", "ada", "sad", (-0.27, -0.63, -0.33)),
        manifest_row("angry1", "ada", "angry", (0.59, -0.51, 0.25)),
        manifest_row("faint", "ada", "sad", (-0.05, -0.12, -0.06), intensity=0.2),
        manifest_row("point", "ada", None, (0.9, 0.1, 0.2)),
        manifest_row("learnt", "ada", "neutral", (0.0, 0.0, 0.0), split="train"),
    ]
    write_manifest(folder / "manifest.jsonl", [*calm, *felt])
    return folder


def prompts(folder: Path, languages: tuple[str, ...]) -> Path:
    for language in languages:
        for name in data.read_prompts(data.PROMPTS):
            path = folder / "usr" / f"{language}_XX_f_Nobody" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


def test_sources_of_the_crowd_are_heldout_neutral_or_clearly_felt_and_never_told(tmp_path: Path) -> None:
    (speaker,) = data.crowd_recordings(crowd(tmp_path)).speakers
    names = {kind: [s.path.stem for s in getattr(speaker, kind)] for kind in ("told", "neutral", "emotional")}
    assert names["told"] == ["a6", "a5", "a4"]  # the calmest
    assert names["neutral"] == ["a0", "a1", "a2", "a3"]
    assert names["emotional"] == ["sad1", "angry1", "sad2"]  # every label before one comes again
    assert speaker.neutral[0].text == "Words of a0." and speaker.emotional[0].label == "sad"


def test_a_quick_run_takes_the_first_of_each(tmp_path: Path) -> None:
    quick = data.crowd_recordings(crowd(tmp_path), quick=True)
    assert [s.path.stem for s in quick.speakers[0].sources] == ["a0", "sad1"]
    assert quick.labels_per_source < 11


def test_a_crowd_without_held_out_voices_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.jsonl", [manifest_row("x", "ada", "neutral", (0.0, 0.0, 0.0), split="train")])
    with pytest.raises(ValueError, match="held-out"):
        data.crowd_recordings(tmp_path)


def test_prompts_are_those_of_the_list_in_every_language(tmp_path: Path) -> None:
    found = data.prompt_recordings(prompts(tmp_path, ("en", "fr")))
    listed = data.read_prompts(data.PROMPTS)
    (english,) = found.speakers
    assert len(listed) == 43 and all(listed.values())
    assert len(english.told) == 3 and len(english.neutral) == 40
    assert [s.text for s in english.told + english.neutral] == list(listed.values())
    assert list(found.foreign) == ["fr"] and len(found.foreign["fr"].neutral) == 10
    assert found.foreign["fr"].neutral[0].text == ""


def test_a_missing_prompt_is_named(tmp_path: Path) -> None:
    (prompts(tmp_path, ("en",)) / "usr" / "en_XX_f_Nobody" / "transfer.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"transfer\.wav"):
        data.prompt_recordings(tmp_path)
    with pytest.raises(FileNotFoundError, match="apt-get"):
        data.prompt_recordings(tmp_path / "usr" / "fr")


def test_speakers_take_turns_and_every_label_is_asked_equally_often() -> None:
    def speaker(name: str, n: int) -> data.Speaker:
        return data.Speaker(name, (), tuple(data.Source(Path(f"{name}{i}"), name, "") for i in range(n)))

    some = replace(SOME, speakers=(speaker("a", 10), speaker("b", 1)))
    assert [source.path.name for _, source in some.pairs()][:4] == ["a0", "b0", "a1", "a2"]
    labels = [label for *_, label in rows.asked(some, 3)]
    counts = {label: labels.count(label) for label in rows.EMOTIONS}
    assert "neutral" not in counts and set(counts.values()) == {3}


def test_a_rise_in_word_errors_is_in_points_of_all_words() -> None:
    row = rows.word_row(SOME, "WER", [(1, 2, 10), (0, 4, 30)], 4.0)
    assert row.value.startswith("+12.5 points (2.5 % to 15.0 %") and row.is_met is False
    assert rows.word_row(SOME, "WER", [(1, 2, 10), (0, 0, 30)], 4.0).is_met is True
    assert rows.word_row(SOME, "WER", [(1, 2, 10)], None).is_met is None


def test_shares_and_means_meet_their_limits_from_the_right_side() -> None:
    assert rows.share(SOME, "x", [True, True, False, True], 0.75).is_met is True
    assert rows.share(SOME, "x", [True, True, False, False], 0.75).is_met is False
    assert (
        rows.at_least(SOME, "x", [0.9, 0.7], 0.8).is_met is True
        and rows.at_least(SOME, "x", [0.7], 0.8).is_met is False
    )
    assert (
        rows.at_most(SOME, "x", [0.1, 0.3], 0.2).is_met is True and rows.at_most(SOME, "x", [0.3], 0.2).is_met is False
    )
    each = rows.at_least(SOME, "x", [0.9, 0.7, 0.5], 0.8, by=["sad", "happy", "sad"]).numbers["each"]
    assert each == {"happy": 0.7, "sad": 0.7}
    numbers = rows.spread([1.0, 2.0, 6.0])
    assert (numbers["median"], numbers["least"], numbers["worst"], numbers["n"]) == (2.0, 1.0, 6.0, 3)


def test_a_voice_is_never_converted_to_itself() -> None:
    targets = [(store.Target(name, name, ()), None) for name in ("a", "b")]
    assert {rows.other_voice(targets, data.Speaker("a", (), ()), i)[0].name for i in range(4)} == {"b"}


def test_words_begin_and_end_where_pauses_are() -> None:
    tokens = ["<sil>", "h", "ˈaɪ", " ", "ð", "ˈɛ", "ɹ", ".", "<sil>"]
    frames = np.array(store.word_borders(tokens, [5, 3, 10, 0, 4, 6, 2, 7, 3])) * 93.75
    assert np.allclose(frames, [5, 18, 18, 30], atol=0.01)  # rounded to 0.1 ms


def test_the_strongest_label_counts_and_the_rest_is_neutral() -> None:
    assert store.main_label(parse_emotion("sad")) == "sad"
    assert store.main_label(parse_emotion("sad:0.3")) == "neutral"
    assert store.main_label(parse_emotion("sad:0.3+angry:0.5")) == "angry"


def test_ranks_count_what_is_more_probable() -> None:
    heard = store.Heard({name: float(i) for i, name in enumerate(LABELS)}, (0.1, 0.2, 0.3))
    assert heard.rank(LABELS[-1]) == 0 and heard.rank(LABELS[-3]) == 2


def test_a_store_computes_once_and_survives_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "measures.jsonl"
    assert store.Store(path).keep("a", lambda: 1) == 1
    with path.open("a") as file:
        file.write('{"key": "b", "val')
    again = store.Store(path)
    assert again.keep("a", lambda: 2) == 1 and again.keep("b", lambda: 3) == 3
    assert store.Store(path).keep("a", lambda: 2) == 1


def test_a_mel_is_its_gain_away_from_itself() -> None:
    sound = np.random.default_rng(0).normal(0.0, 0.1, 24_000).astype(np.float32)
    assert store.mel_distance_db(sound, sound) == 0.0
    assert store.mel_distance_db(sound, 0.5 * sound) == pytest.approx(20.0 * np.log10(2.0), abs=1e-3)


def test_spoken_seconds_leave_out_silence_at_the_ends() -> None:
    sound = np.zeros(24_000, np.float32)
    sound[256 * 20 : 256 * 50] = 0.5
    assert more.spoken_s(store.Clip(sound)) == pytest.approx(30 / 93.75)


def test_wishes_are_checked_and_parts_can_run_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.parse(["--parts", "copy,speed"]).parts == ["copy", "speed"]
    with pytest.raises(SystemExit):
        bench.parse(["--parts", "copy,beauty"])
    assert "beauty" in capsys.readouterr().err
    assert "languages" not in more.of_set(list(more.PARTS), SOME)


def test_the_table_keeps_rows_of_parts_that_did_not_run(tmp_path: Path) -> None:
    def part(value: str) -> list[dict]:
        return [{"measure": "m", "target": "-", "value": value, "is_met": None, "numbers": {}}]

    path = tmp_path / "convert.json"
    assert bench.load(path) == {"rows": {}, "runs": {}}
    bench.save(path, {"rows": {"copy": {"human": part("2"), "simulated": part("1")}, "emotion": {"human": part("0")}}})
    assert [row.value for row in bench.table_rows(json.loads(path.read_text()))] == ["0", "1", "2"]


class Silent:
    """A bench whose conversions give the source back, so that rows can be counted."""

    def load(self, source: data.Source) -> store.Clip:
        return store.Clip(np.full(2_560, 0.1 * (1 + len(source.path.stem)), np.float32))

    copy = still = load

    def convert(self, source: data.Source, target: object = None, **options: object) -> store.Clip:
        return self.load(source)

    def is_taken_for_neutral(self, source: data.Source) -> bool:
        return False

    def told(self, speaker: data.Speaker) -> tuple[store.Clip, ...]:
        return ()

    def borders(self, clip: store.Clip, text: str) -> list[float]:
        return [0.1, 0.2]

    def word_change(self, source: data.Source, after: store.Clip) -> tuple[int, int, int]:
        return 0, 1, 4

    def likeness(self, clip: store.Clip, others: object) -> float:
        return 0.9

    def quality(self, clip: store.Clip) -> float:
        return 3.0

    def hear(self, clip: store.Clip, told: object) -> store.Heard:
        return store.Heard({name: float(name == "sad") for name in LABELS}, (0.0, 0.0, 0.0))


def test_rows_of_a_conversion_that_does_nothing_miss_what_should_move(tmp_path: Path) -> None:
    speaker = data.Speaker("a", (), tuple(data.Source(tmp_path / f"{i}", "a", "words") for i in range(3)))
    some = replace(SOME, speakers=(speaker,), labels_per_source=11)
    idle = Silent()
    found = {row.measure.split(": ")[1]: row for row in rows.emotion(idle, some)}  # type: ignore[arg-type]
    assert found["WER rise over the source, simulated"].is_met is False  # 25 points
    assert found["speaker similarity to the source, simulated"].is_met is True
    assert found["a neutral source is taken for neutral, simulated"].numbers["percent"] == 0.0
    assert found["asked label is heard first of 12, simulated"].numbers["percent"] == pytest.approx(100 / 11)
    assert found["heard arousal moves the asked way, simulated"].numbers["percent"] == 0.0
    assert found["DNSMOS loss against strength 0, simulated"].is_met is True
    order, *_ = rows.strength(idle, some)  # type: ignore[arg-type]
    assert order.numbers["percent"] == 0.0 and order.is_met is False  # equal is not in order
    assert all(row.is_met in (True, None) for row in rows.timing(idle, some))  # type: ignore[arg-type]


def test_a_language_is_found_below_any_folder(tmp_path: Path) -> None:
    place = tmp_path / "usr" / "share" / "asterisk" / "sounds" / "it_IT_m_Carlo"
    place.mkdir(parents=True)
    assert data.sounds_folder(tmp_path, "it") == place and data.sounds_folder(tmp_path, "ru") is None
