"""The recipes as a user runs them: a corpus in, a checkpoint that speaks out; every configuration composes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_dataset import write_corpus

from emotts.pipeline import EmoTTS

ROOT = Path(__file__).resolve().parent.parent


def run(recipe: str, *options: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, f"recipes/{recipe}.py", *options]
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert output.returncode == 0, output.stderr[-3000:]
    return output.stdout


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of random mels in which a third of the rows are held out."""
    folder = write_corpus(tmp_path_factory.mktemp("corpus"))
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["split"] = "valid" if i % 3 == 2 else "train"
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_training_goes_on_where_it_stopped_and_the_bundle_speaks(corpus: Path, tmp_path: Path) -> None:
    def train(output: Path, steps: int) -> None:
        run("train_acoustic", f"corpus={corpus}", f"output={output}", "acoustic=tiny", f"schedule.max_steps={steps}",
            "schedule.decay_steps=0", "max_frames=128", "precision=fp32", "device=cpu")  # fmt: skip

    train(tmp_path / "broken", 2)
    train(tmp_path / "broken", 4)
    train(tmp_path / "whole", 4)
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("broken", "whole")]
    assert states[0]["step"] == states[1]["step"] == 4
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name

    from emotts.checkpoint import save_checkpoint
    from emotts.vocoder.generator import HarmonicNoiseGenerator

    config = {"_target_": "emotts.vocoder.generator.HarmonicNoiseGenerator", "channels": 16, "n_blocks": 1}
    save_checkpoint(tmp_path / "vocoder", {"vocoder": (config, HarmonicNoiseGenerator(channels=16, n_blocks=1))})
    run("bundle", f"acoustic_folder={tmp_path}/whole/export", f"vocoder_folder={tmp_path}/vocoder", f"output={tmp_path}/bundle",
        "voices=[b]", "voice_classes=[]", "default_voice=b")  # fmt: skip
    tts = EmoTTS.from_pretrained(tmp_path / "bundle")
    assert [voice.name for voice in tts.voices] == ["b"]
    assert tts.synthesize("Hello.", voice="b", seed=1).duration_s > 0


def test_the_judge_hears_the_model_in_training_and_the_best_one_stays(corpus: Path, tmp_path: Path) -> None:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from emotts.checkpoint import load_checkpoint, save_checkpoint

    tiny = OmegaConf.load(ROOT / "conf" / "recognizer" / "tiny.yaml")
    config = OmegaConf.to_container(tiny, resolve=True)
    save_checkpoint(tmp_path / "recognizer", {"recognizer": (config, instantiate(tiny))})
    run("train_acoustic", f"corpus={corpus}", f"output={tmp_path}/run", "acoustic=tiny", "schedule.max_steps=2",
        "schedule.decay_steps=0", "max_frames=128", "precision=fp32", "device=cpu",
        f"judge={tmp_path}/recognizer", "judge_every=1")  # fmt: skip
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    judged = [row for row in rows if row["split"] == "judge"]
    assert best["step"] == 2
    assert judged[-1]["score"] == pytest.approx(best["score"], abs=1e-5)
    assert "acoustic" in load_checkpoint(tmp_path / "run" / "best")[0]
    assert (tmp_path / "run" / "samples" / "happy.wav").stat().st_size > 1_000


def test_a_converter_is_trained_for_an_acoustic_model_and_belongs_to_it(
    corpus: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emotts.checkpoint import load_checkpoint
    from emotts.content.speech_encoder import SpeechEncoder

    content, speaker, both = (tmp_path / name for name in ("content", "speaker", "converter"))
    few = ("schedule.decay_steps=0", "max_frames=128", "precision=fp32", "device=cpu", f"corpora=[{corpus}]",
           f"acoustic_folder={tiny_checkpoint}")  # fmt: skip

    def train_content(output: Path, steps: int) -> None:
        run("train_content", *few, f"output={output}", f"schedule.max_steps={steps}", "mixing.nonspeech_clips=5",
            "speech_encoder.content=64", "speech_encoder.channels=32", "speech_encoder.layout=c")  # fmt: skip

    train_content(tmp_path / "broken", 1)
    train_content(tmp_path / "broken", 3)
    train_content(content, 3)
    states = [torch.load(folder / "state.pt", weights_only=True)["model"] for folder in (tmp_path / "broken", content)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    before = load_checkpoint(content / "export")[0]["speech_encoder"]
    assert isinstance(before, SpeechEncoder) and torch.equal(before.kept, torch.eye(64))
    run("erase_voice", f"corpora=[{corpus}]", f"folder={content}/export", "rank=1", "n_frames=200")
    after = load_checkpoint(content / "export")[0]["speech_encoder"]
    assert isinstance(after, SpeechEncoder)
    assert torch.linalg.matrix_rank(after.kept.double(), rtol=1e-5) == 63

    run("train_speaker", *few, f"output={speaker}", "schedule.max_steps=2", "valid_split=valid",
        "reference_voice.encoder.speaker=8", "reference_voice.encoder.channels=32", "reference_voice.encoder.layout=c",
        "reference_voice.adapter.trunk=64", "reference_voice.adapter.channels=32", "reference_voice.adapter.layout=c")  # fmt: skip
    run("bundle_converter", f"content_folder={content}/export", f"speaker_folder={speaker}/export", f"output={both}",
        f"acoustic_folder={tiny_checkpoint}")  # fmt: skip
    with pytest.raises(ValueError, match="of another acoustic model"):
        _ = EmoTTS.from_pretrained(tiny_checkpoint).converter.listener
    monkeypatch.setenv("EMOTTS_CONVERTER", str(both))
    assert EmoTTS.from_pretrained(tiny_checkpoint).converter.listener.model.reach == 2


def test_corpora_are_joined_by_links(corpus: Path, tmp_path: Path) -> None:
    from emotts.data.dataset import Corpus
    from emotts.data.manifest import read_manifest

    run("join_corpora", str(tmp_path / "joined"), str(corpus))
    rows = read_manifest(tmp_path / "joined" / "manifest.jsonl")
    assert len(rows) == 12 and all((tmp_path / "joined" / row.features).is_file() for row in rows)
    assert len(Corpus(tmp_path / "joined", "train", ["a", "b"])) == 8


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf").glob("*.yaml")))
def test_every_configuration_composes_and_its_targets_exist(name: str) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.utils import get_object
    from omegaconf import OmegaConf

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = OmegaConf.to_container(compose(name), resolve=False)

    def targets(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["_target_"]] if "_target_" in node else []
            return own + [t for value in node.values() for t in targets(value)]
        return [t for value in node for t in targets(value)] if isinstance(node, list) else []

    for target in targets(config):
        assert callable(get_object(target)), target
    assert (ROOT / "recipes" / f"{name}.py").is_file()
    assert f"recipes/{name}.py" in (ROOT / "conf" / f"{name}.yaml").read_text()
