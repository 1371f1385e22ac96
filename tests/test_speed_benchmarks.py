"""benchmarks/rtf.py and peers.py: they run at tiny sizes, count time once and under the right name, and hide no loss."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emotts.pipeline import FIRST_MAX_CHARS, EmoTTS
from emotts.text import text_to_segments

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import peers
import peers_child
import peers_systems
import rtf
import rtf_child
import speed_texts
import stages
import startup
from machine import describe_run, machine_line, peak_memory_mb


def no_wait() -> None:
    """What a processor has to be waited for."""


@pytest.fixture
def own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of this thread on which sleep alone takes time, as long as it is asked for."""
    now, here, real_sleep, real_clock = 0.0, threading.get_ident(), time.sleep, time.perf_counter

    def sleep(seconds: float) -> None:
        nonlocal now
        if threading.get_ident() != here:
            real_sleep(seconds)
        else:
            now += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "perf_counter", lambda: now if threading.get_ident() == here else real_clock())


def test_rtf_runs_and_writes_what_it_prints(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtf, "CPU_THREADS", (1,))  # two threads wait for each other where tests run side by side
    assert rtf.main(["--tiny", "--output", str(tmp_path), "--checkpoint", str(tiny_checkpoint)]) == 0
    table = (tmp_path / "rtf.md").read_text(encoding="utf-8")
    assert table.strip() == capsys.readouterr().out.strip()
    assert "On cuda: not measured." in table and "first audio of a long text, 1 thread" in table
    facts = json.loads((tmp_path / "rtf.json").read_text(encoding="utf-8"))["cpu"]
    figures = facts["threads"]["1"]
    assert len(figures["sentences"]) == 2 and len(figures["stages"]) == 2
    assert min(rtf.factors(figures)) > 0 and figures["memory_mb"] > 100
    for found in figures["stages"]:
        assert set(found) == {stage.name for stage in stages.STAGES} | {stages.OTHER, stages.WRITING}
        assert all(seconds >= 0 for seconds in found.values())
    slow = {**figures, "sentences": [{"seconds": [0.5], "durations_s": [1.0]}] * 3, "first_audio_s": [0.1, 0.2, 0.9]}
    rows = {row.measure: row for row in rtf.speed_rows("cpu", {"threads": {"2": slow}})}
    factor = rows["real-time factor of a sentence, 2 threads: median (p5 to p95 of 3 sentences, 3 s)"]
    assert factor.value == "0.5000 (0.5000 to 0.5000)" and factor.is_met is False
    first = rows["first audio of a long text, 2 threads: median (worst of 3)"]
    assert first.value == "200 ms (900)" and first.is_met is True


def test_a_run_on_one_device_keeps_the_figures_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "rtf.json").write_text('{"cuda": {"kept": 1}}', encoding="utf-8")
    assert rtf.load_results(tmp_path) == {"cuda": {"kept": 1}}
    assert rtf.load_results(tmp_path / "nowhere") == {}


def test_stages_outside_the_network_take_a_small_part(bundled: EmoTTS) -> None:
    """The bound of the issue is 15 % each; on a machine that others use too, thrice that is a fault and not bad luck."""
    found = rtf_child.stage_seconds(bundled, speed_texts.sentences(1)[0], rounds=5)
    outside = {n: s for n, s in stages.shares(found).items() if n not in rtf.NETWORKS}
    assert max(outside.values()) < 3 * stages.LARGEST_SHARE, outside


@pytest.fixture(scope="module")
def bundled() -> EmoTTS:
    tts = EmoTTS.from_pretrained()
    tts.synthesize("Hello there.", seed=0)
    return tts


def test_stages_add_up_to_the_whole_and_leave_no_clock_behind(bundled: EmoTTS) -> None:
    before = {name: vars(bundled).get(name) for name in ("request", "provenance")}
    shares: list[float] = []
    while len(shares) < 5 and max(shares, default=0.0) <= 0.8:  # a pause outside comes once, a clock left out always
        clock = stages.StageClock()
        start = time.perf_counter()
        with stages.clocked(bundled, clock), clock.during(stages.OTHER):
            clocked = bundled.synthesize("A clock is put around it.", seed=3)
        shares.append(sum(clock.seconds.values()) / (time.perf_counter() - start))
    # what is outside: putting the clock on and off, far below a tenth of a synthesis
    assert 0.8 < max(shares) <= 1.0, shares
    assert {name: vars(bundled).get(name) for name in before} == before
    assert "forward" not in vars(bundled.acoustic.trunk)
    assert np.array_equal(clocked.waveform, bundled.synthesize("A clock is put around it.", seed=3).waveform)


