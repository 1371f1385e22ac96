"""Fine-tuning: what is trained and what is not, old voices that stay, weights that merge, a new emotion as a direction."""

import json
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from conftest import tiny_configs
from finetuning import corpus_of, finetune
from safetensors.numpy import load_file, save_file
from test_dataset import write_corpus
from torch import nn

from emotts.acoustic.adaptation import add_low_rank, merged_weights, move_rows
from emotts.checkpoint import load_checkpoint
from emotts.checkpoint.config import build
from emotts.emotion.direction import load_direction
from emotts.pipeline import EmoTTS
from emotts.speaker import VoiceTable

if TYPE_CHECKING:
    from finetune_keep import Question


# --- what is trained


def test_low_rank_corrections_begin_at_nothing_and_merge_to_what_they_do() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.LayerNorm(8), nn.Linear(8, 3))
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(5, 6)
    before = model(x)
    assert add_low_rank(model, rank=2, scale=0.5, seed=1) == 2
    assert torch.equal(model(x), before)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained and all(name.endswith((".up", ".down")) for name in trained)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 2 * (6 + 8) + 2 * (8 + 3)
    model(x).square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    fresh = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.LayerNorm(8), nn.Linear(8, 3))
    merged = merged_weights(model)
    assert merged.keys() == plain.keys()
    fresh.load_state_dict(merged)
    torch.testing.assert_close(fresh(x), model(x))
    change = merged["0.weight"] - plain["0.weight"]
    assert torch.linalg.matrix_rank(change) == 2
    with pytest.raises(ValueError, match="rank must be 1 or more"):
        add_low_rank(model, 0, 1.0, 0)


