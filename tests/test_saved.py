"""What recipes save of one small corpus of recordings: it is loaded, its card is true, bundles say what their parts say."""

import json
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import emotts
from emotts.checkpoint import CheckpointError, load_checkpoint
from emotts.checkpoint.card import model_card_text
from emotts.checkpoint.described import corpora_text
from emotts.cli import main
from emotts.data.miniature import write_miniature
from emotts.data.rows import open_rows
from emotts.judges import JUDGES
from emotts.loading import Listeners, describe
from emotts.pipeline import EmoTTS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

import facts_bundle  # noqa: E402
import facts_data  # noqa: E402
from start import options_of  # noqa: E402

ESD = "ESD: research only, signed form"
GENDERS = {"a": "m", "b": "f", "c": "m", "d": None}  # of the voices of the miniature
WEARY = ("smoke=true", "checkpoint=runs/smoke/bundle", "mode=emotion", "name=weary", "output=runs/smoke/weary")
RECIPES = [
    *((name, ("smoke=true",)) for name in (
        "train_acoustic", "train_vocoder", "distill_sampler", "bundle", "train_content", "erase_voice", "train_speaker",
        "bundle_converter", "train_recognizer", "train_judge", "finetune",
    )),
    ("finetune", WEARY),
]  # fmt: skip
SAVED = {  # what it is -> where it lies, its class, and who reads what does not speak
    "acoustic": ("acoustic/export", "EmoTTS", None),
    "bundle": ("bundle", "EmoTTS", None),
    "finetuned": ("finetuned/export", "EmoTTS", None),
    "vocoder": ("vocoder/export", "HarmonicNoiseGenerator", "emotts.load"),
    "student": ("student/export", "FlowStudent", "emotts.load"),
    "content": ("content/export", "Listener", "emotts.listeners.load_listener"),
    "speaker": ("speaker/export", "ReferenceVoice", "emotts.listeners.load_reference_voice"),
    "converter": ("converter", "Listeners", "emotts.load"),
    "recognizer": ("recognizer/export", "RecognizerJudge", 'emotts.judges.load_judge("recognizer", folder)'),
    "judge": ("judge/export", "FeaturesJudge", 'emotts.judges.load_judge("features", folder)'),
    "direction": ("weary/weary.safetensors", "Direction", None),
}


def recorded(folder: Path) -> None:
    """Make the miniature a corpus of ESD: its licence in every row, and an origin for each."""
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"CC0-1.0"', json.dumps(ESD)))
    origins = [
        {
            "id": row.id, "corpus": "esd", "source": "x.wav", "raw_label": None, "gender": GENDERS[row.voice],
            "alignment": "textgrid", "avd_weight": [1.0, 1.0, 1.0],
        }
        for row in open_rows(folder)
    ]  # fmt: skip
    (folder / "origins.jsonl").write_text("".join(json.dumps(one) + "\n" for one in origins))


