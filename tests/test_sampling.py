"""What training sees of several corpora: emotions, speakers and corpora drawn alike, and guesses as often as they are trusted."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from test_dataset import write_corpus

from emotts.acoustic.condition import Condition
from emotts.acoustic.objective import Dropout, draw_dropout
from emotts.data.balance import balanced_weights
from emotts.data.batch_plan import BatchPlan
from emotts.data.dataset import Corpus, collate
from emotts.data.manifest import emotion_of, read_manifest
from emotts.data.miniature import write_miniature
from emotts.data.rows import open_rows
from emotts.emotion.space import EmotionInput


def change(folder, **columns):
    """Rewrite columns of a manifest; a function of the row's number gives the value."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row.update({name: value(i) for name, value in columns.items()})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_origins(folder, corpus, weight_of):
    names = [row.id for row in read_manifest(folder / "manifest.jsonl")]
    lines = [json.dumps({"id": name, "corpus": corpus, "avd_weight": weight_of(i)}) for i, name in enumerate(names)]
    (folder / "origins.jsonl").write_text("\n".join(lines) + "\n")


def corpora_of(rows):
    codes, names = rows.codes("corpus")
    return [names[code] for code in codes]


@pytest.fixture
def corpora(tmp_path):
    """One with labels and simulated dimensions, one with guesses, one with valence alone, one with neither."""
    folders = [
        write_corpus(tmp_path / name)
        for name in ("both", "guessed", "valence", "neither")
        if not (tmp_path / name).mkdir()
    ]
    write_origins(folders[1], "podcast", lambda i: [0.9, 0.25, 0.0])
    change(folders[2], label=lambda i: None, intensity=lambda i: 0.0, arousal=lambda i: None, dominance=lambda i: None)
    write_origins(folders[2], "talk", lambda i: [0.0, 1.0, 0.0])
    nothing = lambda i: None  # noqa: E731
    change(folders[3], label=nothing, intensity=lambda i: 0.0, arousal=nothing, valence=nothing, dominance=nothing)
    return folders


