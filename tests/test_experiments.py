"""Every named experiment from its corpora to its exports, by the commands in its own header, two steps each.

The corpora are miniatures in the real layout, under the names that the headers give; the networks are tiny. The English clips of
ESD and those of LibriTTS are spoken by the bundled model, so that they are heard and aligned in earnest; those of MSP-Podcast and
IEMOCAP are tones, in which no phonemes can be heard, so that for them aligner=listened is checked and then left out.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from miniatures import iemocap, libritts, msp_podcast, put, tone

from emotts.audio import save_audio
from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.checkpoint.card import model_card_text
from emotts.cli import main as emotts_command
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
TINY_CONTENT = ["speech_encoder.content=64", "speech_encoder.channels=32", "speech_encoder.layout=c"]
TINY_VOICES = [
    f"reference_voice.{part}.{key}={value}"
    for part, sizes in (("encoder", {"speaker": 8}), ("adapter", {"trunk": 64}))
    for key, value in {**sizes, "channels": 32, "layout": "c"}.items()
]
TINY = {
    "train_acoustic": ["acoustic=tiny", "max_frames=2000", "judge_every=1"],
    "train_vocoder": ["vocoder=tiny", "batch_size=2", "crop_frames=32", "resolutions=[256,512]", "n_valid=1"],
    "distill_sampler": ["max_frames=2000"],
    "train_recognizer": ["recognizer=tiny", "max_frames=4000", "n_references=1"],
    "train_content": ["max_frames=512", "mixing.nonspeech_clips=5", *TINY_CONTENT],
    "train_speaker": ["max_frames=512", *TINY_VOICES],
}
TONES = ("msp_podcast", "iemocap")  # corpora whose clips are tones
SPEAKERS = {"0011": "max", "0012": "otto", "0017": "heart", "0019": "joe"}  # bundled voices that speak for those of ESD
VOICES = {"a": "heart", "b": "ada", "c": "pip", "d": "leo"}  # of the miniature, as the simulated corpus names its own


@cache
def speaker() -> EmoTTS:
    """Return the bundled model, whose clips stand for recordings."""
    return EmoTTS.from_pretrained(backend="plain")


def say(path: Path, text: str, voice: str) -> bytes:
    """Write a sentence as a recording at path and return the file."""
    save_audio(path, speaker().synthesize(text, voice=voice, seed=0).waveform)
    return path.read_bytes()


def spoken_esd(root: Path, grids: Path) -> None:
    """Write English speakers of ESD, who speak; and TextGrids of their clips, as `emotts align` makes them."""
    for name, voice in SPEAKERS.items():
        lines = []
        for n, text in SENTENCES.items():
            first = grids / name / f"{name}_{n:06d}.wav"
            first.parent.mkdir(parents=True, exist_ok=True)
            clip = say(first, text, voice)
            assert emotts_command(["align", str(first), "--text", text, "-o", str(first.with_suffix(".TextGrid"))]) == 0
            grid = first.with_suffix(".TextGrid").read_bytes()
            for block, emotion in enumerate(EMOTIONS):
                stem = f"{name}_{350 * block + n:06d}"
                put(root / name / emotion / f"{stem}.wav", clip)
                put(grids / name / f"{stem}.TextGrid", grid)
                lines.append(f"{stem}\t{text}\t{emotion}")
            first.unlink()
        put(root / name / f"{name}.txt", "\r\n".join(lines) + "\r\n")


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
    esd(folder / "data/ESD", {"0001": 210.0})
    spoken_esd(folder / "data/ESD", folder / "data/ESD-textgrids")
    libritts(folder / "data/LibriTTS")
    for text, voice in zip(sorted(folder.rglob("*.normalized.txt")), SPEAKERS.values(), strict=False):
        say(Path(str(text).replace(".normalized.txt", ".wav")), text.read_text().splitlines()[0], voice)
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


EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml") if path.stem != "none")


def commands(experiment: str) -> list[list[str]]:
    """Return the recipes of an experiment's header and their options, in order."""
    from run_experiment import commands_of

    words = [command.split() for command in commands_of(experiment) if command.startswith("python ")]
    return [[Path(recipe).stem, *given] for _, recipe, *given in words]


