"""Fine-tuning as a run: killed and taken up, short of memory, on two processes, again after another one, in another language."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from finetuning import ROOT, corpus_of, finetune, rewritten

from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.checkpoint.card import model_card_text
from emotts.pipeline import EmoTTS


class Killed(BaseException):
    """Nothing that happens after it happens."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus_of(tmp_path_factory.mktemp("mine"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return what was trained, raw and averaged."""
    state = torch.load(folder / "state.pt", weights_only=True)
    return state["model"] | {f"average {i}": value for i, value in enumerate(state["ema"]["shadow_params"])}


def worst(one: Path, other: Path) -> float:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return max(float((value - b[name]).abs().max()) for name, value in a.items())


# --- a run that was broken off


@pytest.mark.parametrize("where", ["before the export", "before the record", "in the vocoder"])
def test_the_same_command_finishes_what_a_kill_left(
    where: str, corpus: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import finetune as recipe

    few = (
        f"corpus={corpus}",
        f"checkpoint={tiny_checkpoint}",
        "rank=2",
        "max_steps=2",
        "valid_every=2",
        "vocoder_steps=1",
    )
    finetune(*few, f"output={tmp_path}/whole")

    def kill(*_: object, **__: object) -> None:
        raise Killed

    function = {"before the export": "save_checkpoint", "before the record": "write_atomically"}.get(
        where, "adapt_vocoder"
    )
    with monkeypatch.context() as patched:
        patched.setattr(recipe, function, kill)
        with pytest.raises(Killed):
            finetune(*few, f"output={tmp_path}/broken")
    assert (tmp_path / "broken" / "state.pt").is_file()
    assert (tmp_path / "broken" / "export").exists() == (where != "before the export")
    finetune(*few, f"output={tmp_path}/broken")
    tts = EmoTTS.from_pretrained(tmp_path / "broken" / "export")
    assert tts.synthesize("Hello there.", voice="mia", seed=1).duration_s > 0
    for name, module in load_checkpoint(tmp_path / "whole" / "export")[0].items():
        other = load_checkpoint(tmp_path / "broken" / "export")[0][name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in module.state_dict().items())


def test_a_run_that_goes_on_adapts_the_vocoder_of_its_new_best(
    corpus: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    few = (
        f"corpus={corpus}",
        f"checkpoint={tiny_checkpoint}",
        f"output={tmp_path}",
        "rank=2",
        "valid_every=2",
        "vocoder_steps=1",
    )
    for steps in (2, 4):
        finetune(*few, f"max_steps={steps}")
        record = json.loads((tmp_path / "best.json").read_text())
        assert record["step"] == steps == record["heard"] and record["vocoder_steps"] == 1


# --- memory and processes


def test_a_batch_that_does_not_fit_is_computed_in_parts_with_the_same_result(
    corpus: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import finetune as recipe

    few = (f"corpus={corpus}", f"checkpoint={tiny_checkpoint}", "mode=lora", "rank=2", "max_steps=4", "valid_every=4",
           "vocoder_steps=0", "warmup_steps=4")  # fmt: skip
    finetune(*few, f"output={tmp_path}/whole")
    plain, sizes = recipe.acoustic_losses, []

    def small_memory(model: object, condition: object, *others: object) -> dict[str, torch.Tensor]:
        n = len(condition.voice)
        if model.training and n > 2:
            raise torch.OutOfMemoryError("out of memory")
        sizes.extend([n] if model.training else [])
        return plain(model, condition, *others)

    monkeypatch.setattr(recipe, "acoustic_losses", small_memory)
    finetune(*few, f"output={tmp_path}/parts")
    assert "in 2 parts from here on" in capsys.readouterr().out and max(sizes) <= 2
    found = worst(tmp_path / "whole", tmp_path / "parts")
    print(f"in parts against whole: {found:.1e}")
    assert found < 1e-5


def test_two_processes_equal_one(corpus: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    few = (f"corpus={corpus}", f"checkpoint={tiny_checkpoint}", "mode=lora", "rank=2", "max_steps=4", "valid_every=2",
           "vocoder_steps=1", "pieces=2")  # fmt: skip
    finetune(*few, f"output={tmp_path}/one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1",
               "--nproc_per_node", "2", "recipes/finetune.py", *few, f"output={tmp_path}/two", "device=cpu", "precision=fp32",
               "max_frames=128"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    found = worst(tmp_path / "one", tmp_path / "two")
    print(f"two processes against one: {found:.1e}")
    assert found < 1e-5
    assert done.stdout.count("step 4: held-out loss") == 1, "the first process alone tells and writes"
    assert EmoTTS.from_pretrained(tmp_path / "two" / "export").synthesize("Hi.", voice="mia", seed=1).duration_s > 0


def test_an_emotion_is_learnt_by_one_process(
    corpus: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="start it as one process"):
        finetune(
            f"corpus={corpus}", f"checkpoint={tiny_checkpoint}", f"output={tmp_path}", "mode=emotion", "name=weary"
        )


# --- one fine-tuning after another


@pytest.fixture(scope="module")
def twice(corpus: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs: a base with figures of its own, one voice learnt on it, and another one on that."""
    folder = tmp_path_factory.mktemp("twice")
    modules, metadata = load_checkpoint(tiny_checkpoint)
    import yaml

    configs = yaml.safe_load((tiny_checkpoint / "config.yaml").read_text())
    said = {
        "data": "no data at all",
        "commit": "abc1234",
        "figures": {"wer": 0.0625},
        "training": {"acoustic": {"steps": 7}},
    }
    save_checkpoint(folder / "base", {name: (configs[name], modules[name]) for name in modules}, metadata | said)
    other = corpus_of(folder / "corpus", voice="noa", licence="ESD: research only, signed form")
    few = ("mode=voice", "max_steps=2", "valid_every=2")
    finetune(*few, f"corpus={corpus}", f"checkpoint={folder}/base", f"output={folder}/first")
    finetune(*few, f"corpus={other}", f"checkpoint={folder}/first/export", f"output={folder}/second")
    return folder


def test_every_step_stays_in_the_record(twice: Path) -> None:
    from emotts.checkpoint import manifest_sha256

    metadata = load_checkpoint(twice / "second" / "export")[1]
    training = metadata["training"]
    assert list(training) == ["acoustic", "finetune", "finetune_2"] and training["acoustic"] == {"steps": 7}
    first, second = training["finetune"], training["finetune_2"]
    assert first["base"]["manifest"] == manifest_sha256(twice / "base") and first["base"]["figures"] == {"wer": 0.0625}
    assert second["base"]["manifest"] == manifest_sha256(twice / "first" / "export")
    for made, voice, licence in ((first, "mia", "CC-BY-4.0"), (second, "noa", "ESD: research only, signed form")):
        assert made["voices"] == [voice] and made["licences"] == [licence] and made["minutes"] >= 0.0
        assert made["command"].startswith("python") and made["config"]["mode"] == "voice"
    assert not {"figures", "commit", "recipe"} & metadata.keys()  # those are of the base
    base, *steps = metadata["data"].split("; then ")
    assert base == "no data at all" and [step.split(" from ")[0] for step in steps] == [
        "12 utterances of mia", "12 utterances of noa",
    ]  # fmt: skip
    assert steps[0].endswith("(1 voice; en-us; CC-BY-4.0)") and steps[1].endswith(
        "(1 voice; en-us; ESD: research only, signed form)"
    )
    assert metadata["licence"] == "CC0-1.0; recordings: CC-BY-4.0; ESD: research only, signed form"


def test_a_bundle_of_a_fine_tuned_part_tells_its_recordings(twice: Path, tmp_path: Path) -> None:
    import bundle
    from hydra import compose, initialize_config_dir

    tuned = twice / "second" / "export"
    given = [f"acoustic_folder={tuned}", f"vocoder_folder={tuned}", f"output={tmp_path}/bundle", "voice_classes=[]",
             "voices=null", "level_db=null", "intensity_curves=null", "default_voice=mia"]  # fmt: skip
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("bundle", [*given, "licence=CC0-1.0"])
    with pytest.raises(ValueError, match="finetune learnt from data under 'CC-BY-4.0'"):
        bundle.main(config)


def test_a_student_goes_along_where_its_flows_stay(tiny_checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    import yaml

    modules, metadata = load_checkpoint(tiny_checkpoint)
    configs = yaml.safe_load((tiny_checkpoint / "config.yaml").read_text())
    parts = {name: (configs[name], modules[name]) for name in modules} | {
        "student": (configs["vocoder"], modules["vocoder"])
    }
    told = metadata | {"student_steps": 2, "training": {"student": {"steps": 3}}}
    save_checkpoint(tmp_path / "base", parts, told)
    for mode, stays in (("voice", True), ("lora", False)):
        finetune(f"corpus={corpus}", f"checkpoint={tmp_path}/base", f"output={tmp_path}/{mode}", f"mode={mode}", "rank=2",
                 "max_steps=1", "valid_every=1", "vocoder_steps=0")  # fmt: skip
        modules, told = load_checkpoint(tmp_path / mode / "export")
        assert ("student" in modules, "student_steps" in told, "student" in told["training"]) == (stays, stays, stays)


def test_the_card_shows_the_chain(twice: Path) -> None:
    card = model_card_text(twice / "second" / "export")
    chain = [line for line in card.split("## Steps\n", 1)[1].split("\n## ", 1)[0].splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in chain] == ["| step", "| base", "| fine-tuning 1", "| fine-tuning 2"]
    assert "tiny" in chain[1] and "no data at all" in chain[1] and "CC0-1.0" in chain[1]
    for line, words in ((chain[2], ("mia", "voice", "CC-BY-4.0")), (chain[3], ("noa", "voice", "ESD: research only"))):
        assert all(word in line for word in (*words, "12 utterances", "python")), line
    figures = card.split("## Figures\n", 1)[1].split("\n## ", 1)[0]
    assert "wer of the base tiny, not measured of this model: 0.0625" in figures
    assert model_card_text(twice / "base").count("## Steps") == 0


def test_licences_are_told_once() -> None:
    from finetune_save import joined_licence

    once = joined_licence("CC0-1.0", ["CC-BY-4.0", "CC0-1.0"])
    assert once == "CC0-1.0; recordings: CC-BY-4.0"
    assert joined_licence(once, ["CC-BY-4.0"]) == once
    assert joined_licence(once, ["CC-BY"]) == f"{once}; CC-BY"
    assert (
        joined_licence("CC0-1.0", ["CC0-1.0"]) == "CC0-1.0"
        and joined_licence(None, ["MIT"]) == "unknown; recordings: MIT"
    )


def test_a_voice_is_trained_again_only_where_that_is_said(twice: Path, corpus: Path, tmp_path: Path) -> None:
    few = (f"corpus={corpus}", f"checkpoint={twice}/first/export", "mode=voice", "max_steps=2", "valid_every=2")
    with pytest.raises(
        ValueError, match=r"has a voice mia already; give the new one voice=<another name>, or .* again=true"
    ):
        finetune(*few, f"output={tmp_path}/no")
    finetune(*few, f"output={tmp_path}/other", "voice=mia-2")
    other = EmoTTS.from_pretrained(tmp_path / "other" / "export")
    assert [card.name for card in other.voices] == ["ada", "max", "mia", "mia-2"]
    assert other.synthesize("Hello.", voice="mia-2", seed=1).duration_s > 0
    # a voice moves once the tiny model has learnt to heed voices, which it begins without
    finetune(*few[:2], "mode=full", "keep=0", "vocoder_steps=0", "max_steps=4", "valid_every=4", "warmup_steps=1",
             f"output={tmp_path}/again", "again=true")  # fmt: skip
    again = EmoTTS.from_pretrained(tmp_path / "again" / "export")
    assert [card.name for card in again.voices] == ["ada", "max", "mia"]
    before = load_checkpoint(twice / "first" / "export")[0]["acoustic"].voices.embedding.weight
    after = again.acoustic.voices.embedding.weight
    assert torch.equal(before[:2], after[:2]) and not torch.equal(before[2], after[2])
    card = next(card for card in again.voices if card.name == "mia")
    assert card.licence == "CC-BY-4.0" and card.description.count("fine-tuned from") == 2


def test_one_name_is_for_one_speaker(corpus: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    both = rewritten(corpus_of(tmp_path / "both"), lambda i, row: {"voice": ("mia", "noa")[i % 2]})
    with pytest.raises(ValueError, match="voice= names the one who speaks; in .* mia, noa do"):
        finetune(f"corpus={both}", f"checkpoint={tiny_checkpoint}", f"output={tmp_path}/run", "voice=eve")


# --- what the base knows is held in the languages of the base


def test_the_old_language_is_rehearsed_where_the_corpus_speaks_another(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """English answers of the old voices move less with the rehearsal than without it."""
    german = corpus_of(tmp_path / "german", language="de")
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("Come in.\nNot again!\nWe wait for the bus.\nIt is late.\nGo on.\nThe dog sleeps.\n")
    few = (f"corpus={german}", f"checkpoint={tiny_checkpoint}", "mode=full", "languages=[de]", "max_steps=24", "valid_every=24",
           "vocoder_steps=0", "learning_rate=1e-3", "warmup_steps=1")  # fmt: skip
    moved = {}
    for keep in (0, 3):
        finetune(*few, f"rehearse.en-us={sentences}", f"keep={keep}", f"output={tmp_path}/keep{keep}")
        moved[keep] = drift(tiny_checkpoint, tmp_path / f"keep{keep}" / "export")
    print(f"English mel: moved {moved[0]:.3f} without, {moved[3]:.3f} with rehearsal")
    assert moved[3] < 0.85 * moved[0]


def drift(base: Path, tuned: Path) -> float:
    """Return how far two models' mels of the same English reading are apart, in natural log units."""
    from finetune_keep import Rehearsal
    from finetune_rehearse import reading_of, tokens_of

    models = [load_checkpoint(folder)[0]["acoustic"].eval() for folder in (base, tuned)]
    tokens = tokens_of(ROOT / "recipes/sentences/test.txt", "en-us")[:8]
    read = [(reading_of(models[0], one, 0, i % 2, i, 1.0), 0) for i, one in enumerate(tokens)]
    question = Rehearsal(read, models[0].voices.mean_log_f0, [0, 1], 100_000, 0).question(0, 8)
    from finetune_keep import answers

    with torch.no_grad():
        first, second = (answers(model, question)["mel"] for model in models)
    return float((first - second).abs()[question.frame_mask].mean())


def test_a_language_that_nothing_holds_is_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    german = corpus_of(tmp_path / "german", language="de")
    few = (f"checkpoint={tiny_checkpoint}", "max_steps=1", "valid_every=1", "vocoder_steps=0", "rank=2")
    finetune(*few, f"corpus={german}", "languages=[de]", f"output={tmp_path}/german-voice")
    bilingual = (
        f"checkpoint={tmp_path}/german-voice/export",
        "max_steps=1",
        "valid_every=1",
        "vocoder_steps=0",
        "rank=2",
    )
    french = corpus_of(tmp_path / "french", language="fr", voice="zoe")
    asked = (*bilingual, f"corpus={french}", "languages=[fr]", f"output={tmp_path}/french-voice")
    with pytest.raises(
        ValueError, match=r"speaks de too, .* \+rehearse\.de=<a file of sentences, or a prepared corpus>"
    ):
        finetune(*asked)
    with pytest.raises(ValueError, match="must hold sentences in de to hold it by; it holds none"):
        finetune(*asked, f"+rehearse.de={french}")
    finetune(*asked, f"+rehearse.de={german}")
    tts = EmoTTS.from_pretrained(tmp_path / "french-voice" / "export")
    assert set(tts.languages) == {"en-us", "de", "fr"}


# --- the command line


@pytest.mark.parametrize(
    ("option", "answer"),
    [
        ("max_framez=3", "there is no option max_framez; the nearest is max_frames."),
        ("dropout._target_=os.system", "_target_ must name a part of emotts; got 'os.system', which was not called."),
    ],
)
def test_a_mistake_costs_one_line(
    option: str, answer: str, corpus: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "recipes/finetune.py", f"corpus={corpus}", f"checkpoint={tiny_checkpoint}",
               f"output={tmp_path}", option]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("finetune: error: ") and answer in done.stderr
