"""Many requests in one pass: each as if it were alone, errors stay with their own, and padding stays within bounds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emotts import EmoTTS
from emotts.acoustic.blend import Branch, Guidance, guided
from emotts.acoustic.stacked import joined_requests
from emotts.audio import load_audio
from emotts.batch import run
from emotts.batch.rows import Row
from emotts.batched import MAX_ROWS, in_passes
from emotts.speech import Result

TEXTS = [
    "It is late.",
    "Who would have thought that it could be so long, and still be one sentence that goes on?",
    "No! [pause 300ms] Not *again*.",
    "Yes.",
    "Hello [sad:0.8]there, my friend[/].",
]
# Sums are added in another order; mels are natural logarithms of size 1 to 16, and waveforms follow phases that add up over time.
MEL, WAVE = 1e-4, 5e-3


@pytest.fixture(scope="module")
def tts() -> EmoTTS:
    return EmoTTS.from_pretrained(backend="plain")


def check_alone(tts: EmoTTS, results: list, texts: list[str], options: list[dict]) -> None:
    for text, given, result in zip(texts, options, results, strict=True):
        alone = tts.synthesize(text, **given)
        assert isinstance(result, Result), result
        assert result.durations == alone.durations and result.tokens == alone.tokens and result.words == alone.words
        np.testing.assert_allclose(result.mel, alone.mel, atol=MEL)
        np.testing.assert_allclose(result.f0, alone.f0, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(result.waveform, alone.waveform, atol=WAVE)
        assert result.seed == alone.seed and result.provenance is not None and result.rtf > 0.0


def test_each_result_is_that_of_its_request_alone(tts: EmoTTS) -> None:
    options = [
        {"emotion": "happy", "seed": 1}, {"voice": tts.voices[-1].name, "seed": 2}, {"seed": 3}, {"arousal": 0.5, "seed": 4},
        {"seed": 5},
    ]  # fmt: skip
    results = tts.synthesize_batch(TEXTS, options)
    check_alone(tts, results, TEXTS, options)


def test_requests_of_several_kinds_are_sorted_out(tts: EmoTTS) -> None:
    options = [
        {"steps": 1}, {"speed": 1.3, "pitch": 2.0}, {"emotion": "sad", "guidance": 1.7}, {"timeline": "rise:angry"},
        {"emotion": "happy:0.5+sad:0.5", "mixing": "embedding"}, {"duration": 1.5}, {"emotion": "angry", "guidance": 1.7},
        {"sampler": "flow", "solver": "heun", "schedule": "epss"}, {"emotion": "excited", "classifier": 0.3},
    ]  # fmt: skip
    options = [{**given, "seed": i} for i, given in enumerate(options)]
    texts = ["It is late.", "It is very late.", "No.", "Hello.", "Who?", "Stay.", "It is late again.", "So.", "Ah."]
    check_alone(tts, tts.synthesize_batch(texts, options), texts, options)


def test_several_rows_share_a_pass_and_its_size_is_bounded(tts: EmoTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    sample_mel = tts.acoustic.sample_mel

    def watched(request, prosody, **options):
        sizes.append(tuple(prosody.f0.shape))
        return sample_mel(request, prosody, **options)

    monkeypatch.setattr(tts.acoustic, "sample_mel", watched)
    texts = ["It is late.", "It is early.", "It was a long and quiet evening.", "It was an evening of rain."]
    together = tts.synthesize_batch(texts, seed=1)
    assert [rows for rows, _ in sizes] == [4]
    sizes.clear()
    bounded = tts.synthesize_batch(texts, seed=1, max_frames=300)
    assert sum(rows for rows, _ in sizes) == 4 and len(sizes) > 1
    assert all(rows == 1 or rows * frames <= 300 for rows, frames in sizes)
    for one, other in zip(together, bounded, strict=True):
        np.testing.assert_allclose(one.mel, other.mel, atol=MEL)


def test_an_error_stays_with_its_request(tts: EmoTTS) -> None:
    texts = ["It is late.", "   ", "It is early.", "Short.", "Yes."]
    options = [{}, {}, {"emotion": "hapy"}, {"duration": 0.06}, {"voice": "nobody"}]
    results = tts.synthesize_batch(texts, options, seed=3)
    assert isinstance(results[0], Result)
    for text, given, result in list(zip(texts, options, results, strict=True))[1:]:
        with pytest.raises(type(result)) as caught:
            tts.synthesize(text, **given, seed=3)
        assert str(caught.value) == str(result)


def test_an_edit_that_fails_in_a_pass_leaves_its_neighbours(tts: EmoTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    from emotts.plan import Planned

    edit = Planned.edit

    def failing(self, request):
        inner = edit(self, request)

        def refuse(reading):
            if request.seed == 2:
                raise ValueError("this one cannot be read")
            return inner(reading)

        return refuse

    monkeypatch.setattr(Planned, "edit", failing)
    results = tts.synthesize_batch(["One.", "Two.", "Three."], [{"seed": i} for i in (1, 2, 3)])
    assert [isinstance(result, Result) for result in results] == [True, False, True]
    assert str(results[1]) == "this one cannot be read"


def test_bad_arguments_are_refused(tts: EmoTTS) -> None:
    with pytest.raises(ValueError, match="each must hold options for each of 2 texts; got 1"):
        tts.synthesize_batch(["a", "b"], [{}])
    with pytest.raises(ValueError, match="max_frames must be 1 or more; got 0"):
        tts.synthesize_batch(["a"], max_frames=0)
    assert tts.synthesize_batch([]) == []


def test_passes_are_cut_by_rows_and_by_padded_frames() -> None:
    drawn = torch.randint(30, 200, (100,), generator=torch.Generator().manual_seed(0)).tolist()
    lengths = [*[9] * 50, *sorted(drawn), 5_000]
    passes = list(in_passes(range(len(lengths)), lengths, 1_000))
    assert [i for group in passes for i in group] == list(range(len(lengths)))
    for group in passes:
        assert len(group) <= MAX_ROWS and (len(group) == 1 or len(group) * lengths[group[-1]] <= 1_000)
    assert passes[-1] == [150] and max(len(group) for group in passes) == MAX_ROWS


def test_joined_requests_are_rows_of_a_batch(tts: EmoTTS) -> None:
    parts = []
    for text in ("It is late.", "No."):
        request = tts.request(emotion="happy", guidance=2.0, seed=0)
        (part, *_) = tts.plan(text, request)
        parts.append(tts._branches_at(part, request, 0, 0.0))
    joined = joined_requests(parts)
    assert [branch.weight for branch in joined] == [branch.weight for branch in parts[0]]
    together = tts.acoustic.encoded(joined)
    k = len(joined)
    for row, branches in enumerate(parts):
        alone = tts.acoustic.encoded(branches)
        n = alone.content.shape[1]
        chosen = together.rows([row])
        for got, expected in ((chosen.content[:, :n], alone.content), (chosen.emotion[:, :n], alone.emotion)):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
        assert together.content.unflatten(0, (k, 2))[:, row, n:].abs().sum() == 0.0
        assert int(chosen.branches[-1].condition.lengths) == n
    everything = guided(parts[0][0].condition, Guidance(2.0, 1.5, 1.5), parts[0][0].condition.without_emotion())
    assert joined_requests([everything, everything])[-1].keep.content.tolist() == [False, False]
    assert isinstance(joined[0], Branch)


class Together:
    """A model that gains by batches and fails on the second text; it counts what it is asked."""

    gains_by_batches = True

    def __init__(self, tts: EmoTTS) -> None:
        self.tts, self.passes = tts, []  # type: ignore[var-annotated]

    def synthesize(self, text: str, **options):
        raise ValueError("cannot be spoken")

    def synthesize_batch(self, texts, each):
        self.passes.append(len(texts))
        results = self.tts.synthesize_batch(texts, each)
        return [ValueError("cannot be spoken") if "fail" in t else r for t, r in zip(texts, results, strict=True)]


def test_the_command_speaks_rows_together_where_that_gains(
    tts: EmoTTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "TOGETHER", 3)
    texts = ["One.", "This must fail.", "Three.", "Four.", "Five."]
    rows = [Row(n, n, text, f"{n}.wav", {"seed": n}) for n, text in enumerate(texts, 1)]
    model = Together(tts)
    summary = run.run_batch(model, run.Batch(rows), tmp_path / "a", keep_going=True)
    assert model.passes == [3, 2] and summary.n_spoken == 4 and summary.failed == {2: "cannot be spoken"}
    again = run.run_batch(model, run.Batch(rows), tmp_path / "a", keep_going=True, resume=True)
    assert again.n_skipped == 4 and again.failed == {2: "cannot be spoken"}
    alone = run.run_batch(tts, run.Batch(rows), tmp_path / "b")
    assert alone.n_spoken == 5 and not tts.gains_by_batches
    for name in ("1.wav", "3.wav", "4.wav", "5.wav"):
        one, other = (load_audio(tmp_path / place / name) for place in "ab")
        np.testing.assert_allclose(one, other, atol=WAVE)


def test_where_a_backend_rounds_each_is_spoken_alone() -> None:
    rounding = EmoTTS.from_pretrained()
    texts = ["No.", "This one is rather longer than the other."]
    for text, found in zip(texts, rounding.synthesize_batch(texts, seed=3), strict=True):
        assert isinstance(found, Result)
        alone = rounding.synthesize(text, seed=3)
        if rounding.backend.told:
            assert found.waveform.tobytes() == alone.waveform.tobytes()
        assert found.durations == alone.durations
