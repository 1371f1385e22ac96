"""The recipes as a user runs them: a corpus in, a checkpoint that speaks out; every recipe runs through in seconds.

Every configuration composes, and a mistake on the command line costs one line.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from test_dataset import write_corpus

from emotts.data.miniature import write_miniature
from emotts.pipeline import EmoTTS

ROOT = Path(__file__).resolve().parent.parent


sys.path.insert(0, str(ROOT / "recipes"))


def run(recipe: str, *options: str, cwd: Path = ROOT, launcher: Sequence[str] = (), returncode: int = 0) -> str:
    """Run a recipe as a program; returns what it printed, or what it complained of where it should fail."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, str(ROOT / f"recipes/{recipe}.py"), *options]
    output = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=1200)
    assert output.returncode == returncode, output.stderr[-3000:]
    return output.stderr if returncode else output.stdout


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
        "voices=[b]", "voice_classes=[]", "default_voice=b", "licence=CC0-1.0")  # fmt: skip
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


def targets(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [t for value in node.values() for t in targets(value)]
    return [t for value in node for t in targets(value)] if isinstance(node, list) else []


def composed(name: str, *overrides: str) -> dict:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return OmegaConf.to_container(compose(name, overrides=list(overrides)), resolve=False)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf").glob("*.yaml")))
def test_every_configuration_composes_and_its_targets_exist(name: str) -> None:
    from hydra.utils import get_object

    for target in targets(composed(name)):
        assert callable(get_object(target)), target
    assert (ROOT / "recipes" / f"{name}.py").is_file()
    assert f"recipes/{name}.py" in (ROOT / "conf" / f"{name}.yaml").read_text()


EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml") if path.stem != "none")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_says_what_it_needs(experiment: str) -> None:
    from start import options_of

    text = (ROOT / f"conf/experiment/{experiment}.yaml").read_text()
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert all(
        any(line.startswith(f"# {word}:") for line in head) for word in ("data", "hardware", "hours", "commands")
    )
    commands = text.replace("\\\n#", "").splitlines()
    commands = [line.removeprefix("#").split() for line in commands if line.strip("# ").startswith("python recipes/")]
    assert any(f"experiment={experiment}" in command for command in commands)
    for command in commands:
        recipe = Path(command[1]).stem
        folder = ROOT / "conf" / ("prepare" if recipe == "prepare_corpus" else "")
        options_of(recipe, command[2:], folder)  # refuses what does not exist
        if f"experiment={experiment}" in command:
            config = composed(recipe, *command[2:])
            assert config != composed(recipe) | {"experiment": experiment} or experiment == "simulated_cpu"


@pytest.mark.parametrize(
    "name", ["train_acoustic", "train_vocoder", "train_content", "train_speaker", "train_recognizer", "distill_sampler"]
)
def test_two_steps_are_two_steps_of_every_trainer(name: str) -> None:
    config = composed(name, "debug=two_steps")
    assert config["schedule"]["max_steps"] == 2 and config["output"] == "runs/debug"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which recipes run as in the repository, and write elsewhere."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    write_miniature(folder / "runs/smoke")
    return folder


SMOKE = {  # in this order, each with what it leaves behind
    "train_acoustic": "acoustic/export/acoustic.safetensors", "train_vocoder": "vocoder/export/vocoder.safetensors",
    "distill_sampler": "student/export/student.safetensors", "bundle": "bundle/manifest.json",
    "finetune": "finetuned/export/manifest.json", "train_content": "content/export/manifest.json",
    "erase_voice": "content/export/manifest.json", "train_speaker": "speaker/export/manifest.json",
    "bundle_converter": "converter/manifest.json", "train_recognizer": "recognizer/export/manifest.json",
    "train_judge": "judge/export", "prepare_corpus": "prepared/manifest.jsonl", "simulate_corpus": "simulated/manifest.jsonl",
    "simulate_crowd": "crowd/manifest.jsonl",
}  # fmt: skip


@pytest.mark.parametrize("recipe", SMOKE)
def test_every_recipe_runs_through(recipe: str, workplace: Path) -> None:
    if recipe.startswith("simulate"):
        pytest.importorskip("hibari", reason="the teachers are the extra simulate")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(recipe, "smoke=true", cwd=workplace)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 60.0, "seconds of a core"
    assert (workplace / "runs/smoke" / SMOKE[recipe]).exists()


def test_speech_mels_and_f0_are_in_tensorboard(workplace: Path) -> None:
    """Of the run above."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not (workplace / "runs/smoke/acoustic").exists():
        run("train_acoustic", "smoke=true", cwd=workplace)
    events = EventAccumulator(str(workplace / "runs/smoke/acoustic/tensorboard")).Reload().Tags()
    assert {"samples/neutral", "samples/happy", "samples/sad"} <= set(events["audio"])
    assert {"mel/neutral", "f0/neutral"} <= set(events["images"]) and "valid/mel" in events["scalars"]


def test_a_bundle_brings_its_student(workplace: Path) -> None:
    """Of the runs above: the student speaks unless the flows are asked for, told in the provenance; both repeat themselves."""
    for recipe in ("train_acoustic", "train_vocoder", "distill_sampler", "bundle"):
        if not (workplace / "runs/smoke" / SMOKE[recipe]).exists():
            run(recipe, "smoke=true", cwd=workplace)
    tts = EmoTTS.from_pretrained(workplace / "runs/smoke/bundle")
    assert dict(tts.describe())["student"] > 0 and tts.card.steps["student"] == 2
    mels = {}
    for sampler in (None, "student", "flow"):
        one, two = (tts.synthesize("Hello there.", seed=3, sampler=sampler) for _ in range(2))
        assert one.waveform.tobytes() == two.waveform.tobytes()
        mels[sampler] = one.mel
        assert one.provenance is not None and one.provenance.settings.get("sampler") == (
            "flow" if sampler == "flow" else None
        )
    assert mels[None].tobytes() == mels["student"].tobytes() != mels["flow"].tobytes()
    streamed = [chunk.mel for chunk in tts.stream("Hello there.", seed=3)]
    assert b"".join(mel.tobytes() for mel in streamed) == mels[None].tobytes()
    with pytest.raises(ValueError, match="not taught staying away"):
        tts.request(emotion="happy-angry", sampler="student")


def test_smoke_and_experiments_are_all_there_is() -> None:
    assert {path.stem for path in (ROOT / "conf/smoke").glob("*.yaml")} == SMOKE.keys()
    assert set(EXPERIMENTS) == {
        "simulated_cpu", "simulated_cpu_converter", "esd_en", "esd_bilingual", "libritts_then_esd", "avd_semisupervised",
    }  # fmt: skip


def test_eight_utterances_are_learnt_by_heart(workplace: Path) -> None:
    """debug=overfit: nine tenths of the first loss are gone within a minute of training."""
    run("train_acoustic", "debug=overfit", "corpus=runs/smoke/corpus", "output=runs/heart", "device=cpu", cwd=workplace)
    rows = [json.loads(line) for line in (workplace / "runs/heart/metrics.jsonl").read_text().splitlines()]
    loss = [row["loss"] for row in rows if row["split"] == "train"]
    print(f"overfit: {loss[0]:.3f} to {loss[-1]:.3f} in {60.0 * rows[-1]['minutes']:.0f} s")
    assert loss[-1] < 0.1 * loss[0]


@pytest.mark.parametrize("recipe", ["train_acoustic", "train_content", "train_speaker"])
def test_two_processes_equal_one(workplace: Path, recipe: str) -> None:
    options = ["smoke=true", "schedule.max_steps=4", "schedule.decay_steps=0", "max_frames=512", "schedule.warmup_steps=1",
               "precision=fp32", "device=cpu", "pieces=2"]  # fmt: skip
    if not (workplace / "runs/smoke/acoustic").exists():
        run("train_acoustic", "smoke=true", cwd=workplace)
    run(recipe, *options, f"output=runs/one-{recipe}", cwd=workplace)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc_per_node", "2"]
    run(recipe, *options, f"output=runs/two-{recipe}", cwd=workplace, launcher=launcher)
    one, two = (torch.load(workplace / f"runs/{name}-{recipe}/state.pt", weights_only=True) for name in ("one", "two"))
    worst = max(float((value - two["model"][name]).abs().max()) for name, value in one["model"].items())
    print(f"two processes against one: {worst:.1e}")
    assert worst < 1e-5 and one["step"] == two["step"] == 4


@pytest.mark.parametrize(
    ("option", "answer"),
    [
        ("max_framez=3", "there is no option max_framez; the nearest is max_frames."),
        ("schedule.max_step=3", "the nearest is schedule.max_steps."),
        ("+balanc=1", "the nearest is balance."),
        ("experiment=esd_on", "there is no experiment 'esd_on'; there are avd_semisupervised,"),
        ("schedule._target_=os.system", "_target_ must name a part of emotts; got 'os.system', which was not called."),
        (
            "corpus=/nowhere",
            "no manifest at /nowhere/manifest.jsonl; make one with recipes/prepare_corpus.py from recordings",
        ),
        ("pieces=0", "pieces must be a multiple of the 1 processes; got 0."),
        ("output=/proc/run", "/proc/run"),
        (
            "schedule._target_=emotts.training.states.read_state",
            "schedule cannot be made from its _target_ and its values",
        ),
    ],
)
def test_a_mistake_costs_one_line(option: str, answer: str, corpus: Path, workplace: Path) -> None:
    given = [option, *([] if option.startswith("corpus") else [f"corpus={corpus}"])]
    done = run("train_acoustic", *given, "acoustic=tiny", "device=cpu", cwd=workplace, returncode=1)
    assert done.startswith("train_acoustic: error: ") and answer in done and done.count("\n") == 1


def test_a_network_of_another_recipe_is_refused() -> None:
    from start import options_of

    with pytest.raises(ValueError, match="acoustic=tiny is not for train_vocoder"):
        options_of("train_vocoder", ["acoustic=tiny"])


@pytest.mark.parametrize(
    ("option", "plugin"), [("+launch=slurm", "hydra_submitit_launcher"), ("+sweep=acoustic", "hydra_optuna_sweeper")]
)
def test_slurm_and_sweeps_compose_where_they_are_installed(option: str, plugin: str) -> None:
    from start import options_of

    try:
        __import__(f"hydra_plugins.{plugin}")
    except ImportError:
        with pytest.raises(ValueError, match=r"pip install 'emotts\[s(lurm|weep)\]'"):
            options_of("train_acoustic", [option])
    else:
        assert options_of("train_acoustic", [option]) == [option]
