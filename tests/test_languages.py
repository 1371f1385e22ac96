"""Other languages: every sound in the shared alphabet or named, tones kept, an embedding that changes nothing until it is there."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import tiny_configs
from test_dataset import write_corpus

from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.checkpoint.config import build
from emotts.cli import main
from emotts.content.text_encoder import TextEncoder
from emotts.pipeline import EmoTTS
from emotts.text import languages
from emotts.text.languages import MANDARIN_TONES, TONES, read_mandarin, spellings_of
from emotts.text.normalise import normalise
from emotts.text.phonemize import phonemize
from emotts.text.symbols import N_MARKS, PHONEMES, decode, encode, parse_phonemes, split_stress, tone_of

ROOT = Path(__file__).resolve().parent.parent

# What espeak-ng 1.52 says of a sentence in each language, and the tokens that it becomes.
SPOKEN = {
    "de": ("tsˈœpfə dɛɾ jˈʊŋən frˈaʊ ʃˈøːnən ˌyːbɜtɾˈɑːfən mˈœɡlɪçɜvˌaɪzə ˈaləs", "t͡s ˈœ p f ə"),
    "fr-fr": ("œ̃ bˈɔ̃ vˈɛ̃ blˈɑ̃ yˈit ˈø e sɛ̃kˈɑ̃t anjˈo kɛl mɔ̃tˈaɲ də- ʃˈoz inytˈil", "œ ŋ"),
    "hi": (
        "nəmˈʌsteː dˈoːst ˈaːɟ ˈʌcʰcʰaː sˈaːtʰ ɡʰˈʌɾ cəlˈẽːɡeː bʰˈaːɾət ɟʰˈaːr.uː ɖʰˈũnr.hẽːɡˌeː",
        "n ə m ˈʌ s t eː",
    ),
    "th": ("sa˨˩wat˨˩diː˧kʰrap˦˥ kʰaːw˥˩ tɕʰan˩˩˦ mɯaŋ˧ pʰɤn˥˩", "s a˨˩ w a˨˩ t d iː˧ k h r a˦˥ p"),
}
SENTENCES = {
    "de": "Die schönen Zöpfe der jungen Frau übertrafen alles.",
    "fr": "Un bon vin blanc, huit œufs et cinquante agneaux.",
    "zh-CN": "你好, 我的朋友! 今天天气很好.",
    "hi": "नमस्ते दोस्त, आज मौसम बहुत अच्छा है।",
}


@pytest.mark.parametrize("language", SPOKEN)
def test_what_is_spoken_becomes_tokens_of_the_alphabet(language: str) -> None:
    spoken, first = SPOKEN[language]
    words = [parse_phonemes(word, language) for word in spoken.split()]
    assert " ".join(words[0]) == first
    for word in words:
        assert word and decode(*encode(word)) == word


def test_no_sound_is_dropped() -> None:
    assert parse_phonemes("ã", "hi") == ["a", "ŋ"] and parse_phonemes("ẽː", "hi") == ["eː", "ŋ"]
    assert parse_phonemes("bʰ", "hi") == ["b", "h"] and parse_phonemes("ʈ ɖ", "hi") == ["t\u0322", "d\u0322"]
    assert parse_phonemes("pʰa˥˩", "th") == ["p", "h", "a˥˩"]
    with pytest.raises(ValueError, match='got "ǃ"'):
        parse_phonemes("aǃ", "hi")


def test_every_table_ends_in_the_alphabet() -> None:
    for language in ("es", *languages._TABLES):
        for spelling, phonemes in spellings_of(language).items():
            assert {split_stress(phoneme)[0] for phoneme in phonemes} <= set(PHONEMES), (language, spelling)
            assert decode(*encode(phonemes)) == list(phonemes), (language, spelling)
    for name, phonemes in languages._MANDARIN.items():
        assert set(phonemes) <= set(PHONEMES), name
    assert set(languages.NEAR_TONES.values()) | set(MANDARIN_TONES.values()) <= {*TONES, ""}


def test_the_four_tones_stay_four() -> None:
    words = read_mandarin("m_'A55__| m_'A35__| m_'A214__| m_'A51__| m_'A11__|")
    assert ["".join(word) for word in words] == ["mɑ˥", "mɑ˧˥", "mɑ˨˩˦", "mɑ˥˩", "mɑ"]
    assert read_mandarin("j_'iou214__| k_w_'A55__| ph_'@35_N__|") == [
        ["j", "oʊ˨˩˦"],
        ["ɡ", "w", "ɑ˥"],
        ["p", "ə˧˥", "ŋ"],
    ]
    with pytest.raises(ValueError, match='espeak says "Q55"'):
        read_mandarin("m_'Q55")


def test_tones_have_ids_behind_those_of_stress() -> None:
    phonemes, marks = encode(["ˈa", "a˥", "a˦˥", "t"])
    assert marks == [1, 3, 9, 0] and len(set(phonemes[:3])) == 1
    assert split_stress("ˈa˥˩") == ("a", 1) and tone_of("a˥˩") == "˥˩"
    for token in ("t˥", "a˥˥˥"):
        with pytest.raises(ValueError, match="tone must be one of"):
            encode([token])
    for written in ("t˥", "a˥˧˥˧", "a˥ ˥˩˥"):
        with pytest.raises(ValueError, match="tones must be one of"):
            parse_phonemes(written, "th")


def test_vowel_signs_and_tones_of_scripts_survive() -> None:
    assert normalise("नमस्ते दोस्त।", "hi") == "नमस्ते दोस्त."
    assert normalise("ข้าวที่ดี", "th") == "ข้าวที่ดี"


def test_espeak_reads_german_french_mandarin_and_hindi() -> None:
    if importlib.util.find_spec("phonemizer") is None:
        pytest.skip("the extra espeak is not installed")
    for language, text in SENTENCES.items():
        tokens = phonemize(text, language, "espeak")
        assert decode(*encode(tokens)) == [split_stress(t)[0] + tone_of(t) if tone_of(t) else t for t in tokens]
        assert len(tokens) > len(text) / 3
    assert sum(bool(tone_of(token)) for token in phonemize(SENTENCES["zh-CN"], "zh-CN", "espeak")) >= 10
    assert "ŋ" in phonemize("un", "fr", "espeak")


def test_thai_is_not_read_badly_in_silence() -> None:
    with pytest.raises(ValueError, match="leaves out most vowels and tones of Thai.*thaiphon.*IPA"):
        phonemize("สวัสดี", "th", "espeak")


# --- the embedding


def encoder(**options: object) -> TextEncoder:
    torch.manual_seed(3)
    return TextEncoder(n_phonemes=len(PHONEMES), n_stresses=3, channels=64, layout="c", **options).eval()


def test_without_languages_nothing_is_new() -> None:
    assert set(encoder().state_dict()) == {
        n for n in encoder(languages=["en-us", "de"]).state_dict() if n != "language.weight"
    }
    ids = torch.randint(10, 40, (2, 6))
    mask = torch.ones(2, 6, dtype=torch.bool)
    plain = encoder()
    told = plain(ids, torch.zeros_like(ids), mask, language=torch.tensor([0, 1]))
    assert torch.equal(told, plain(ids, torch.zeros_like(ids), mask))


def test_languages_change_what_is_said_and_the_first_is_the_default() -> None:
    model = encoder(languages=["en-us", "de"])
    ids, mask = torch.randint(10, 40, (1, 6)), torch.ones(1, 6, dtype=torch.bool)
    first, second = (model(ids, torch.zeros_like(ids), mask, language=torch.tensor([i])) for i in (0, 1))
    assert not torch.allclose(first, second)
    assert torch.equal(first, model(ids, torch.zeros_like(ids), mask))
    with pytest.raises(ValueError, match="must be different"):
        encoder(languages=["de", "de"])


# --- a model of two languages


def two_languages_of(folder: Path, read_by: dict[str, str] | None = None) -> Path:
    """Make every second row of a corpus German."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row |= {"split": "valid" if i % 3 == 2 else "train", "language": ("en-us", "de")[i % 2]}
        row["read_by"] = (read_by or {}).get(row["language"])
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of which every second row is German."""
    return two_languages_of(write_corpus(tmp_path_factory.mktemp("two")))


def finetune(*options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "recipes/finetune.py", *options, "device=cpu", "precision=fp32", "max_frames=128"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)


def test_a_language_is_added_and_only_known_ones_are_spoken(
    two_languages: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    few = (f"corpus={two_languages}", f"checkpoint={tiny_checkpoint}", "max_steps=2", "valid_every=2")
    refused = finetune(*few, f"output={tmp_path}/no")
    assert refused.returncode == 1 and "speaks de, the model en-us; add it by languages=[de]" in refused.stderr
    done = finetune(*few, f"output={tmp_path}/yes", "mode=full", "languages=[de]")
    assert done.returncode == 0, done.stderr[-3000:]
    tts = EmoTTS.from_pretrained(tmp_path / "yes" / "export")
    assert tts.acoustic.text_encoder.languages == ("en-us", "de")
    assert tts.acoustic.text_encoder.stress.weight.shape[0] == N_MARKS
    assert tts.synthesize("Hello.", voice="ada", seed=1).duration_s > 0
    assert tts.synthesize("[[hˈalo˥˩]]", voice="ada", seed=1, language="de").duration_s > 0
    with pytest.raises(ValueError, match='language must be one of en-us, de; got "fr"'):
        tts.synthesize("Bonjour.", seed=1, language="fr")


TWO_STEPS = (  # of a toy
    "acoustic=tiny", "schedule.max_steps=2", "schedule.decay_steps=0", "max_frames=128", "precision=fp32", "device=cpu",
)  # fmt: skip


def test_training_from_scratch_tells_the_languages_of_its_corpus_apart(two_languages: Path, tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "recipes/train_acoustic.py",
        f"corpus={two_languages}",
        f"output={tmp_path}/run",
        *TWO_STEPS,
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    model = load_checkpoint(tmp_path / "run" / "export")[0]["acoustic"]
    assert sorted(model.text_encoder.languages) == ["de", "en-us"]


def test_a_model_of_one_language_says_so(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["synthesize", "Hallo.", "--language", "de", "--checkpoint", str(tiny_checkpoint), "-o", "-"]
    assert main(wrong) == 2 and 'language must be one of en-us; got "de"' in capsys.readouterr().err
    tts = EmoTTS.from_pretrained(tiny_checkpoint)
    with pytest.raises(ValueError, match='language must be one of en-us; got "de"'):
        tts.synthesize("Hallo.", seed=1, language="de")
    assert tts.synthesize("Hello.", seed=1, language="en-us").duration_s > 0


def test_a_checkpoint_with_languages_loads(tmp_path: Path) -> None:
    configs = tiny_configs()
    configs["acoustic"]["text_encoder"] |= {"languages": ["en-us", "cmn"], "n_stresses": N_MARKS}
    save_checkpoint(tmp_path / "both", {name: (config, build(config, name)) for name, config in configs.items()}, {})
    tts = EmoTTS.from_pretrained(tmp_path / "both")
    first, second = (
        tts.synthesize("[[ni˨˩˦]] [[xaʊ˨˩˦]].", seed=1, language=name).waveform for name in ("cmn", "zh-cn")
    )
    assert (first == second).all()


def test_tones_that_a_checkpoint_does_not_know_are_refused(tmp_path: Path) -> None:
    configs = tiny_configs()
    configs["acoustic"]["text_encoder"] |= {"languages": ["en-us", "th"]}
    save_checkpoint(tmp_path / "plain", {name: (config, build(config, name)) for name, config in configs.items()}, {})
    tts = EmoTTS.from_pretrained(tmp_path / "plain")
    assert tts.synthesize("[[sawat]]", seed=1, language="th").duration_s > 0
    with pytest.raises(ValueError, match="knows no tones"):
        tts.synthesize("[[sa˨˩wat˨˩]]", seed=1, language="th")