def run(recipe: str, given: tuple[str, ...], patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "argv", [f"{ROOT}/recipes/{recipe}.py", *given])
    options = options_of(recipe, list(given))
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(recipe, overrides=options)
    import_module(recipe).main(config)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every recipe leaves of a corpus of recordings."""
    folder = tmp_path_factory.mktemp("saved")
    write_miniature(folder / "runs/smoke")
    recorded(folder / "runs/smoke/corpus")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    for recipe, given in RECIPES:
        run(recipe, given, patch)
    patch.undo()
    return folder / "runs/smoke"


def section(card: str, name: str) -> str:
    return card.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.filterwarnings("ignore:.*acoustic model alone")
@pytest.mark.parametrize("kind", SAVED)
def test_whatever_a_recipe_saved_is_loaded(kind: str, saved: Path) -> None:
    place, name, reader = SAVED[kind]
    found = emotts.load(saved / place)
    assert type(found).__name__ == name
    if name == "EmoTTS":
        assert isinstance(found, EmoTTS) and found.synthesize("Hello.", seed=1).duration_s > 0
    elif name.endswith("Judge"):
        assert found.name in JUDGES
    elif isinstance(found, Listeners):
        assert type(found.listener).__name__ == "Listener" and type(found.reference_voice).__name__ == "ReferenceVoice"
    if reader is not None:
        with pytest.raises(CheckpointError) as told:
            EmoTTS.from_pretrained(saved / place)
        assert "which does not speak" in str(told.value) and f"{reader}" in str(told.value)


def test_nothing_and_what_no_recipe_saves_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointError, match="checkpoint"):
            emotts.load(place)
    (tmp_path / "x.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="not a direction"):
        emotts.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("kind", SAVED)
def test_a_card_knows_all_that_a_recipe_recorded(kind: str, saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, _, _ = SAVED[kind]
    assert main(["card", str(saved / place)]) == 0
    card = capsys.readouterr().out
    assert section(card, "Not known").splitlines()[-1:] == ["- evaluation"]
    assert len(re.findall(r"(?:: |\| |# )unknown", card)) == 1, "of the evaluation, which nobody made"
    assert f"- Licence: {ESD}" in card or "; recordings" in card.splitlines()[2]
    assert "- Corpora: ESD (" in section(card, "Data") and "simulated" not in section(card, "Data")
    assert "en-us" in section(card, "Languages") and "/export" not in card.splitlines()[0]


@pytest.mark.parametrize("kind", ["acoustic", "bundle", "finetuned"])
def test_voices_are_those_of_manifest_and_origins(kind: str, saved: Path) -> None:
    voices = section(model_card_text(saved / SAVED[kind][0]), "Voices")
    for name, gender in GENDERS.items():
        told = {"m": "male", "f": "female", None: ""}[gender]
        assert f"| {name} | {told} | en-us | {ESD} | recordings of ESD" in voices


def test_a_bundle_says_what_its_parts_learnt_from(saved: Path) -> None:
    bundle, converter = (describe(saved / name).metadata for name in ("bundle", "converter"))
    assert bundle["name"] == "emotts-esd-en" and converter["name"] == "emotts-converter-esd-en"
    assert bundle["data"] == f"ESD (0.02 hours; 4 voices; en-us; {ESD})" == converter["data"]
    assert bundle["languages"] == converter["languages"] == ["en-us"] and bundle["licence"] == ESD
    assert "voices" not in bundle["training"]["acoustic"] and len(bundle["voices"]) == 4
    assert bundle["training"]["vocoder"]["metrics"]["valid"]["step"] == 2
    assert "vocoder, valid, last row of metrics.jsonl: step 2" in model_card_text(saved / "bundle")


def test_name_and_data_may_be_given_and_a_bundle_is_bundled_again(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = (f"acoustic_folder={saved}/bundle", f"vocoder_folder={saved}/bundle", "default_voice=b")
    run("bundle", (*parts, "output=again"), monkeypatch)
    again, before = describe("again").metadata, describe(saved / "bundle").metadata
    assert all(again[key] == before[key] for key in ("name", "data", "voices", "licence"))
    run("bundle", (*parts, "output=mine", "name=mine", "data=what I said"), monkeypatch)
    assert describe("mine").metadata["name"] == "mine" and describe("mine").metadata["data"] == "what I said"
    both = (f"content_folder={saved}/converter", f"speaker_folder={saved}/converter", f"acoustic_folder={saved}/bundle")
    run("bundle_converter", (*both, "output=other", "name=theirs", "data=what they said"), monkeypatch)
    assert describe("other").metadata["name"] == "theirs" and describe("other").metadata["data"] == "what they said"
    run("bundle", (*parts[:2], "output=first"), monkeypatch)
    assert describe("first").metadata["default_voice"] == "a", "no heart in it"
    with pytest.raises(ValueError, match="default_voice must be one of the voices, a, b, c, d; got 'heart'"):
        run("bundle", (*parts[:2], "output=mine", "default_voice=heart"), monkeypatch)
    with pytest.raises(
        ValueError, match="vocoder must come from a folder that holds it; .*converter holds reference_v"
    ):
        run("bundle", (parts[0], f"vocoder_folder={saved}/converter", "output=mine"), monkeypatch)
    with pytest.raises(
        ValueError, match="speech_encoder must come from a folder that holds it; .*bundle holds acoustic"
    ):
        run("bundle_converter", (f"content_folder={saved}/bundle", *both[1:], "output=mine"), monkeypatch)


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("level_db", "{a", "level_db must be a JSON file; given.json is none"),
        ("level_db", '{"heart": 1.5}', "level_db names heart; the acoustic model has the voices a, b, c, d."),
        ("level_db", '{"a": NaN}', "level_db must give dB by voice"),
        ("level_db", "[1.5]", "level_db must give dB by voice"),
        ("intensity_curves", "", "intensity_curves must be a JSON file; given.json is none"),
        ("intensity_curves", '{"a": 1.5}', "intensity_curves must be a file of labels"),
    ],
)
def test_files_of_calibrations_are_of_this_model(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, content: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given.json").write_text(content)
    parts = (f"acoustic_folder={saved}/bundle", f"vocoder_folder={saved}/bundle", "output=mine", f"{option}=given.json")
    with pytest.raises(ValueError, match=re.escape(message)):
        run("bundle", parts, monkeypatch)


def test_levels_of_voices_that_stay_are_taken(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "level.json").write_text('{"a": 1.5, "b": 2}')
    parts = (f"acoustic_folder={saved}/bundle", f"vocoder_folder={saved}/bundle", "output=mine", "voices=[b,c]")
    run("bundle", (*parts, "level_db=level.json", "voice_classes=[]"), monkeypatch)
    assert describe("mine").metadata["level_db"] == {"b": 2.0} and describe("mine").metadata["default_voice"] == "b"


def test_teachers_describe_simulated_voices_and_no_others() -> None:
    from bundle import card_of, described

    teachers = described(["emotts.simulation.hibari.HibariTeacher"])
    plain = {"name": "max", "accent": "en-us", "licence": "Apache-2.0", "description": ""}
    assert card_of("max", {"max": plain}, teachers) == teachers["max"] == card_of("max", {}, teachers)
    own = {**plain, "licence": "in-house", "description": "recordings of mine"}
    assert card_of("max", {"max": own}, teachers) == own, "somebody else of the same name"
    assert card_of("eve", {}, teachers) == {"name": "eve"}


def test_corpora_are_called_what_they_are(tmp_path: Path) -> None:
    write_miniature(tmp_path / "esd")
    shutil.move(tmp_path / "esd/corpus", tmp_path / "own")
    (tmp_path / "esd").rename(tmp_path / "old")
    (tmp_path / "own").rename(tmp_path / "esd")
    config = OmegaConf.create({"corpus": str(tmp_path / "esd")})

    def title() -> str:
        rows = open_rows(tmp_path / "esd")
        (one,), (same,) = facts_data.corpora_of(config, [rows]), facts_data.corpora_of(config, [list(rows)])
        assert one == same and one["voices"] == 4 and one["hours"] > 0
        return one["title"]

    assert title() == "esd", "a folder of this name is no proof"
    (tmp_path / "esd/report.json").write_text('{"utterances": 80}')
    assert title() == "esd"
    (tmp_path / "esd/report.json").write_text('{"processor_seconds": {}}')
    assert title() == "simulated emotion, recipes/simulate_corpus.py"
    assert facts_data.voice_cards(open_rows(tmp_path / "esd"))[0] == {
        "name": "a", "gender": "", "accent": "en-us", "licence": "CC0-1.0", "description": "",
    }  # fmt: skip
    recorded(tmp_path / "esd")
    assert title() == "ESD"
    cards = facts_data.voice_cards(open_rows(tmp_path / "esd").renamed({"b": "anna"}))
    assert cards[1]["name"] == "anna" and cards[1]["gender"] == "female" and cards[3]["gender"] == ""


def test_names_of_bundles_follow_their_corpora() -> None:
    esd = {"name": "esd", "title": "ESD", "hours": 2.0, "voices": 1, "languages": ["zh"], "licences": [ESD]}
    fewer, crowd = {**esd, "hours": 1.0}, {"name": "crowd", "title": "many", "hours": 0}
    parts = [{"corpora": [fewer]}, {"training": {"vocoder": {"corpora": [esd, crowd]}}}]
    assert facts_bundle.name_of("emotts", parts, ["en-us", "zh"], "runs/x") == "emotts-esd-crowd-en-zh"
    assert facts_bundle.data_of(parts) == f"ESD (2 hours; 1 voice; zh; {ESD}); many"
    assert facts_bundle.name_of("emotts", [{}], ["en-us"], "runs/x") == "x"
    assert facts_bundle.data_of([{}]) is None and corpora_text([]) == ""
    assert facts_bundle.data_of([{"data": "ESD, as it was"}, {"corpora": [esd]}]) == "ESD, as it was"


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf").glob("*.yaml")))
def test_no_recipe_writes_over_what_is_shipped(name: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = OmegaConf.to_container(compose(name), resolve=True)
    for key in ("output", "export", "folder"):
        assert not str(config.get(key, "")).startswith("checkpoints"), "shipping is a word more"


def test_loading_is_public() -> None:
    assert "load" in emotts.__all__ and emotts.load.__module__ == "emotts.loading"
    assert load_checkpoint.__module__ == "emotts.checkpoint.load"
