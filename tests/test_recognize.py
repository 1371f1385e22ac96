"""`emotts recognize`: table, JSON and plot, folders and globs, and every kind of bad file in one line and in bounded memory."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_voice import speech

from emotts import recordings as reading
from emotts.audio import SPEC
from emotts.cli import _explain, _Parser
from emotts.cli.recognize import add_parser, recognize
from emotts.emotion.heard import Heard
from emotts.emotion.labels import LABELS
from emotts.metrics import features_judge
from emotts.metrics.features_judge import FeaturesJudge, View, view_names
from emotts.metrics.forest import Forest
from emotts.metrics.functionals import clip_functionals
from emotts.recognition import join_heard

RATE = SPEC.sample_rate
Run = Callable[..., int]


@pytest.fixture(scope="module")
def judge_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge whose arousal is a tenth of the standardised tilt and whose label is mostly happy."""
    names = list(clip_functionals(speech(0.6), RATE))
    leaf = np.full((1, len(LABELS)), 0.01, np.float32)
    leaf[0, LABELS.index("happy")] = 0.89
    views = {}
    for name in features_judge.VIEWS:
        wanted = view_names(names, name)
        weights = np.zeros((3, len(wanted)))
        weights[0] = [0.2 if "tilt_db_per_oct" in feature else 0.0 for feature in wanted]
        forests = [
            Forest(np.array([0]), np.array([-1]), np.zeros(1, np.float32), np.array([0]), values)
            for values in (np.zeros((1, 3), np.float32), leaf)
        ]
        views[name] = View(
            wanted, *np.zeros((2, len(wanted))), np.ones(len(wanted)), weights, np.array([0.5, 0.4, 0.2]), *forests,
            np.tile([1.0, 0.0], (3, 1)), np.full((2, 3), 0.1), 1.0,
        )  # fmt: skip
    folder = tmp_path_factory.mktemp("judge")
    features_judge.save(FeaturesJudge(views, 0.3, {}), folder)
    return folder