def test_corpora_with_labels_dimensions_both_and_neither_are_one(corpora):
    joined = Corpus(corpora, "train", ["a", "b"])
    assert len(joined) == 48 and Counter(corpora_of(joined.rows)) == {
        "both": 12,
        "podcast": 12,
        "talk": 12,
        "neither": 12,
    }
    batch = collate([joined.utterance(i) for i in (2, 14, 26, 38)])
    assert batch.avd_trust.tolist() == [[1, 1, 1], [pytest.approx(0.9), 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert batch.avd_known[:, 0].tolist() == [[True] * 3, [True, True, False], [False, True, False], [False] * 3]
    assert batch.label_known[:, 0].tolist() == [True, True, False, False]
    alone = Corpus(corpora[0], "train", ["a", "b"])
    np.testing.assert_array_equal(alone.utterance(5).mel, joined.utterance(5).mel)


def test_what_has_no_text_or_is_long_is_left_out_and_counted(tmp_path):
    folder = write_corpus(tmp_path)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    rows[0] |= {"phonemes": ["<sil>", "<sil>"], "durations": [7, rows[0]["n_frames"] - 7]}
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = Corpus(folder, "train", ["a", "b"], max_frames=20)
    assert corpus.left_out == {"long": 5, "without a text": 1} and len(corpus) == 6


def test_soft_labels_reach_the_batch(tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = write_corpus(tmp_path)
    change(folder, label=lambda i: None, intensity=lambda i: 0.0, mixture=lambda i: {"happy": 0.6, "sad": 0.3})
    shares = np.tile(np.array([0.0] * 1 + [0.6] + [0.0] * 10, np.float16), (5, 1))
    tensors = load_file(folder / "features.safetensors")
    save_file(tensors | {f"utt-{i:03d}.labels": shares for i in range(12)}, folder / "features.safetensors")
    batch = collate([Corpus(folder, "train", ["a", "b"]).utterance(0)])
    assert batch.label_known.all() and batch.labels[0, 0].max() == pytest.approx(0.6, abs=1e-3)


def test_a_guess_is_shown_as_often_as_it_is_trusted():
    n = 4_000
    emotion = EmotionInput(
        torch.zeros(n, 2, 12),
        torch.ones(n, 2, dtype=torch.bool),
        torch.zeros(n, 2, 3),
        torch.ones(n, 2, 3, dtype=torch.bool),
    )
    ids = torch.zeros(n, 2, dtype=torch.int64)
    condition = Condition(ids, ids, torch.full((n,), 2), torch.zeros(n, dtype=torch.int64), emotion)
    trust = torch.tensor([1.0, 0.3, 0.0]).expand(n, 3)
    none = Dropout(0.0, 0.0, 0.0, 0.0, 0.0)
    shown = draw_dropout(condition, none, torch.Generator().manual_seed(0), trust)[0].emotion.avd_known
    assert shown[:, 0].float().mean(dim=0).tolist() == pytest.approx([1.0, 0.3, 0.0], abs=0.03)
    assert (shown[:, 0] == shown[:, 1]).all(), "for the whole utterance"
    assert draw_dropout(condition, none, torch.Generator().manual_seed(0))[0].emotion.avd_known.all()


def test_origins_that_are_wrong_name_their_line(tmp_path):
    write_corpus(tmp_path)
    assert corpora_of(open_rows(tmp_path)) == [tmp_path.name] * 12
    for line in ("nonsense", '{"id": "a", "corpus": "x"}', '{"id": "a", "corpus": "x", "avd_weight": [1, 2, 0]}'):
        (tmp_path / "origins.jsonl").write_text('{"id": "b", "corpus": "x", "avd_weight": [1, 0, 0.5]}\n' + line + "\n")
        with pytest.raises(ValueError, match=r"origins.jsonl, line 2: not an origin .*prepare the corpus again"):
            open_rows(tmp_path)


def test_a_dimension_that_a_row_lacks_is_not_trusted_whatever_its_origin_says(corpora):
    write_origins(corpora[2], "talk", lambda i: [1.0, 0.5, 1.0])
    assert open_rows(corpora[2]).trust(0).tolist() == [0.0, 0.5, 0.0]


def skewed(tmp_path):
    """Two corpora of which one is large, a frequent voice, a rare feeling."""
    write_miniature(tmp_path)
    rows = read_manifest(tmp_path / "corpus/manifest.jsonl")
    rows = [r for i, r in enumerate(rows) if r.label != "sad" or i % 5 == 0]
    return [r for i, r in enumerate(rows) if r.voice == "a" or i % 2]


def test_balanced_draws_follow_the_weights_within_an_epoch(tmp_path):
    rows = skewed(tmp_path)
    weights = balanced_weights(rows, ["x" if i % 3 else "y" for i in range(len(rows))], 1.0)
    plan = BatchPlan([r.n_frames for r in rows], 400, 7, weights)
    drawn: Counter[int] = Counter()
    step, n = 0, 0
    while n < 20 * len(rows):
        picks = plan.indices(step)
        drawn.update(picks)
        step, n = step + 1, n + len(picks)
    expected = weights * n
    for i, each in enumerate(expected):
        assert abs(drawn[i] - each) <= 20, "in every epoch floor or ceil of what is expected"
    feelings = Counter()
    for i, count in drawn.items():
        feelings[emotion_of(rows[i])] += count
    plain = Counter(emotion_of(row) for row in rows)
    assert feelings["sad"] / n > 1.5 * plain["sad"] / len(rows)


def test_balanced_batches_are_functions_of_seed_and_step_and_bucketed(tmp_path):
    lengths = np.random.default_rng(0).integers(40, 800, 300)
    shares = np.random.default_rng(1).random(300)
    shares /= shares.sum()
    forwards, jumping, other = (BatchPlan(lengths, 4_000, seed, shares) for seed in (3, 3, 4))
    batches = [forwards.indices(step) for step in range(60)]
    assert [jumping.indices(step) for step in (59, 0, 31)] == [batches[59], batches[0], batches[31]]
    assert [other.indices(step) for step in range(60)] != batches
    assert all(len(b) * -(-max(lengths[i] for i in b) // 32) * 32 <= 4_000 for b in batches)
    padded = sum(len(b) * max(lengths[i] for i in b) for b in batches)
    assert sum(lengths[i] for b in batches for i in b) / padded > 0.85, "batches hold utterances of like length"


def test_a_few_utterances_are_spread_over_the_corpus(tmp_path):
    corpus = Corpus(write_corpus(tmp_path), "train", ["a", "b"])
    few = corpus.spread(3)
    assert [row.id for row in few.rows] == ["utt-000", "utt-005", "utt-011"] and len(corpus) == 12
    assert few.utterance(1).mel.shape == corpus.utterance(5).mel.shape and len(corpus.spread(99)) == 12