def simulated(folder: Path, voices: dict[str, str]) -> None:
    """Make the miniature a simulated corpus of these voices."""
    write_miniature(folder.with_name(f"{folder.name}-miniature"))
    shutil.move(folder.with_name(f"{folder.name}-miniature") / "corpus", folder)
    rows = read_manifest(folder / "manifest.jsonl")
    for row in rows:
        object.__setattr__(row, "voice", voices[row.voice])
    write_manifest(folder / "manifest.jsonl", rows)
    (folder / "report.json").write_text('{"processor_seconds": {}}')


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
            gone = ("processes", "aligner") if any(f"corpus={name}" in given for name in TONES) else ("processes",)
            given = [*(option for option in given if option.partition("=")[0] not in gone), "processes=1"]
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
    return load_checkpoint(Path(asked["output"]) / "export")[1]


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
    report = json.loads((workplace / "runs/esd-en/report.json").read_text())
    assert report["alignment"] == {"listened": report["utterances"]} and report["utterances"] == 4 * 6 * 5, (
        "all were heard"
    )
    card = model_card_text(done["bundle"]["output"])
    assert card.startswith("# emotts-esd-en\n") and f"- Licence: {ESD}" in card
    data = card.split("## Data\n")[1].split("## ")[0]
    assert "- Corpora: ESD (" in data and f"4 voices; en-us; {ESD})" in data and "simulated" not in card
    assert f"| esd-0017 | female | en-us | {ESD} | recordings of ESD |" in card
    assert tts.synthesize("Hello.", emotion="happy", seed=1).duration_s > 0.0


def test_two_languages_in_one_model(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="Mandarin is read by the extra espeak")
    done = run("esd_bilingual", monkeypatch)
    assert {row.language for row in read_manifest("runs/esd/manifest.jsonl")} == {"en-us", "zh"}
    assert exported(done["train_acoustic"])["steps"] == 2
    aligned = Counter(
        (one["id"][:8], one["alignment"])
        for one in map(json.loads, Path("runs/esd/origins.jsonl").read_text().splitlines())
    )
    english = {(f"esd-{name}", "textgrid"): 30 for name in SPEAKERS}
    assert aligned == {**english, ("esd-0001", "expected"): 30}, "only Mandarin has no TextGrids here"
    tts = EmoTTS.from_pretrained(done["bundle"]["output"])
    assert set(tts.languages) == {"en-us", "zh"}
    assert load_checkpoint(done["bundle"]["output"])[1]["name"] == "emotts-esd-en-zh"


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
    heard = exported(done["train_recognizer"])
    assert heard["steps"] == 2 and heard["split"] == "of the manifest" and "ccc_arousal" in heard["figures"]["test"]
    assert all(row.arousal is not None for row in rows["runs/esd-rated"]), "heard by the recogniser of people's ratings"
    with open("runs/esd-rated/report.json", encoding="utf-8") as file:
        assert json.load(file)["filled_by_recogniser"] == len(rows["runs/esd-rated"])
    assert any(row.mixture is not None for row in rows["runs/iemocap"]), "votes"
    facts = exported(done["train_acoustic"])
    assert facts["steps"] == 2 and facts["utterances"] == sum(map(len, rows.values()))


def test_the_bundled_model_from_its_corpus_to_a_bundle(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the simulation, whose teachers are an extra, and the calibrations, which need a model that speaks."""
    simulated(Path("runs/corpus"), VOICES)
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
    assert tts.metadata["name"] == "emotts-simulated-en"
    assert tts.metadata["data"].startswith("simulated emotion, recipes/simulate_corpus.py (")


def test_the_bundled_converter_for_the_model_above(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the crowd itself, whose teachers are an extra."""
    assert Path("runs/bundle").is_dir(), "of the experiment before"
    simulated(Path("runs/crowd"), {"a": "crowd-h000", "b": "crowd-h001", "c": "crowd-k000", "d": "crowd-p000"})
    done = run("simulated_cpu_converter", monkeypatch, ("simulate_crowd",))
    assert exported(done["train_content"])["erased"]["rank"] == 8, "the voice was taken out"
    for recipe in ("train_content", "train_speaker"):
        assert exported(done[recipe])["steps"] == 2 and done[recipe]["acoustic_folder"] == "runs/bundle"
    metadata = load_checkpoint(done["bundle_converter"]["output"])[1]
    assert metadata["name"] == "emotts-converter-simulated-crowd-en" and metadata["licence"] == "Apache-2.0"
    assert "many simulated voices, recipes/simulate_crowd.py (" in metadata["data"]
    monkeypatch.setenv("EMOTTS_CONVERTER", done["bundle_converter"]["output"])
    assert EmoTTS.from_pretrained("runs/bundle").converter.listener.model.reach == 2


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


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_headers_say_what_was_trained(experiment: str) -> None:
    text = (ROOT / f"conf/experiment/{experiment}.yaml").read_text()
    assert "\n# trained:  " in text
    how_far = {"simulated_cpu": "\n# trained:  from nothing and in full"}  # the others await their corpora
    assert how_far.get(experiment, "never in full") in text