@pytest.fixture
def run(judge_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command as the command line does, in an empty folder; return its exit code."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> int:
        parser = _Parser(prog="emotts")
        add_parser(parser.add_subparsers(parser_class=_Parser))
        parsed = parser.parse_args(["recognize", *arguments, "--judge", "features", "--checkpoint", str(judge_folder)])
        try:
            return recognize(parsed)
        except Exception as error:
            return _explain(error)

    return command


def write(name: str, wave: np.ndarray | None = None, rate: int = RATE, **options: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech(1.6) if wave is None else wave, rate, **options)
    return path


def heard(label: str = "happy", start_s: float = 0.0, arousal: float = 0.5) -> Heard:
    labels = {name: (1.0 if name == label else 0.0) for name in LABELS}
    return Heard(start_s, start_s + 1.0, labels, (arousal, 0.0, 0.0), (0.1, 0.1, 0.1), np.eye(4)[0], False)


# What it prints


def test_one_recording_is_a_table_of_facts(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write("a.wav")
    assert run("a.wav") == 0
    out, err = capsys.readouterr()
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    assert rows["label"].split()[0] == "happy"
    assert rows["duration"].strip() == "1.60 s"
    assert {
        "arousal",
        "valence",
        "dominance",
        "F0, median",
        "spectral tilt",
        "harmonics to noise",
        "jitter",
    } <= rows.keys()
    assert rows["valence"].strip()[:5] in ("+0.19", "+0.20")  # a little less where a feature cannot be measured
    assert float(rows["F0, median"].split()[0]) == pytest.approx(150.0, rel=0.15)
    assert err == ""


def test_json_is_one_line_with_voice_and_windows(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write("a.wav")
    assert run("a.wav", "--json", "--windows") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == "a.wav" and facts["judge"] == "features" and facts["label"] == "happy"
    assert sum(facts["labels"].values()) == pytest.approx(1.0, abs=1e-3)
    assert facts["voice"]["f0_hz"] > 0 and {"alpha_ratio_db", "jitter_pct", "pause_share"} <= facts["voice"].keys()
    assert [w["start_s"] for w in facts["windows"]] == [0.0, 0.5, 1.0]
    assert facts["windows"][-1]["end_s"] == pytest.approx(1.6)

    assert run("a.wav", "--json") == 0
    assert "windows" not in json.loads(capsys.readouterr().out)


def test_several_are_rows_under_headings(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write("b.wav")
    write("a.flac")
    assert run("b.wav", "a.flac") == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[:5] == ["label", "p", "arousal", "valence", "dominance"] and heading.endswith("file")
    assert [row.split()[-1] for row in rows] == ["b.wav", "a.flac"]
    assert len({len(row) - len(row.split()[-1]) for row in [heading, *rows]}) == 1  # columns stand under each other

    assert run("b.wav", "a.flac", "--windows") == 0
    assert sum(" to " in line for line in capsys.readouterr().out.splitlines()) == 6


def test_a_plot_is_drawn_and_not_overwritten(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    write("a.wav", np.concatenate([speech(1.0), np.zeros(RATE, np.float32), speech(1.0)]))
    assert run("a.wav", "--plot", "a.png") == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG") and sorted(map(str, Path().iterdir())) == [
        "a.png",
        "a.wav",
    ]
    for arguments, message in (
        (["a.wav", "--plot", "a.png"], "plot 'a.png' exists"),
        (["a.wav", "--plot", "a.jpg"], "plot must end in .png"),
        (["a.wav", "a.wav", ".", "--plot", "b.png"], "--plot draws one recording"),
    ):
        capsys.readouterr()
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err


def test_a_reference_is_heard_against(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    bright = write("bright.wav", np.gradient(speech(1.6)) * 5.0)
    for name in ("a.wav", "b.wav"):
        write(name)
    answers = []
    for arguments in (["--reference", "b.wav"], ["--reference", "b.wav", "--reference", str(bright)], []):
        assert run("a.wav", "--json", *arguments) == 0
        answers.append(json.loads(capsys.readouterr().out)["arousal"])
    assert answers[0] == pytest.approx(0.25, abs=0.02)  # half the bias: a copy of itself changes no tilt
    assert answers[1] < answers[0] - 0.1 and answers[2] != answers[0]
    assert run("a.wav", "--reference", "none.wav") == 2
    assert "'none.wav' does not exist" in capsys.readouterr().err


# Folders and globs


def test_a_folder_is_searched_and_bad_files_do_not_stop_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write("in/good.wav")
    write("in/deep/also.flac")
    write("in/silent.wav", np.zeros(RATE))
    Path("in/words.mp3").write_text("no sound at all")
    Path("in/notes.txt").write_text("not looked at")
    assert run("in", "--json") == 1
    out, err = capsys.readouterr()
    assert sorted(json.loads(line)["path"] for line in out.splitlines()) == ["in/deep/also.flac", "in/good.wav"]
    first, second, summary = err.splitlines()
    assert "in/silent.wav" in first and "silent" in first
    assert "in/words.mp3" in second and "not audio" in second
    assert summary == "emotts: 2 of 4 recordings failed: in/silent.wav, in/words.mp3"


def test_globs_match_and_a_file_is_judged_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("x1.wav", "x2.wav", "y.wav"):
        write(name)
    assert run("x*.wav", "x1.wav", "--json") == 0
    assert [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()] == ["x1.wav", "x2.wav"]
    assert run(str(Path().resolve() / "**" / "y.*"), "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_missing_file_among_others_fails_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write("a.wav")
    assert run("none.wav", "a.wav") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].endswith("a.wav") and "does not exist" in err


def test_progress_shows_on_a_terminal_only(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("in/a.wav")
    write("in/b.wav")
    assert run("in") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run("in") == 0
    err = capsys.readouterr().err
    assert "0 of 2  a.wav" in err and "[##########          ] 1 of 2" in err and err.endswith("\r\x1b[K")


# Bad and strange input

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "missing": (lambda: None, "does not exist"),
    "not audio": (lambda: Path("a.wav").write_bytes(b"RIFF" + bytes(2_000)), "not audio that libsndfile can read"),
    "empty": (lambda: Path("a.wav").touch(), "not audio that libsndfile can read"),
    "no samples": (lambda: write("a.wav", np.zeros(0)), "holds no samples"),
    "silence": (lambda: write("a.wav", np.zeros(RATE)), "silent"),
    "50 ms": (lambda: write("a.wav", speech(0.05)), "needs at least 0.2 s"),
    "nan": (lambda: write("a.wav", np.array([0.1, np.nan] * RATE), subtype="FLOAT"), "not finite"),
    "another scale": (lambda: write("a.wav", 20_000 * speech(1.0), subtype="FLOAT"), "must lie in [-1, 1]"),
    "a slow rate": (lambda: write("a.wav", speech(1.0), 100), "sample rate of 100 Hz"),
    "seven hours": (
        lambda: write("a.flac", np.zeros(7 * 3_600 * 2_000, np.int16), 2_000),
        "lasts 7.0 hours; at most 6",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_bad_file_is_one_line_and_exit_code_2(kind: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    prepare, message = MISTAKES[kind]
    prepare()
    names = [str(path) for path in Path().iterdir()]
    assert run(*(names or ["a.wav"])) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


@pytest.mark.parametrize(
    ("inputs", "message"),
    [(["."], "holds no audio file"), (["*.wav"], "finds no audio file"), (["a\0.wav"], "must be a file")],
)
def test_inputs_that_name_nothing_are_a_mistake(
    inputs: list[str], message: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*inputs) == 2
    assert message in capsys.readouterr().err


def test_a_truncated_file_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write("whole.flac", np.random.default_rng(0).normal(size=4 * RATE) * 0.1).read_bytes()
    Path("half.flac").write_bytes(whole[: len(whole) // 2])
    assert run("half.flac") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and ("truncated" in err or "not audio" in err)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW"])
def test_channels_and_sample_formats_are_heard(subtype: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    wave = speech(1.6)[::3]
    write("a.wav", np.stack([wave, 0.5 * wave], axis=1), RATE // 3, subtype=subtype)
    assert run("a.wav", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["duration_s"] == pytest.approx(1.6, abs=0.01)
    assert facts["voice"]["f0_hz"] == pytest.approx(150.0, rel=0.15)


def test_music_is_heard_without_a_fault(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    t = np.arange(2 * RATE) / RATE
    write("chord.wav", 0.1 * sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6, 1_318.5)))
    assert run("chord.wav", "--json") == 0
    assert json.loads(capsys.readouterr().out)["duration_s"] == 2.0


def test_more_hours_than_the_limit_are_refused_by_header_and_while_reading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(str(tmp_path / "a.flac"), np.zeros(8_000 * 100, np.int16), 8_000)
    monkeypatch.setattr(reading, "MAX_HOURS", 60.0 / 3_600)
    with pytest.raises(ValueError, match=r"lasts 0\.0 hours; at most"):
        list(reading.read_pieces(path, RATE, 30.0))
    monkeypatch.setattr(reading, "UNKNOWN_LENGTH", 1)  # a stream whose header does not tell
    with pytest.raises(ValueError, match="goes on after"):
        list(reading.read_pieces(path, RATE, 30.0))


def test_memory_is_that_of_one_piece_however_much_a_file_unpacks_to(tmp_path: Path) -> None:
    minutes, rate = 12, 16_000
    path = write(str(tmp_path / "a.flac"), np.zeros((minutes * 60 * rate, 2), np.int16), rate)
    assert path.stat().st_size < 300_000  # 92 MB as floats of both channels, 69 MB at the rate of the judges
    tracemalloc.start()
    lengths = [len(piece) for piece in reading.read_pieces(path, RATE, 30.0)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert sum(lengths) == pytest.approx(minutes * 60 * RATE, abs=2)
    assert max(lengths) <= 33 * RATE


def test_pieces_join_to_the_recording(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).normal(size=7 * RATE).astype(np.float32) * 0.1
    path = write(str(tmp_path / "a.wav"), wave, subtype="FLOAT")
    pieces = list(reading.read_pieces(path, RATE, 2.0))
    assert [len(piece) for piece in pieces] == [2 * RATE, 2 * RATE, 3 * RATE][: len(pieces)]
    assert np.array_equal(np.concatenate(pieces), wave)


def test_a_recording_of_several_pieces_is_their_mean(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotts.recognition.PIECE_S", 2.0)
    write("a.wav", np.concatenate([speech(2.0), np.zeros(2 * RATE), speech(3.0)]))
    assert run("a.wav", "--json", "--windows") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["start_s"], facts["end_s"], facts["duration_s"]) == (0.0, 7.0, 7.0)
    starts = [window["start_s"] for window in facts["windows"]]
    assert starts == sorted(starts) and {0.0, 4.0, 6.5} <= set(starts) and not {2.5, 3.0} & set(starts)


def test_joined_answers_are_weighted_and_their_spread_grows() -> None:
    joined = join_heard([heard("happy", 0.0, 0.8), heard("sad", 1.0, -0.4)], [3.0, 1.0])
    assert joined.labels["happy"] == pytest.approx(0.75) and joined.labels["sad"] == pytest.approx(0.25)
    assert joined.avd[0] == pytest.approx(0.5)
    assert joined.avd_std[0] == pytest.approx(np.sqrt(0.1**2 + 0.75 * 0.3**2 + 0.25 * 0.9**2))
    assert (joined.start_s, joined.end_s) == (0.0, 2.0)
    assert np.linalg.norm(joined.embedding) == pytest.approx(1.0)
