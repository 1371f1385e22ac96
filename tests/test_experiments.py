"""Every named experiment from its corpora to its exports, by the commands in its own header, two steps each.

The corpora are miniatures in the real layout, under the names that the headers give; the networks are tiny. Their clips are tones,
in which no phonemes can be heard, so that aligner=listened is checked and then left out.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from miniatures import iemocap, libritts, msp_podcast, put, tone

from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.data.manifest import read_manifest, write_manifest
from emotts.data.miniature import write_miniature
from emotts.pipeline import EmoTTS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

ESD = "ESD: research only, signed form"
EMOTIONS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
SENTENCES = {  # the number in ESD's files says the split: to 20 validation, to 50 test
    1: "It is late.", 21: "Go on.", 60: "Hello there.", 61: "We wait.", 62: "The train leaves at seven.", 63: "Take the bus.",
}  # fmt: skip
TINY = {
    "train_acoustic": ["acoustic=tiny", "max_frames=2000", "judge_every=1"],
    "train_vocoder": ["vocoder=tiny", "batch_size=2", "crop_frames=32", "resolutions=[256,512]", "n_valid=1"],
    "distill_sampler": ["max_frames=2000"],
    "train_recognizer": ["recognizer=tiny", "max_frames=4000", "n_references=1"],
}
VOICES = {"a": "heart", "b": "ada", "c": "pip", "d": "leo"}  # of the miniature, as the simulated corpus names its own


def esd(root: Path, speakers: dict[str, float]) -> None:
    """Write speakers of ESD with their registers in Hz: six sentences in five emotions."""
    for speaker, f0 in speakers.items():
        lines = []
        for block, emotion in enumerate(EMOTIONS):
            for n, text in SENTENCES.items():
                name = f"{speaker}_{350 * block + n:06d}"
                put(root / speaker / emotion / f"{name}.wav", tone(f0=f0 * (1.0 + 0.1 * block)))
                lines.append(f"{name}\t{'你好' if speaker < '0011' else text}\t{emotion}")
        put(root / speaker / f"{speaker}.txt", "\r\n".join(lines) + "\r\n")


def thinned(root: Path, step: int) -> None:
    """Leave every so many clips; a corpus of which most is missing is prepared all the same."""
    for k, path in enumerate(sorted(root.rglob("*.wav"))):
        if k % step:
            path.unlink()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data/, the corpora as they are unpacked, in which the commands run."""
    folder = tmp_path_factory.mktemp("experiments")
    esd(folder / "data/ESD", {"0001": 210.0, "0011": 130.0, "0012": 120.0, "0017": 200.0, "0019": 110.0})
    (folder / "data/ESD-textgrids").mkdir()
    libritts(folder / "data/LibriTTS")
    msp_podcast(folder / "data/MSP-Podcast")
    iemocap(folder / "data/IEMOCAP")
    for k in range(100):
        put(folder / f"data/MSP-Podcast/Transcripts/MSP-PODCAST_{k:04d}_0008.txt", "And so it goes.\n")
    thinned(folder / "data/MSP-Podcast", 5)
    thinned(folder / "data/IEMOCAP", 12)
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "checkpoints").mkdir()
    yield folder
    patch.undo()


def commands(experiment: str) -> list[list[str]]:
    """Return the recipes of an experiment's header and their options, in order."""
    from run_experiment import commands_of

    words = [command.split() for command in commands_of(experiment) if command.startswith("python ")]
    return [[Path(recipe).stem, *given] for _, recipe, *given in words]


