"""Voices from recordings: a batch that does not fit is computed in parts, as the whole would be; draws are those of plain lists."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from test_dataset import write_corpus
from test_recipes import corpus  # noqa: F401  (a fixture)

from emotts.data.dataset import load_corpora

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    import train_speaker

    return sys.modules["train_speaker"] or train_speaker


def run(recipe, *options):
    """Train in this process, so that its memory can be made small."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train_speaker", overrides=list(options))
    recipe.main(config)


def source_of(recipe, folders):
    return recipe.VoiceSource(SimpleNamespace(reference_frames=10), load_corpora(folders, "train", 1_000), ["b"])


@pytest.fixture
def folders(tmp_path):
    found = []
    for k, n in enumerate((5, 40)):
        (tmp_path / str(k)).mkdir()
        found.append(write_corpus(tmp_path / str(k), n=n))
    path = found[1] / "manifest.jsonl"
    lines = path.read_text().splitlines()
    lines[2:8] = [
        line.replace('"voice": "a"', '"voice": "c"').replace('"voice": "b"', '"voice": "d"') for line in lines[2:8]
    ]
    lines[30] = lines[30].replace('"voice": "a"', '"voice": "alone"')
    path.write_text("\n".join(lines) + "\n")
    return found


def test_balanced_utterances_and_their_references_are_those_of_plain_lists(recipe, folders):
    """The code that was there before there was an index."""
    source = source_of(recipe, folders)
    places = [(c, i) for c, each in enumerate(source.corpora) for i in range(len(each))]
    of_voice: dict[str, list[tuple[int, int]]] = {}
    for c, i in places:
        of_voice.setdefault(source.corpora[c].rows[i].voice, []).append((c, i))
    most, seen, picks = 3 * int(np.median([len(one) for one in of_voice.values()])), {}, []
    for k, (c, i) in enumerate(places):
        voice = source.corpora[c].rows[i].voice
        seen[voice] = seen.get(voice, -1) + 1
        if seen[voice] % max(1, len(of_voice[voice]) // most) == 0:
            picks.append(k)
    assert source.balanced.tolist() == picks and len(picks) < len(places)
    a, b = np.random.default_rng(3), np.random.default_rng(3)
    for k, (c, i) in enumerate(places):
        voice = source.corpora[c].rows[i].voice
        others = [place for place in of_voice[voice] if place != (c, i)] or [(c, i)]
        assert source.all.place(source._another(k, a)) == others[b.integers(len(others))]


def test_counts_are_what_the_losses_are_means_over(recipe, folders):
    source = source_of(recipe, folders)
    found = source.batch(list(range(0, 20, 3)), np.random.default_rng(0))
    counts = recipe.counts_of(found)
    assert (
        int(counts["mel"]) == int(counts["prior"]) == sum(len(mel[mel.abs().sum(dim=1) > 0]) for mel in found.batch.mel)
    )
    assert int(counts["named"]) == sum(source.named[k] == "b" for k in found.named.tolist() if k >= 0) > 0


def test_a_batch_in_parts_teaches_what_the_whole_teaches(
    recipe,
    corpus: Path,  # noqa: F811
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = (f"corpora=[{corpus}]", f"acoustic_folder={tiny_checkpoint}", "valid_split=valid", "schedule.max_steps=3",
           "schedule.decay_steps=0", "max_frames=512", "precision=fp32", "device=cpu", "augment.speed=0.1", "augment.noise=0.5",
           "reference_voice.encoder.speaker=8", "reference_voice.encoder.channels=32", "reference_voice.encoder.layout=c",
           "reference_voice.adapter.trunk=64", "reference_voice.adapter.channels=32",
           "reference_voice.adapter.layout=c")  # fmt: skip
    run(recipe, *few, f"output={tmp_path}/whole")
    plain, sizes = recipe.losses_of, []

    def small_memory(model, acoustic, found):
        n = len(found.named)
        if model.training and n > 1:
            raise torch.OutOfMemoryError("out of memory")
        sizes.extend([n] if model.training else [])
        return plain(model, acoustic, found)

    monkeypatch.setattr(recipe, "losses_of", small_memory)
    run(recipe, *few, f"output={tmp_path}/parts")
    assert "parts from here on" in capsys.readouterr().out and max(sizes) == 1
    whole, parts = (torch.load(tmp_path / name / "state.pt", weights_only=True)["model"] for name in ("whole", "parts"))
    worst = max(float((whole[name] - parts[name]).abs().max()) for name in whole)
    assert worst < 1e-5, "sums in another order; rates are 1e-3, so that another noise would move weights by 1e-3"
