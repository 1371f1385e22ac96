"""What recipes publish of themselves, and what they refuse to publish or to call."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from emotts.data.miniature import write_miniature

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
sys.path.insert(0, str(RECIPES))

import facts  # noqa: E402
from bundle import described  # noqa: E402
from licences import bundled_licence, check_licence, licence_of, licences_of  # noqa: E402
from start import is_of_emotts, options_of, refuse_foreign_targets  # noqa: E402


def test_no_folder_of_this_machine_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = [f"{RECIPES}/train_acoustic.py", "corpus=[/home/ada/esd,runs/b]", "output=~/out", "note=a b"]
    monkeypatch.setattr(sys, "argv", argv)
    config = OmegaConf.create({"seed": 1, "corpus": ["/home/ada/esd", "runs/b"], "deep": {"judge": "/data/x/judge"}})
    told = facts.facts_of(config, [])
    assert told["command"] == "python recipes/train_acoustic.py 'corpus=[esd,runs/b]' output=out 'note=a b'"
    assert told["config"] == {"seed": 1, "corpus": ["esd", "runs/b"], "deep": {"judge": "judge"}}
    assert "/home" not in json.dumps(told) and "/data" not in json.dumps(told)


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert facts.commit() == "unknown"


def test_open_weights_are_not_made_of_closed_data() -> None:
    trained = {"acoustic": {"licences": ["Apache-2.0", "ESD: research only, signed form"]}, "vocoder": {}}
    with pytest.raises(ValueError, match="acoustic learnt from data under 'ESD: research only"):
        check_licence("Apache-2.0", trained)
    check_licence("ESD: research only, signed form", trained)
    check_licence("Apache-2.0", {"acoustic": {"licences": ["Apache-2.0", "CC0-1.0", "BSD-like"]}})


ESD = "ESD: research only, signed form"


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["CC0-1.0", "BSD-like"], "Apache-2.0"),
        ([ESD, "CC0-1.0"], ESD),
        (["CC BY 4.0", ESD, "MIT"], f"CC BY 4.0; {ESD}"),
        ([], "not recorded"),
        (["CC0-1.0", "not recorded"], "not recorded"),
    ],
)
def test_the_data_decide_the_licence_of_weights(licences: list[str], expected: str) -> None:
    assert licence_of(licences) == expected


def test_what_a_model_began_from_counts_too() -> None:
    assert licences_of({"training": {"acoustic": {"licences": ["CC0-1.0"]}, "finetune": {"licences": [ESD]}}}) == [
        "CC0-1.0",
        ESD,
    ]
    assert licences_of({"licence": "Apache-2.0", "training": {"acoustic": {"steps": 3}}}) == ["Apache-2.0"]
    assert licences_of({"steps": 3}) == ["not recorded"]


def test_a_bundle_takes_the_licence_of_its_data() -> None:
    closed = {"acoustic": {"licences": [ESD]}, "vocoder": {"licences": ["CC0-1.0"]}}
    assert bundled_licence(None, closed) == ESD
    assert bundled_licence("in-house", closed) == "in-house"
    for name in ("CC-BY-4.0", "apache-2.0"):
        with pytest.raises(ValueError, match="acoustic learnt from data under 'ESD"):
            bundled_licence(name, closed)
    parts = {"licence": "research only", "training": {"acoustic": {"licences": ["MIT"]}, "student": {"steps": 3}}}
    assert licences_of(parts) == ["MIT", "research only"], (
        "what is stated of the whole counts, and stands for its silent parts"
    )
    with pytest.raises(ValueError, match="acoustic learnt from data under 'ESD"):
        bundled_licence("Apache-2.0", closed)
    with pytest.raises(ValueError, match="finetune"):
        nested = {"finetune": {"training": {"acoustic": {"licences": ["MIT"]}, "finetune": {"licences": [ESD]}}}}
        bundled_licence("MIT", nested)
    with pytest.raises(ValueError, match="licence of the data of vocoder was not recorded; say licence="):
        bundled_licence(None, {"acoustic": {"licences": ["MIT"]}, "vocoder": {"steps": 3}})
    assert bundled_licence("MIT", {"vocoder": {"steps": 3}}) == "MIT"


TRAINERS = ("train_acoustic", "train_vocoder", "train_content", "train_speaker", "train_recognizer", "train_judge")


@pytest.fixture(scope="module")
def closed_exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every trainer exports of a corpus whose rows are ESD's, by its smoke options."""
    folder = tmp_path_factory.mktemp("closed")
    write_miniature(folder / "runs/smoke")
    manifest = folder / "runs/smoke/corpus/manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"CC0-1.0"', json.dumps(ESD)))
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    for recipe in TRAINERS:
        patch.setattr(sys, "argv", [f"{RECIPES}/{recipe}.py", "smoke=true"])
        options = options_of(recipe, ["smoke=true"])
        with initialize_config_dir(str(RECIPES.parent / "conf"), version_base="1.3"):
            config = compose(recipe, overrides=options)
        import_module(recipe).main(config)
    patch.undo()
    return folder / "runs/smoke"


