"""Batches: features against brute force, plans as pure functions of the step, padding."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from emotts.data.batch_plan import BatchPlan
from emotts.data.dataset import Corpus, anchor_line, collate, fill_unvoiced, token_features

TOKENS = ["<sil>", "h", "ˈaɪ", ".", "<sil>"]


def write_corpus(folder, n=12):
    """A miniature corpus in the real layout."""
    rng = np.random.default_rng(0)
    features, rows = {}, []
    for i in range(n):
        durations = [2, 3, 5 + i, 0, 4]
        frames = sum(durations)
        f0 = np.where(np.arange(frames) % 7 < 5, 120.0 + i, 0.0).astype(np.float32)
        name = f"utt-{i:03d}"
        features |= {
            f"{name}.mel": rng.normal(size=(frames, 100)).astype(np.float16),
            f"{name}.f0": f0,
            f"{name}.energy": rng.normal(size=frames).astype(np.float16),
            f"{name}.avd": np.full((5, 3), 0.25, np.float16),
        }
        label = [None, "neutral", "happy"][i % 3]
        rows.append(
            {
                "id": name,
                "audio": f"{name}.flac",
                "text": "Hi.",
                "voice": "ab"[i % 2],
                "language": "en-us",
                "phonemes": TOKENS,
                "durations": durations,
                "label": label,
                "intensity": 0.8 if label == "happy" else 0.0,
                "arousal": 0.25,
                "valence": 0.25,
                "dominance": 0.25,
                "split": "train",
                "licence": "CC0-1.0",
                "n_frames": frames,
                "duration_s": frames * 256 / 24000,
                "features": "features.safetensors",
            }
        )
    save_file(features, folder / "features.safetensors")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(write_corpus(tmp_path_factory.mktemp("corpus")), "train", ["a", "b"])


def test_token_features_equal_a_loop():
    rng = np.random.default_rng(1)
    durations = np.array([3, 1, 0, 4, 2])
    log_f0, energy = rng.normal(size=10), rng.normal(size=10)
    got = token_features(durations, log_f0, energy)
    fine_f0 = np.repeat(log_f0, 2)  # half frames, so that the halves of odd tokens fall on borders
    start = 0
    for i, d in enumerate(durations):
        if d:
            half = fine_f0[2 * start : 2 * (start + d)]
            assert got[i, 1] == pytest.approx(half[:d].mean()) and got[i, 2] == pytest.approx(half[d:].mean())
            assert got[i, 3] == pytest.approx(energy[start : start + d].mean())
        assert got[i, 0] == pytest.approx(np.log(d + 0.5))
        start += d


def test_unvoiced_frames_are_bridged():
    filled = fill_unvoiced(np.array([0, 100, 0, 0, 200, 0], np.float32))
    np.testing.assert_allclose(filled, np.log2(100) + np.array([0, 0, 1 / 3, 2 / 3, 1, 1]), atol=1e-6)
    assert np.isnan(fill_unvoiced(np.zeros(3))).all()


def test_anchor_line_meets_the_anchors():
    features = np.zeros((2, 4))
    features[:, 1:3] = [[1.0, 2.0], [3.0, 5.0]]
    line = anchor_line(features, np.array([4, 4]), 8)  # anchors at 1, 3, 5, 7; frame k is centred at k + 0.5
    np.testing.assert_allclose(line[:3], [1.0, 1.25, 1.75])


def test_labels_and_masks_follow_the_rows(corpus):
    items = [corpus.utterance(i) for i in range(3)]
    batch = collate(items)
    assert batch.label_known[:, 0].tolist() == [False, True, True]
    assert batch.labels[:2].abs().sum() == 0, "no label and neutral carry no weight"
    assert batch.labels[2, 0].max() == pytest.approx(0.8)
    assert batch.mel.shape[1] % 32 == 0 and batch.phonemes.shape[1] % 8 == 0
    assert (batch.durations.sum(dim=1) == torch.tensor([len(u.f0) for u in items])).all()
    assert (batch.mel[0, len(items[0].f0) :] == 0).all()


def test_plan_is_a_function_of_the_step_and_covers_an_epoch(corpus):
    lengths = [r.n_frames for r in corpus.rows]
    forwards, jumping = BatchPlan(lengths, 128, seed=5), BatchPlan(lengths, 128, seed=5)
    batches = [forwards.indices(step) for step in range(40)]
    assert [jumping.indices(step) for step in (39, 0, 17)] == [batches[39], batches[0], batches[17]]
    per_epoch = next(k for k in range(1, 40) if sum(map(len, batches[:k])) == len(lengths))
    assert sorted(i for b in batches[:per_epoch] for i in b) == list(range(len(lengths)))
    assert batches[:per_epoch] != batches[per_epoch : 2 * per_epoch], "epochs are shuffled differently"
    assert all(len(b) * -(-max(lengths[i] for i in b) // 32) * 32 <= 128 for b in batches)


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no rows of split 'test'"):
        Corpus(write_corpus(tmp_path), "test", ["a"])


@pytest.mark.parametrize("is_balanced", [False, True])
def test_plans_are_those_of_a_loop_over_rows(is_balanced):
    """One row after the other, as batches are defined; lengths 0 and lengths beyond a batch included."""
    random = np.random.default_rng(5)
    lengths = random.choice([0, 1, 31, 32, 33, 64, 100, 300, 700, 2_000], 400)
    shares = random.dirichlet(np.ones(400)) if is_balanced else None
    plan, step = BatchPlan(lengths, 1_000, 3, shares), 0
    for epoch in range(3):
        rng = np.random.default_rng([3, epoch])
        rows = plan._drawn(rng)
        batches, current = [], []
        for i in rows[np.argsort(lengths[rows] * np.exp(rng.normal(0.0, 0.08, len(rows))))]:
            padded = [-(-int(lengths[k]) // 32) * 32 for k in (*current, i)]
            if current and max(padded) * len(padded) > 1_000:
                batches.append(current)
                current = []
            current = [*current, int(i)]
        batches.append(current)
        for k in rng.permutation(len(batches)):
            assert plan.indices(step) == batches[k], (epoch, step)
            step += 1


def test_a_plan_without_rows_is_refused():
    with pytest.raises(ValueError, match="at least one utterance; got none"):
        BatchPlan([], 100, 0).indices(0)