def test_time_counts_once_and_for_the_innermost_stage(own_clock: None) -> None:
    clock = stages.StageClock()

    def inner() -> None:
        time.sleep(0.05)

    def items() -> Iterator[int]:
        for i in range(3):
            time.sleep(0.02)
            yield i

    with clock.during("outer"):
        clock.timed(inner, "inner")()
        for _ in clock.timed(items, "items")():
            time.sleep(0.01)  # of the outer stage, though a generator is open
    assert clock.seconds == pytest.approx({"inner": 0.05, "items": 0.06, "outer": 0.03})


def test_a_stage_that_is_not_there_is_an_error_and_leaves_nothing_behind() -> None:
    owner = SimpleNamespace(speak=no_wait)
    gone = (stages.Stage("here", False, ("speak",)), stages.Stage("gone", False, ("sing",)))
    with pytest.raises(AttributeError, match="sing"), stages.clocked(owner, stages.StageClock(), gone):
        pass
    assert owner.speak is no_wait


def test_a_large_share_outside_the_network_is_named() -> None:
    seconds = {"mel flow": 0.80, "vocoder: rendering": 0.19, "text to phonemes": 0.01, stages.WRITING: 5.0}
    assert stages.too_large(seconds) == ["vocoder: rendering"]
    assert sum(stages.shares(seconds).values()) == pytest.approx(1.0)
    facts = {"threads": {"1": {"stages": [seconds], "stages_long": seconds}}}
    assert "missed by 1 thread: vocoder: rendering" in rtf.stage_table("cpu", facts)


def test_texts_are_many_distinct_and_long_ones_begin_differently() -> None:
    texts, long = speed_texts.sentences(24), speed_texts.long_texts(5)
    assert len(set(texts)) == 24 and len({text[:30] for text in long}) == 5
    assert all(len(text) > 500 for text in long)
    with pytest.raises(ValueError, match="sentences must be at most"):
        speed_texts.sentences(10_000)


def test_tokens_for_machines_without_the_front_end_are_those_of_the_front_end() -> None:
    kept = speed_texts.read_tokens()
    for text in (*speed_texts.sentences(24), *speed_texts.long_texts(5)):
        segments = list(text_to_segments(text, first_max_chars=FIRST_MAX_CHARS))
        assert [(s.text, s.tokens, list(s.words)) for s in segments] == kept[text], (
            "run: python benchmarks/rtf.py --write-tokens"
        )


def test_speech_from_kept_tokens_is_that_from_text(tiny_checkpoint: Path) -> None:
    from contextlib import ExitStack

    tts = EmoTTS.from_pretrained(tiny_checkpoint)
    text = speed_texts.sentences(24)[0]
    from_text = tts.synthesize(text, seed=1).waveform
    with ExitStack() as stack:
        rtf_child.without_front_end(stack)
        assert np.array_equal(tts.synthesize(text, seed=1).waveform, from_text)