@pytest.mark.parametrize("recipe", TRAINERS)
def test_every_export_says_how_and_of_what_it_was_made(recipe: str, closed_exports: Path) -> None:
    """The commit is that of this checkout, hours are those of the rows, and closed data make closed weights."""
    path = next((closed_exports / recipe.removeprefix("train_") / "export").glob("*.json"))
    told = json.loads(path.read_text())["metadata"]
    assert told["recipe"] == recipe and told["commit"] == facts.commit()
    assert told["command"].startswith(f"python recipes/{recipe}.py smoke=true")
    assert told["licence"] == ESD and ESD in told["licences"]
    assert told["utterances"] > 0 and told["hours"] > 0 and told["config"]["seed"] == told["seed"] == 0
    assert recipe == "train_judge" or (told["steps"] == 2 and told["minutes"] >= 0)


MARK = """
from pathlib import Path
Path("imported").touch()
class Voices:
    voices = {}
"""


@pytest.mark.parametrize(
    "path", ["evil.Voices", "os.system", "emotts.training.states.Path", "emotts.simulation.nothing.Here", "", "emotts"]
)
def test_voices_are_described_by_classes_of_emotts_only(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text(MARK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="voice_classes must name"):
        described([path])
    assert not (tmp_path / "imported").exists()


def test_a_class_without_voices_describes_none() -> None:
    with pytest.raises(ValueError, match="emotts.training.Trainer has none"):
        described(["emotts.training.Trainer"])
    assert described([]) == {}


@pytest.mark.parametrize(
    "target",
    ["os.system", "emotts.training.states.os.mkdir", "emotts.training.states.Path.touch", "emotts.nothing.Here"],
)
def test_only_what_emotts_defines_may_be_called(target: str, tmp_path: Path) -> None:
    assert not is_of_emotts(target)
    with pytest.raises(ValueError, match="which was not called"):
        refuse_foreign_targets(OmegaConf.create({"model": {"_target_": target, "path": str(tmp_path / "made")}}))
    assert not list(tmp_path.iterdir())


def test_what_emotts_defines_may_be_called() -> None:
    refuse_foreign_targets(OmegaConf.create({"a": [{"_target_": "emotts.training.Schedule"}]}))


def test_a_student_speaks_for_its_own_teacher_only() -> None:
    from test_acoustic import tiny_model

    own, stored, other = tiny_model(0), tiny_model(0).half().float(), tiny_model(1)
    told = {"flows": facts.flows_of(own)}
    facts.check_student(told, own)
    facts.check_student(told, stored)
    facts.check_student({}, other)  # an older one does not say
    with pytest.raises(ValueError, match="learnt from other flows"):
        facts.check_student(told, other)