def perform(recipe: str, given: list[str], patch: pytest.MonkeyPatch, times: int) -> dict:
    """Run a command of a header with two steps for thousands, and return the configuration that it asked for."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf
    from start import options_of

    folder = ROOT / "conf" / ("prepare" if recipe == "prepare_corpus" else "")
    given = [option.replace("=/data/", "=data/") for option in given]
    options_of(recipe, list(given), folder)
    with initialize_config_dir(str(folder), version_base="1.3"):
        asked = OmegaConf.to_container(compose(recipe, overrides=given), resolve=False)
        if recipe in TINY:
            given = [option for option in given if not option.startswith("schedule.")]
            few = [
                f"output={asked['output']}",
                f"schedule.max_steps={2 * times}",
                "device=cpu",
                "precision=fp32",
                *TINY[recipe],
            ]
            given = [*given, "debug=two_steps", *few]
        if recipe == "prepare_corpus":
            given = [option for option in given if option.partition("=")[0] not in ("processes", "aligner")] + [
                "processes=1"
            ]
        config = compose(recipe, overrides=given)
    patch.setattr(sys, "argv", [f"{ROOT}/recipes/{recipe}.py", *given])
    module = import_module(recipe)
    (module.prepare if recipe == "prepare_corpus" else module.main)(config)
    return asked


def run(experiment: str, patch: pytest.MonkeyPatch, skip: tuple[str, ...] = ()) -> dict[str, dict]:
    """Run all commands of an experiment; returns what each recipe was asked, the last time."""
    done: dict[str, dict] = {}
    times: dict[str, int] = {}
    for recipe, *given in commands(experiment):
        if recipe not in skip:
            times[recipe] = times.get(recipe, 0) + 1
            done[recipe] = perform(recipe, given, patch, times[recipe])
    return done


def exported(asked: dict) -> dict:
    """Return the facts of an export; it can be loaded, and two steps were taken."""
    return load_checkpoint(Path(asked.get("export", Path(asked["output"]) / "export")))[1]


def test_english_emotions_from_recordings_to_a_voice(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("esd_en", monkeypatch)
    for recipe in ("train_recognizer", "train_vocoder", "train_acoustic"):
        facts = exported(done[recipe])
        assert facts["steps"] == 2 and facts["licence"] == ESD, recipe
    assert (workplace / "runs/esd-en-acoustic/best.json").is_file(), "the recogniser of the experiment judged it"
    modules, metadata = load_checkpoint(done["bundle"]["output"])
    assert modules.keys() == {"acoustic", "vocoder"} and metadata["licence"] == ESD, "no open licence over closed data"
    tts = EmoTTS.from_pretrained(done["bundle"]["output"])
    assert {"esd-0011", "esd-0017"} <= {voice.name for voice in tts.voices}
    assert tts.synthesize("Hello.", emotion="happy", seed=1).duration_s > 0.0


def test_two_languages_in_one_model(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="Mandarin is read by the extra espeak")
    done = run("esd_bilingual", monkeypatch)
    assert {row.language for row in read_manifest("runs/esd/manifest.jsonl")} == {"en-us", "zh"}
    assert exported(done["train_acoustic"])["steps"] == 2
    tts = EmoTTS.from_pretrained(done["bundle"]["output"])
    assert set(tts.languages) == {"en-us", "zh"}


def test_many_neutral_speakers_then_few_emotional_ones(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("libritts_then_esd", monkeypatch)
    state = torch.load("runs/libritts-esd-acoustic/state.pt", weights_only=True)
    assert state["step"] == 4, "the second stage went on in the folder of the first"
    facts = exported(done["train_acoustic"])
    assert facts["licences"] == ["CC BY 4.0", ESD] and facts["licence"] == f"CC BY 4.0; {ESD}"
    assert done["train_acoustic"]["balance"] == 0.8 and exported(done["train_vocoder"])["licences"] == ["CC BY 4.0"]


def test_labels_and_ratings_of_four_corpora_train_one_model(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("avd_semisupervised", monkeypatch)
    rows = {name: read_manifest(f"{name}/manifest.jsonl") for name in done["train_acoustic"]["corpus"]}
    assert all(rows.values()) and len(rows) == 4
    assert all(row.arousal is not None for row in rows["runs/msp"]), "rated"
    assert all(row.arousal is not None for row in rows["runs/esd-en"]), "heard by the bundled recogniser"
    assert any(row.mixture is not None for row in rows["runs/iemocap"]), "votes"
    facts = exported(done["train_acoustic"])
    assert facts["steps"] == 2 and facts["utterances"] == sum(map(len, rows.values()))


def test_the_bundled_model_from_its_corpus_to_a_bundle(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the simulation, whose teachers are an extra, and the calibrations, which need a model that speaks."""
    write_miniature(Path("runs/simulated"))
    shutil.move("runs/simulated/corpus", "runs/corpus")
    rows = read_manifest("runs/corpus/manifest.jsonl")
    for row in rows:
        object.__setattr__(row, "voice", VOICES[row.voice])
    write_manifest("runs/corpus/manifest.jsonl", rows)
    monkeypatch.setitem(TINY, "train_recognizer", [*TINY["train_recognizer"], "is_simulated=false"])
    skipped = ("simulate_corpus", "train_judge", "calibrate_level", "calibrate_intensity", "bundle", "distill_sampler")
    done = run("simulated_cpu", monkeypatch, skipped)
    assert all(exported(asked)["licence"] == "Apache-2.0" for asked in done.values())
    perform("bundle", ["output=runs/bundle", "voice_classes=[]"], monkeypatch, 1)
    for recipe, *given in commands("simulated_cpu"):
        if recipe == "distill_sampler":
            assert exported(perform(recipe, given, monkeypatch, 1))["licence"] == "Apache-2.0"
    student = "student_folder=runs/student/export"
    perform("bundle", ["output=runs/bundle", "voice_classes=[]", student], monkeypatch, 1)
    tts = EmoTTS.from_pretrained("runs/bundle")
    assert {voice.name for voice in tts.voices} == set(VOICES.values()) and tts.metadata["licence"] == "Apache-2.0"
    assert tts.student is not None and np.isfinite(tts.synthesize("Hello.", seed=1).waveform).all()