def test_it_measures_where_only_torch_and_the_repository_are(tiny_checkpoint: Path) -> None:
    job = {
        "threads": 1, "device": "cpu", "checkpoint": str(tiny_checkpoint), "sentences": speed_texts.sentences(24)[:1],
        "long_texts": speed_texts.long_texts(5)[:1], "rounds": 1, "tokens_from_file": True,
    }  # fmt: skip
    code = f"""
import importlib.util, sys
from importlib.abc import MetaPathFinder
sys.path.insert(0, {str(Path(rtf_child.__file__).parent)!r})
blocked = ("gruut", "gruut_lang_en", "num2words", "pycrfsuite", "soxr", "soundfile", "librosa", "hydra", "onnxruntime")
class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Block())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in blocked else find(name)
import rtf_child
rtf_child.main([{json.dumps(job)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    assert rtf.factors(figures)[0] > 0 and stages.WRITING not in figures["stages"][0]
    facts = {"threads": {"1": figures}}
    assert "| file writing | disk | not measured |" in rtf.stage_table("cpu", facts)


def test_a_text_that_would_run_dry_says_so(own_clock: None) -> None:
    def late(seconds: list[float]) -> float:
        """Stream two seconds of audio per chunk, each after so many seconds of work, on a clock of our own."""

        def stream(*_: object, **__: object) -> Iterator[SimpleNamespace]:
            for spent in seconds:
                time.sleep(spent)
                yield SimpleNamespace(waveform=np.zeros(2_400))

        tts = SimpleNamespace(stream=stream, sample_rate=24_000)  # 0.1 s of audio per chunk
        return rtf_child.long_text(tts, "", no_wait)["late_s"]

    assert late([0.05, 0.01, 0.01]) <= 0.0
    assert late([0.01, 0.3, 0.01]) == pytest.approx(0.2)
    assert rtf.gaps(0.0) == "plays without a gap" and rtf.gaps(0.2) == "the player waits 0.20 s"


def test_quantiles_interpolate_as_numpy_does() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0]
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert rtf.quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_parts_of_the_start_add_up_and_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "part.wav"
    parts = startup.parts_run(path)
    assert path.stat().st_size > 1_000
    first = parts.pop("to the first sample")
    assert first == pytest.approx(sum(parts.values()) - parts["write the file"], abs=1e-6)
    assert first < 30.0  # the promise is 4 s; other processes may share the machine


def test_a_start_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "PARTS", "raise SystemExit('no such voice')")
    with pytest.raises(RuntimeError, match="no such voice"):
        startup.parts_run(tmp_path / "part.wav")


class Hum:
    """A peer that hums a tenth of a second per word, in two pieces."""

    sample_rate = 8_000
    memory_mb = None

    def speak(self, text: str) -> Iterator[np.ndarray]:
        for _ in range(2):
            time.sleep(0.01)
            yield np.zeros(400 * len(text.split()), np.float32)


def test_a_peer_is_timed_piece_by_piece(tmp_path: Path, own_clock: None) -> None:
    kept = tmp_path / "hum.npz"
    job = {"peer": "hum", "texts": ["a b", "c d e"], "long_texts": ["a b c"], "rounds": 2, "keep": str(kept)}
    figures = peers_child.measure(Hum(), job)
    assert figures["durations_s"] == [0.2, pytest.approx(0.3)] and len(figures["first_audio_s"]) == 2
    assert figures["seconds"] == [pytest.approx([0.02, 0.02])] * 2
    assert figures["first_audio_s"] == pytest.approx([0.01, 0.01])
    with np.load(kept) as archive:
        assert [len(archive[name]) for name in archive.files] == [1_600, 2_400]
    assert peers.factors(figures)[0] == pytest.approx(0.1)


def test_a_peer_that_is_missing_says_how_to_install_it() -> None:
    entry = replace(peers_systems.ENTRIES[-1], name="gone", needs=("!no-such-command", "no_such_module"))
    assert entry.missing == ["!no-such-command", "no_such_module"]
    row = peers.measure(entry, [], [], 1, [0], Path("unused"))
    line = peers.table_row("gone", row, len(peers.HEADS))
    assert "not installed: `apt install espeak-ng`" in line and line.count("|") == len(peers.HEADS) + 1


def test_every_row_names_a_loader_and_a_control_of_emotion() -> None:
    assert len(peers_systems.BY_NAME) == len(peers_systems.ENTRIES) == 9
    for entry in peers_systems.ENTRIES:
        assert callable(getattr(peers_systems, entry.loader)) and entry.control
        assert entry.loader == "Emotts" or (entry.needs and entry.install)


def test_peers_runs_the_model_and_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = min(peers.os.sched_getaffinity(0))
    monkeypatch.setattr(peers.os, "sched_getaffinity", lambda _: {core})  # as above
    assert peers.main(["--tiny", "--unjudged", "--peers", "emotts, 1 step", "--output", str(tmp_path)]) == 0
    table = (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert table.strip() == capsys.readouterr().out.strip()
    row = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))["rows"]["emotts, 1 step"]
    assert row["parameters"] > 10e6 and row["bytes"] > 20e6
    assert row["all_cores"]["memory_mb"] > 100 and len(row["one_core"]["seconds"]) == 2
    assert "| emotts, 1 step |" in table and peers.UNMEASURED in table


def test_judges_count_words_over_all_texts(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", np.zeros(10), np.zeros(20))
    errors = [SimpleNamespace(errors=1, words=2), SimpleNamespace(errors=0, words=8)]
    judges = SimpleNamespace(
        recogniser=SimpleNamespace(word_errors=lambda waveforms, texts, rate: errors),
        dnsmos=lambda waveform, rate: SimpleNamespace(dns_overall=len(waveform) / 10),
    )
    row = {"all_cores": {"sample_rate": 8_000}}
    assert peers.judged(judges, tmp_path / "x.npz", ["a b", "c d"], row) == {"wer": 0.1, "dnsmos": 1.5}  # type: ignore[arg-type]


def test_an_unknown_peer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        peers.main(["--peers", "siri"])
    assert "hibari-tts, heart" in capsys.readouterr().err


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    line = machine_line(describe_run(["torch", "no-such-package"]))
    assert "cores" in line and "torch 2" in line and "no-such-package" not in line
    assert peak_memory_mb() > 50
