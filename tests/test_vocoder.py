"""The vocoder: what its excitation, envelopes, generator, stream, losses and recipe promise."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from emotts.audio import SPEC, LogMel, mel_filterbank, save_audio
from emotts.data.manifest import ManifestRow, write_manifest
from emotts.vocoder.baseline import BaselineVocoder, band_centres, interpolation_matrix, minimum_phase_matrix
from emotts.vocoder.excitation import SourceState, SourceSTFT, advance_phase, pulse_train, white_noise
from emotts.vocoder.generator import HarmonicNoiseGenerator, VocoderStream
from emotts.vocoder.losses import SpectralEnergyDistance, copy_synthesis_measures, energy_distance, periodicity

HOP = SPEC.hop_length
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "recipes"))  # where the recipe finds its neighbours


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vowel(n_frames: int = 60, hz: float = 150.0) -> tuple[np.ndarray, np.ndarray]:
    """A steady buzz with falling spectrum and a little noise, silent and unvoiced in its first and last 8 frames."""
    time = np.arange(n_frames * HOP) / SPEC.sample_rate
    tone = sum(np.cos(2 * np.pi * hz * h * time + h) / h for h in range(1, int(11_000 / hz)))
    noise = np.random.default_rng(0).standard_normal(len(time))
    envelope = np.zeros(n_frames)
    envelope[8:-8] = 1.0
    gain = np.interp(np.arange(len(time)) / HOP, np.arange(n_frames), envelope)
    waveform = (0.1 * tone * gain + 0.002 * noise).astype(np.float32)
    return waveform, (hz * envelope).astype(np.float32)


def inputs(n_frames: int = 60, hz: float = 150.0) -> tuple[torch.Tensor, torch.Tensor]:
    waveform, f0 = vowel(n_frames, hz)
    return LogMel()(torch.from_numpy(waveform)[None])[:, :n_frames], torch.from_numpy(f0)[None]


def perturbed(**sizes: int) -> HarmonicNoiseGenerator:
    """A tiny generator whose corrections are not zero."""
    torch.manual_seed(1)
    vocoder = HarmonicNoiseGenerator(**({"channels": 16, "n_blocks": 2, "kernel_size": 3} | sizes)).eval()
    torch.nn.init.normal_(vocoder.correction.weight, std=0.1)
    return vocoder


def test_pulses_equal_the_sum_of_cosines() -> None:
    f0 = torch.linspace(110.0, 130.0, 9)[None]
    phase = advance_phase(f0, torch.tensor([0.3], dtype=torch.float64))
    ours = pulse_train(f0, phase)[0]
    samples = np.interp(np.arange(8 * HOP) / HOP, np.arange(9), f0[0].numpy().astype(np.float64))
    cycles = 0.3 + np.concatenate([[0.0], np.cumsum(0.5 * (samples[1:] + samples[:-1]))]) / SPEC.sample_rate
    count = 0.495 * SPEC.sample_rate / samples - 1
    brute = sum(np.clip(count - h + 1, 0, 1) * np.cos(2 * np.pi * h * cycles) for h in range(1, int(count.max()) + 2))
    # float32 cycles near 1 have a spacing of 6e-8; the 108th harmonic of an amplitude sum of 108 multiplies it
    assert np.abs(ours.numpy() - brute).max() < 0.02


def test_pulses_do_not_alias() -> None:
    f0 = torch.full((1, 65), 3_001.0)
    wave = pulse_train(f0, advance_phase(f0, torch.zeros(1, dtype=torch.float64)))[0]
    spectrum = torch.fft.rfft(wave * torch.hann_window(len(wave))).abs()
    frequency = np.fft.rfftfreq(len(wave), 1 / SPEC.sample_rate)
    away = np.min(np.abs(frequency[:, None] - 3_001.0 * np.arange(1, 4)), axis=1) > 20.0
    assert spectrum[away].max() < 1e-3 * spectrum.max()


def test_pulses_are_silent_where_unvoiced_and_fade_at_edges() -> None:
    f0 = torch.tensor([[0.0, 0.0, 200.0, 200.0, 0.0, 0.0]])
    blocks = pulse_train(f0, advance_phase(f0, torch.zeros(1, dtype=torch.float64))).view(5, HOP)
    assert blocks[0].abs().max() == 0 and blocks[4].abs().max() == 0
    assert blocks[1, :8].abs().max() < 0.5 < blocks[2].abs().max()
    assert blocks[3, -8:].abs().max() < 0.5


def test_noise_is_white_and_a_function_of_position() -> None:
    seed = torch.tensor([5, 6])
    noise = white_noise(seed, -300, 48_000)
    assert torch.equal(noise[:, 1_000:2_000], white_noise(seed, 700, 1_000))
    # standard errors of 48 000 samples: 0.0046 for mean and correlation, 0.004 for the variance of a uniform
    assert noise.mean(dim=1).abs().max() < 0.02 and (noise.var(dim=1) - 1).abs().max() < 0.02
    for lag in (1, 2, 16, 256, 1024):
        assert (noise[:, lag:] * noise[:, :-lag]).mean(dim=1).abs().max() < 0.025
    assert (noise[0] * noise[1]).mean().abs() < 0.025


def test_source_spectra_equal_torch_stft_inside() -> None:
    f0 = inputs(40)[1]
    state = SourceState(torch.tensor([3]), torch.tensor([0.25], dtype=torch.float64))
    spectra = SourceSTFT()(f0, state)
    noise = white_noise(state.seed, 0, 40 * HOP)
    window = torch.hann_window(SPEC.n_fft)
    reference = torch.stft(noise, SPEC.n_fft, HOP, window=window, return_complex=True).transpose(1, 2)
    torch.testing.assert_close(spectra.noise[:, 2:38], reference[:, 2:38], atol=2e-4, rtol=1e-4)  # float32 sums of 1024
    assert torch.all((spectra.voicing >= 0) & (spectra.voicing <= 1 + 1e-6))
    assert spectra.voicing[0, 20] > 0.999 and spectra.voicing[0, 2] == 0


def test_noise_is_the_hash_of_its_place() -> None:
    def mix(x: int) -> int:  # lowbias32
        x = (x ^ x >> 16) * 0x7FEB352D & 0xFFFFFFFF
        x = (x ^ x >> 15) * 0x846CA68B & 0xFFFFFFFF
        return x ^ x >> 16

    for seed, first in ((0, 0), (2**31 - 1, -700), (12_345, 2**31 - 50), (7, 2**33)):
        ours = white_noise(torch.tensor([seed]), first, 100)[0].double()
        bits = [mix((first + n & 0xFFFFFFFF) ^ mix(seed + 1 & 0xFFFFFFFF)) for n in range(100)]
        wanted = (torch.tensor(bits, dtype=torch.float64) / 2**31 - 1.0) * math.sqrt(3.0)
        torch.testing.assert_close(ours, wanted, atol=2e-7, rtol=0)  # one rounding to float32


def test_rendering_equals_the_formulas_written_plainly() -> None:
    """The quick forms (tables of voicing, powers without roots, products for the gains) against one step at a time, in float64."""
    vocoder, (mel, f0) = perturbed(), inputs()
    f0[:, 30:34] = 0.0
    state = SourceState(torch.tensor([3]), torch.tensor([0.25], dtype=torch.float64))
    with torch.no_grad():
        correction = vocoder.predict_correction(mel, f0)
        ours = vocoder.render(correction, mel, f0, state)
        sources = vocoder.source(f0, state)
    to_bins, filters = interpolation_matrix().double(), mel_filterbank(SPEC).double()
    window = torch.hann_window(SPEC.n_fft, dtype=torch.float64)
    padded = torch.nn.functional.pad((f0 > 0).double(), (2, 2))
    blocks, weight = 0.5 * (padded[:, :-1] + padded[:, 1:]), window.square().view(4, -1).sum(dim=1)
    voicing = sum(weight[k] * blocks[:, k : k + 60] for k in range(4)) / weight.sum()
    torch.testing.assert_close(sources.voicing.double(), voicing, atol=1e-6, rtol=0)
    pulses, noises, target = sources.pulses.to(torch.complex128), sources.noise.to(torch.complex128), mel.double().exp()
    centres = band_centres().double()
    share = torch.sigmoid((centres - 4_000.0) / 1_000.0).clamp_min(1e-3)
    smoothing = torch.exp(-0.5 * ((centres[:, None] - centres) / 100.0).square())
    harmonic, noise = 0.5 * torch.log(1 - share), 0.5 * torch.log(1 - (voicing[..., None] * (1 - share)))
    gain, level = torch.zeros_like(target), math.sqrt(math.pi / 4 * window.square().sum())
    for _ in range(2):
        power = (pulses.abs() * ((gain + harmonic) @ to_bins).exp()) ** 2
        power = power + (level * ((gain + noise) @ to_bins).exp()) ** 2
        gain = gain + torch.log((target @ smoothing) / (power.sqrt() @ filters @ smoothing))
    h, n = (
        own + gain + part for own, part in zip((harmonic, noise), correction.double().chunk(2, dim=-1), strict=True)
    )
    phase = h @ minimum_phase_matrix(interpolation_matrix()).double()
    spectrum = torch.polar((h @ to_bins).exp(), phase) * pulses + (n @ to_bins).exp() * noises
    whole = torch.zeros(63 * HOP, dtype=torch.float64)
    for t, frame in enumerate(torch.fft.irfft(spectrum[0]) * window / 1.5):
        whole[t * HOP : t * HOP + SPEC.n_fft] += frame
    plain = whole[2 * HOP : 62 * HOP]
    assert plain.abs().max() > 0.1
    torch.testing.assert_close(ours[0].double(), plain, atol=1e-5, rtol=0)  # float32 against float64


def test_rendering_makes_few_passes_over_the_spectra() -> None:
    """What takes time is work on [T, bins]; one more pass should be a decision. No clock is asked, so no noise can fail this."""
    from torch.profiler import ProfilerActivity, profile

    vocoder, (mel, f0) = perturbed(), inputs()
    state = SourceState(torch.tensor([3]), torch.tensor([0.25], dtype=torch.float64))
    with torch.inference_mode():
        correction = vocoder.predict_correction(mel, f0)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
            vocoder.render(correction, mel, f0, state)
    calls = [event for event in found.events() if event.name in ("aten::mm", "aten::exp", "aten::cos", "aten::sin")]
    assert sum(event.name == "aten::mm" for event in calls) == 7  # 4 to bins or phase, 2 back to bands, 1 smoothing
    large = [event for event in calls if event.name != "aten::mm" and event.input_shapes[0][-1] == SPEC.n_fft // 2 + 1]
    assert sorted(event.name for event in large) == ["aten::cos", *["aten::exp"] * 3, "aten::sin"]
    assert not {"aten::polar", "aten::hypot", "aten::abs"} & {
        event.name for event in found.events() if event.input_shapes and event.input_shapes[0][-1:] == [513]
    }  # each takes as long as ten products


def test_minimum_phase_equals_the_phase_of_a_minimum_phase_filter() -> None:
    response = torch.fft.rfft(
        torch.tensor([1.0, -0.9, 0.5], dtype=torch.float64), SPEC.n_fft
    )  # zeros inside the circle
    phase = response.abs().log() @ minimum_phase_matrix(torch.eye(SPEC.n_fft // 2 + 1)).double()
    torch.testing.assert_close(phase, response.angle(), atol=1e-5, rtol=0)  # the matrix is stored in float32


def test_interpolation_keeps_constants_and_hits_the_bands() -> None:
    matrix = interpolation_matrix()
    torch.testing.assert_close(matrix.sum(dim=0), torch.ones(SPEC.n_fft // 2 + 1))


def test_baseline_gives_the_mel_and_the_pitch_back() -> None:
    waveform, f0 = vowel()
    mel, f0_rows = inputs()
    synthesis = BaselineVocoder()(mel, f0_rows, generator=seeded())[0].numpy()
    measures = copy_synthesis_measures(synthesis, waveform, f0)
    assert measures["mel_l1"] < 0.45  # nepers; mostly the scatter of noise in narrow bands
    assert measures["f0_cents"] < 10.0
    voiced = slice(12 * HOP, 48 * HOP)
    assert abs(20 * np.log10(synthesis[voiced].std() / waveform[voiced].std())) < 1.5


def test_untrained_generator_is_the_baseline() -> None:
    mel, f0 = inputs()
    ours = HarmonicNoiseGenerator(channels=16, n_blocks=1)(mel, f0, generator=seeded())
    assert torch.equal(ours, BaselineVocoder()(mel, f0, generator=seeded()))


def test_same_seed_repeats_and_another_seed_changes_the_noise() -> None:
    vocoder, (mel, f0) = perturbed(), inputs()
    once, again, other = (vocoder(mel, f0, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(once, again)
    assert (once - other).abs().max() > 1e-3


def test_padding_does_not_change_output() -> None:
    vocoder = perturbed()
    long, short = inputs(60), inputs(40, hz=210.0)
    f0 = torch.zeros(2, 60)
    mel = torch.full((2, 60, SPEC.n_mels), 9.0)  # loud rubbish in the padding
    mel[0], f0[0], mel[1, :40], f0[1, :40] = long[0], long[1], short[0], short[1]
    f0[1, 40:] = 333.0
    mask = torch.arange(60)[None] < torch.tensor([60, 40])[:, None]
    state = SourceState(torch.tensor([1, 2]), torch.tensor([0.1, 0.2], dtype=torch.float64))
    batch = vocoder.synthesise(mel, f0, state, mask)
    alone = vocoder.synthesise(*short, SourceState(state.seed[1:], state.phase[1:]))
    torch.testing.assert_close(batch[1:, : 40 * HOP], alone, atol=2e-5, rtol=0)  # float32; peaks near 0.3


@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_stream_equals_whole(chunk: int) -> None:
    vocoder, (mel, f0) = perturbed(), inputs()
    with torch.no_grad():
        whole = vocoder(mel, f0, breath_db=3.0, effort_db_per_oct=-2.0, generator=seeded())
    stream = VocoderStream(vocoder, breath_db=3.0, effort_db_per_oct=-2.0, generator=seeded())
    parts = [stream.push(mel[:, i : i + chunk], f0[:, i : i + chunk]) for i in range(0, 60, chunk)]
    parts.append(stream.finish())
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=2e-5, rtol=0)  # float32; peaks near 0.3


def test_reach_is_what_the_attributes_say() -> None:
    vocoder, (mel, f0) = perturbed(), inputs()
    frame = 30
    changed_mel, changed_f0 = mel.clone(), f0.clone()
    changed_mel[:, frame] += 1.0
    changed_f0[:, frame] = 0.0
    with torch.no_grad():
        state = SourceState(torch.tensor([1]), torch.tensor([0.5], dtype=torch.float64))
        before = vocoder.synthesise(mel, f0, state)
        after_mel = vocoder.synthesise(changed_mel, f0, state)
        after_f0 = vocoder.synthesise(mel, changed_f0, state)
    differing = (before != after_mel).view(-1, HOP).any(dim=1).nonzero().flatten()
    assert frame - vocoder.look_ahead <= differing.min() and differing.max() <= frame + vocoder.look_back
    assert (before != after_f0).view(-1, HOP).any(dim=1).nonzero().min() >= frame - vocoder.look_ahead


def test_breath_raises_noise_in_voiced_frames_only() -> None:
    vocoder, (mel, f0) = perturbed(), inputs()
    with torch.no_grad():
        plain, breathy = (vocoder(mel, f0, breath_db=db, generator=seeded())[0].numpy() for db in (0.0, 15.0))
    aperiodic = [1.0 - np.nanmean(periodicity(x, f0[0].numpy())) for x in (plain, breathy)]
    assert aperiodic[1] > 2.0 * aperiodic[0]
    assert np.array_equal(plain[: 4 * HOP], breathy[: 4 * HOP])


def test_effort_tilts_the_harmonics_about_1_khz() -> None:
    vocoder, (mel, f0) = perturbed(), inputs()

    def level(waveform: np.ndarray, hz: float) -> float:
        piece = waveform[20 * HOP : 40 * HOP] * np.hanning(20 * HOP)
        spectrum = np.abs(np.fft.rfft(piece))
        near = np.abs(np.fft.rfftfreq(len(piece), 1 / SPEC.sample_rate) - hz) < 40.0
        return float(20 * np.log10(spectrum[near].max()))

    with torch.no_grad():
        plain, bright = (vocoder(mel, f0, effort_db_per_oct=db, generator=seeded())[0].numpy() for db in (0.0, 3.0))
    for hz in (300.0, 1_050.0, 2_100.0):
        change = level(bright, hz) - level(plain, hz)
        assert abs(change - 3.0 * math.log2(hz / 1_000.0)) < 1.0  # dB; the tilt lies on bands, not on bins


def test_controls_may_vary_by_frame() -> None:
    vocoder, (mel, f0) = perturbed(), inputs()
    with torch.no_grad():
        constant = vocoder(mel, f0, breath_db=6.0, effort_db_per_oct=1.0, generator=seeded())
        breath, effort = torch.full((1, 60), 6.0), torch.full((1, 60), 1.0)
        rows = vocoder(mel, f0, breath_db=breath, effort_db_per_oct=effort, generator=seeded())
    assert torch.equal(constant, rows)


def test_silence_stays_silent_and_finite() -> None:
    mel = torch.full((1, 30, SPEC.n_mels), math.log(1e-7))
    with torch.no_grad():
        for f0 in (torch.zeros(1, 30), torch.full((1, 30), 120.0)):
            waveform = perturbed()(mel, f0, generator=seeded())
            assert torch.isfinite(waveform).all() and waveform.abs().max() < 1e-4


def test_energy_distance_prefers_the_true_noise_level() -> None:
    """A plain distance to the recording is least for too little noise; the energy distance is not."""
    distance = SpectralEnergyDistance(resolutions=(256, 1024), fine_resolution=2048)
    first, second, target = (white_noise(torch.arange(4) + k, 0, 16_384) * 0.1 for k in (1, 50, 99))
    totals = [sum(distance(g * first, g * second, target).values()) for g in (0.5, 0.8, 1.0, 1.25, 2.0)]
    assert int(torch.stack(totals).argmin()) == 2


def test_energy_distance_of_equal_features_is_zero() -> None:
    x = torch.randn(2, 5, 7, generator=seeded())
    assert energy_distance(torch.cat([x, x, x])) < 1e-3


def test_loss_terms_are_named_and_have_gradients() -> None:
    vocoder, (mel, f0) = perturbed(), inputs()
    distance = SpectralEnergyDistance()
    target = torch.from_numpy(vowel()[0])[None]
    terms = distance(vocoder(mel, f0, generator=seeded(1)), vocoder(mel, f0, generator=seeded(2)), target)
    assert set(terms) == {"stft", "convergence", "fine", "mel", "level"}
    torch.stack(list(terms.values())).sum().backward()
    assert vocoder.embed.weight.grad is not None and vocoder.embed.weight.grad.abs().max() > 0


def test_periodicity_tells_a_tone_from_noise() -> None:
    waveform, f0 = vowel()
    assert np.nanmean(periodicity(waveform, f0)[12:48]) > 0.95
    noise = np.random.default_rng(0).standard_normal(len(waveform))
    assert np.nanmean(periodicity(noise, f0)) < 0.4
    assert np.isnan(periodicity(waveform, f0)[:8]).all()


def tiny_corpus(folder: Path) -> Path:
    """Two buzzes in the layout of a corpus."""
    from safetensors.numpy import save_file

    (folder / "audio").mkdir(parents=True)
    rows, features = [], {}
    for name, split, hz in (("a", "train", 120.0), ("b", "valid", 180.0)):
        waveform, f0 = vowel(64, hz)
        save_audio(folder / "audio" / f"{name}.flac", waveform)
        features |= {
            f"{name}.mel": np.zeros((64, 100), np.float16), f"{name}.f0": f0, f"{name}.energy": np.zeros(64, np.float16),
            f"{name}.avd": np.zeros((2, 3), np.float16),
        }  # fmt: skip
        rows.append(
            ManifestRow(
                id=name,
                audio=f"audio/{name}.flac",
                text="a",
                voice="buzz",
                language="en-us",
                split=split,
                licence="CC0-1.0",
                phonemes=["<sil>"] * 2,
                durations=[32, 32],
                n_frames=64,
                duration_s=64 / SPEC.frame_rate,
                label=None,
                intensity=0.0,
                arousal=None,
                valence=None,
                dominance=None,
                features="features.safetensors",
            )  # fmt: skip
        )
    save_file(features, folder / "features.safetensors")
    write_manifest(folder / "manifest.jsonl", rows)
    return folder


def run_recipe(corpus: Path, output: Path, *overrides: str) -> None:
    """Run recipes/train_vocoder.py in this process."""
    from hydra import compose, initialize_config_dir

    spec = importlib.util.spec_from_file_location("train_vocoder", ROOT / "recipes" / "train_vocoder.py")
    assert spec is not None and spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        # fp32, because one process can hold one precision and other tests have chosen this one
        small = [
            "vocoder=tiny",
            "device=cpu",
            "precision=fp32",
            "batch_size=2",
            "crop_frames=40",
            "n_valid=1",
            "log_every=1",
        ]
        places = [f"corpus={corpus}", f"output={output}"]
        config = compose("train_vocoder", [*places, *small, "schedule.warmup_steps=1", *overrides])
    recipe.main(config)


def test_recipe_trains_resumes_and_exports(tmp_path: Path, one_thread: None) -> None:
    from emotts.checkpoint import load_checkpoint

    corpus = tiny_corpus(tmp_path / "corpus")
    run_recipe(corpus, tmp_path / "whole", "schedule.max_steps=4", "schedule.decay_steps=1")
    run_recipe(corpus, tmp_path / "parts", "schedule.max_steps=2", "schedule.decay_steps=1")  # as the first half
    run_recipe(corpus, tmp_path / "parts", "schedule.max_steps=4", "schedule.decay_steps=1")
    whole, parts = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "parts"))
    assert parts["step"] == 4
    assert all(torch.equal(whole["model"][key], parts["model"][key]) for key in whole["model"])
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert {row["split"] for row in rows} == {"train", "valid", "baseline"}
    modules = load_checkpoint(tmp_path / "whole" / "export")[0]
    assert isinstance(modules["vocoder"], HarmonicNoiseGenerator)
    assert (tmp_path / "whole" / "samples" / "b-valid.wav").is_file()


def test_bundled_size_is_as_documented() -> None:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    vocoder = instantiate(OmegaConf.load(ROOT / "conf" / "vocoder" / "small.yaml"))
    assert 1.4e6 < sum(p.numel() for p in vocoder.parameters()) < 1.6e6
    assert (vocoder.look_back, vocoder.look_ahead) == (13, 14)


def test_crops_are_drawn_as_numpy_draws_with_shares(tmp_path, monkeypatch):
    """Shares are summed once and not for every batch; the same rows come out."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "recipes"))
    from test_dataset import write_corpus
    from train_vocoder import CONTEXT, Recordings

    from emotts.data.rows import open_rows

    recordings = Recordings(open_rows(write_corpus(tmp_path, n=60)).of("train"))
    drawn = []
    monkeypatch.setattr(recordings, "_crop", lambda i, *_: drawn.append(i) or (np.zeros(1), np.zeros(1)))
    lengths = np.array([row.n_frames for row in recordings.rows])
    long = np.flatnonzero(lengths >= 30 + 2 * CONTEXT)
    starts = lengths[long] - 30 - 2 * CONTEXT + 1.0
    a, b = np.random.default_rng(1), np.random.default_rng(1)
    for size in (1, 16, 333):
        recordings.crops(a, size, 30, (0.0, 0.0))
        assert drawn[-size:] == long[b.choice(len(long), size, p=starts / starts.sum())].tolist()
    np.testing.assert_array_equal(
        recordings._shards.read_one(7, "f0"), np.where(np.arange(21) % 7 < 5, 127.0, 0.0).astype(np.float32)
    )