def test_only_the_chosen_rows_of_a_table_move() -> None:
    table = nn.Embedding(4, 3)
    before = table.weight.detach().clone()
    move_rows(table, [1, 3], scale=2.0)
    optimizer = torch.optim.AdamW([p for p in table.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    table(torch.arange(4)).sum().backward()
    optimizer.step()
    after = merged_weights(table)["weight"]
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert ((after - before)[[1, 3]].abs() > 0.1).all()


def test_a_table_of_voices_grows_behind_its_names() -> None:
    table = VoiceTable(["a", "b"], 4)
    table.mean_log_f0.copy_(torch.tensor([7.0, 8.0]))
    more = table.extended(["c"], like=1)
    assert more.names == ["a", "b", "c"] and more.unknown == 3
    assert torch.equal(more.embedding.weight[[0, 1, 3]], table.embedding.weight)
    assert torch.equal(more.embedding.weight[2], table.embedding.weight[1])
    assert more.mean_log_f0[:2].tolist() == [7.0, 8.0]
    with pytest.raises(ValueError, match="different"):
        table.extended(["a"])


def question(n_rows: int = 3) -> "Question":
    """What two old voices are asked about a sentence."""
    from finetune_keep import Rehearsal

    from emotts.data.dataset import Utterance

    n, t = 5, 20
    one = Utterance(
        np.random.default_rng(0).integers(12, 40, n), np.zeros(n, np.int64), np.full(n, t // n), np.zeros((n, 4), np.float32),
        np.ones((n, 4), np.float32), np.full(t, 150.0, np.float32), np.zeros(t, np.float32), np.zeros((t, 100), np.float32),
        np.zeros((n, 12), np.float32), True, np.zeros((n, 3), np.float32), np.ones(3), 0,
    )  # fmt: skip
    rehearsal = Rehearsal([(one, 0)] * 3, torch.tensor([7.2, 7.2]), [0, 1], 1_000, 0)
    return rehearsal.question(0, n_rows)


def test_what_the_old_model_says_is_no_loss_and_another_model_is() -> None:
    from finetune_keep import keep_losses, keep_total

    torch.manual_seed(0)
    teacher = build(tiny_configs()["acoustic"], "acoustic").eval()
    same, other = deepcopy(teacher).train(), deepcopy(teacher).train()  # dropout is for what is new
    with torch.no_grad():
        other.trunk.head.bias += 1.0

    def keep(new: nn.Module) -> float:
        return keep_total(keep_losses(new, teacher, question())).item()

    assert keep(same) < 1e-10 and keep(other) == pytest.approx(2.0, rel=0.2)  # 2 is the weight of the mel
    assert other.training


def test_questions_in_parts_are_the_questions_of_the_whole() -> None:
    """Parts weighed by their counts add up to the whole; a part without a question costs nothing."""
    from finetune_keep import keep_counts, keep_losses

    from emotts.training.parts import rows_of

    torch.manual_seed(0)
    teacher = build(tiny_configs()["acoustic"], "acoustic").eval()
    other = deepcopy(teacher)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.01
    whole = question()
    parts = [rows_of(whole, rows) for rows in (slice(0, 2), slice(2, 4), slice(4, 6))]
    found, counts = keep_losses(other, teacher, whole), keep_counts(whole)
    each = [(keep_losses(other, teacher, part), keep_counts(part)) for part in parts]
    for name, value in found.items():
        assert value > 0.0
        shares = sum(losses[name].item() * n[name].item() for losses, n in each) / counts[name].item()
        assert shares == pytest.approx(value.item(), rel=1e-4)
    assert each[2][1]["keep_mel"] == 0 and each[2][0]["keep_mel"] == 0.0


# --- the recipe


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice that the tiny model does not have, with held-out rows and with audio."""
    return corpus_of(tmp_path_factory.mktemp("mine"))


def test_a_new_voice_speaks_and_the_old_ones_say_the_same(corpus: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    few = (f"corpus={corpus}", f"checkpoint={tiny_checkpoint}", f"output={tmp_path}/run", "mode=voice")
    finetune(*few, "max_steps=4", "valid_every=2")
    old, new = (EmoTTS.from_pretrained(path) for path in (tiny_checkpoint, tmp_path / "run" / "export"))
    assert [voice.name for voice in new.voices] == ["ada", "max", "mia"]
    for voice in ("ada", "max"):
        before, after = (tts.synthesize("Hello there.", voice=voice, emotion="happy", seed=1) for tts in (old, new))
        assert (before.waveform == after.waveform).all()
    assert new.synthesize("Hello there.", voice="mia", seed=1).duration_s > 0
    card = next(voice for voice in new.voices if voice.name == "mia")
    assert card.licence == "CC-BY-4.0" and "minutes" in card.description
    assert "mia" in new.log_gain  # loudness was measured
    assert new.metadata["licence"] == "CC0-1.0; recordings: CC-BY-4.0"
    made = new.metadata["training"]["finetune"]
    assert made["mode"] == "voice" and made["licences"] == ["CC-BY-4.0"] and made["config"]["mode"] == "voice"


def test_low_rank_training_goes_on_where_it_stopped(corpus: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    few = (f"corpus={corpus}", f"checkpoint={tiny_checkpoint}", "mode=lora", "rank=2", "valid_every=2")
    for folder, steps in (("broken", 2), ("broken", 4), ("whole", 4)):
        finetune(*few, f"output={tmp_path}/{folder}", f"max_steps={steps}")
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True)["model"] for name in ("broken", "whole")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    model, base = (
        load_checkpoint(f)[0]["acoustic"].state_dict() for f in (tmp_path / "whole" / "export", tiny_checkpoint)
    )
    assert not any("parametrizations" in name for name in model)  # nothing of LoRA is needed to speak
    changed = {
        name.split(".")[0]
        for name in base
        if base[name].shape == model[name].shape and not torch.equal(base[name], model[name])
    }
    assert {"trunk", "prosody"} <= changed and not changed & {"text_encoder", "emotion_space"}
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert any(row["split"] == "valid" for row in rows) and any("keep_mel" in row for row in rows)


def test_it_stops_when_the_held_out_rows_are_said_no_better(
    corpus: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune(f"corpus={corpus}", f"checkpoint={tiny_checkpoint}", f"output={tmp_path}/run", "mode=full",
             "valid_every=1", "patience=2", "max_steps=30", "learning_rate=1.0", "keep=0")  # fmt: skip
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    assert capsys.readouterr().out.count("held-out loss") == best["step"] + 2 < 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mode=all"], "mode must be one of voice, lora, full, emotion; got 'all'."),
        (["mode=voice", "languages=[de]"], "languages need mode=lora or mode=full"),
        (["languages=[en-us,de]"], "the model speaks en-us already. Leave it out: languages=[de]."),
        (["languages=[de,DE]"], "languages must name each language once; got de, de."),
        (["parts=[prosody,brain]"], "parts must be of"),
        (["corpus=???"], "corpus= must name the folder of a prepared corpus; none was given."),
        (
            ["voice=ada"],
            "has a voice ada already; give the new one voice=<another name>, or train that one further by again=true",
        ),
        (["voice=a b"], "voice= must be a name of letters, digits, _ and -; got 'a b'."),
        (["mode=emotion", "name=weary", "voice=ada"], "voice= names a new voice"),
        (["learning_rate=1e30", "max_steps=1", "keep=0"], "the held-out loss was no number"),
        (["mode=emotion"], "mode=emotion needs name="),
        (["mode=emotion", "name=weary"], "must hold clips (split train) of ada, max; it holds mia"),
        (["checkpoint=nowhere"], "is not a folder"),
        (["corpus=nowhere"], "no manifest at"),
    ],
)
def test_mistakes_cost_one_line(
    options: list[str], message: str, corpus: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    given = {"corpus": str(corpus), "checkpoint": str(tiny_checkpoint), "output": str(tmp_path / "run")}
    given |= dict(option.split("=", 1) for option in options)
    with pytest.raises((ValueError, OSError)) as caught:
        finetune(*(f"{key}={value}" for key, value in given.items()))
    assert message in str(caught.value) and "\n" not in str(caught.value).strip()


def test_a_new_emotion_is_a_direction_towards_what_was_recorded(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Clips that the model itself says as bored are found to be bored; the twelve labels stay."""
    base = write_corpus(tmp_path)
    rows = [json.loads(line) for line in (base / "manifest.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"voice": "ada", "label": None, "intensity": 0.0}
    (base / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tensors = load_file(base / "features.safetensors")
    for name in tensors:
        if name.endswith(".energy"):
            tensors[name] = tensors[name] - 1.0
    save_file(tensors, base / "features.safetensors")
    finetune(f"corpus={base}", f"checkpoint={tiny_checkpoint}", f"output={tmp_path}/out", "mode=emotion", "name=weary")
    path = tmp_path / "out" / "weary.safetensors"
    direction = load_direction(path)
    assert direction.metadata["figures"]["loss"] < direction.metadata["figures"]["loss_neutral"]
    tts = EmoTTS.from_pretrained(tiny_checkpoint)
    plain, weary = (
        tts.synthesize("Hello there.", voice="ada", emotion=spec, seed=1).waveform
        for spec in ("neutral", f"neutral,direction={path}:1.0")
    )
    assert len(plain) != len(weary) or (plain != weary).any()


def test_the_vocoder_learns_a_voice_and_keeps_the_others(tmp_path: Path) -> None:
    from finetune_vocoder import adapt_vocoder

    from emotts.audio import save_audio
    from emotts.vocoder.generator import HarmonicNoiseGenerator

    write_corpus(tmp_path, n=4)
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    tensors = load_file(tmp_path / "features.safetensors")
    for i, row in enumerate(rows):
        frames = 60
        row |= {"split": "valid" if i == 3 else "train", "n_frames": frames, "duration_s": frames * 256 / 24_000}
        row["durations"] = [2, 3, frames - 9, 0, 4]
        tensors[f"{row['id']}.f0"] = np.full(frames, 150.0, np.float32)
        time = np.arange(frames * 256) / 24_000
        tone = sum(np.sin(2 * np.pi * 150.0 * k * time) / k**2 for k in range(1, 9))
        save_audio(tmp_path / row["audio"], (0.1 * tone).astype(np.float32))
    save_file(tensors, tmp_path / "features.safetensors")
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    torch.manual_seed(0)
    old = HarmonicNoiseGenerator(channels=16, n_blocks=1).eval()
    kept = [(torch.randn(1, 30, 100) - 5.0, torch.full((1, 30), 120.0), torch.ones(1, 30, dtype=torch.bool))]

    def adapted(keep: float) -> tuple[float, float, float]:
        """Return the held-out distance before and after, and how far the kept corrections moved."""
        lines: list[str] = []
        new = adapt_vocoder(old, tmp_path, kept, 20, keep, 0, lines.append)
        distances = [float(line.split("distance ")[1].split()[0]) for line in lines]
        with torch.no_grad():
            moved = (new.predict_correction(*kept[0]) - old.predict_correction(*kept[0])).abs().mean()
        return distances[0], min(distances), float(moved)

    before, after, moved = adapted(0.0)
    assert after < before
    assert adapted(1_000.0)[2] < moved