def test_what_was_made_is_compared_with_what_was_shipped(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle of the experiment above takes the place of the shipped one: it is reproduced, and noise is not."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import reproduction
    from omegaconf import OmegaConf

    shutil.copytree("runs/bundle", "shipped/bundled")
    given = ["--shipped", "shipped", "--new", "runs", "--out", "compared", "--parts"]

    def compared(*parts: str) -> dict[str, dict]:
        reproduction.main([*given, *parts])
        found = json.loads(Path("compared.json").read_text())
        assert {part for part in parts if part == "judge"} == set(found["not_run"])
        return {f"{figure['part']}: {figure['measure']}": figure for figure in found["figures"]}

    same = compared("vocoder", "acoustic", "judge")
    assert {"vocoder: mel_l1", "acoustic: loss", "acoustic: mel_flow"} <= same.keys()
    assert all(figure["is_reproduced"] for figure in same.values()), same
    modules, metadata = load_checkpoint("runs/acoustic/export")
    with torch.no_grad():
        for weight in modules["acoustic"].parameters():
            weight += torch.randn_like(weight)
    config = {
        "acoustic": (
            OmegaConf.to_container(OmegaConf.load("runs/acoustic/export/config.yaml"))["acoustic"],
            modules["acoustic"],
        )
    }
    save_checkpoint("runs/acoustic/export", config, metadata)
    worse = compared("acoustic")
    assert not worse["acoustic: loss"]["is_reproduced"] and "**worse**" in Path("compared.md").read_text()


@pytest.mark.parametrize(
    "experiment", ["esd_en", "esd_bilingual", "libritts_then_esd", "avd_semisupervised", "simulated_cpu"]
)
def test_headers_say_what_was_trained(experiment: str) -> None:
    text = (ROOT / f"conf/experiment/{experiment}.yaml").read_text()
    assert "\n# trained:  " in text and "never in full" in text
