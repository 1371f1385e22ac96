"""What reads a language and what it keeps: marks, minimal pairs, Vietnamese, Japanese, Thai, the backend of a model."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from conftest import tiny_configs
from test_manifest import ROW

from emotts.checkpoint import save_checkpoint
from emotts.checkpoint.config import build
from emotts.data.corpora.rows import SourceRow
from emotts.data.manifest import ManifestRow, parse_row
from emotts.data.prepare_clip import Settings, _tokens
from emotts.data.readers import check_readers, readers_of
from emotts.pipeline import EmoTTS
from emotts.text.japanese import KANA, japanese_words, read_morae
from emotts.text.languages import LONG, QUALITIES, TONES, NotInstalled
from emotts.text.phonemize import BACKENDS, backend_of, phonemize
from emotts.text.symbols import (
    MARKS,
    N_MARKS,
    STRESSES,
    decode,
    encode,
    is_pause,
    nearest_mark,
    parse_phonemes,
    split_stress,
    tone_of,
)
from emotts.text.vietnamese import read_syllables

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = json.loads((Path(__file__).parent / "languages_sentences.json").read_text(encoding="utf-8"))
ENGLISH = (
    "I can't believe you came.",
    "The train leaves at seven; Dr. Smith paid $3.50, didn't he?",
    "Buttons, writers and riders; the record was recorded… naïve café.",
)
# Words that differ in one sound alone; what tells them apart is the comment.
PAIRS = {
    "pl": [("czy", "ci"), ("bić", "być"), ("kasza", "Kasia"), ("żaba", "ziaba"), ("koń", "kon")],  # palatal sounds
    "ru": [("мат", "мать"), ("был", "бил"), ("лук", "люк"), ("рад", "ряд")],  # palatal consonants
    "fr": [("bon", "beau"), ("bon", "bonne"), ("vin", "vent"), ("brun", "brin"), ("vais", "vin")],  # nasal vowels
    "pt": [("lã", "lá"), ("mundo", "mudo"), ("pão", "pau"), ("sim", "si")],  # nasal vowels
    "cs": [("dal", "dál"), ("pas", "pás"), ("řada", "rada"), ("ďas", "das")],  # length, ř, palatal plosives
    "de": [("Stadt", "Staat"), ("Hütte", "Hüte"), ("bitte", "bitter"), ("Kirche", "Kirsche"), ("offen", "Ofen")],
    "fi": [("tuli", "tuuli"), ("tuli", "tulli"), ("kuka", "kukka")],  # length of vowels and consonants
    "it": [("fato", "fatto"), ("pala", "palla")],
    "hi": [("ताल", "टाल"), ("दाल", "डाल"), ("बचा", "बच्चा"), ("कल", "काल")],  # retroflex, length
    "ar": [("قلب", "كلب"), ("سيف", "صيف"), ("تين", "طين")],  # back, emphatic
    "ko": [("달", "딸"), ("불", "뿔"), ("달", "탈")],  # tense, aspirated
    "vi": [("ma", "má"), ("ma", "mà"), ("mả", "mã"), ("mã", "má"), ("mạ", "mà"), ("ta", "tha"), ("tay", "tai")],
}


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def sounds(text: str, language: str) -> list[str]:
    """The tokens of a text, its stress marks left out."""
    tokens = phonemize(text, language, backend_of(language))
    return [token.lstrip("ˈˌ") for token in tokens if not is_pause(token)]


# --- marks


def test_old_ids_of_marks_stay_and_new_ones_follow() -> None:
    assert MARKS[:3] == STRESSES and MARKS[3:10] == TONES and N_MARKS == len(set(MARKS)) == 32
    digest = hashlib.sha256("\n".join(MARKS).encode()).hexdigest()[:16]
    assert digest == "f1f0b03d2e8f15a5"  # checkpoints rely on the order


@pytest.mark.parametrize(
    "token", ["aː", "ˈaː", "ˌøː", "aː˥˩", "tʲ", "tʲː", "d͡ʒː", "ʃ\u0322", "p\u0348", "hˤ", "ɾ\u0325", "kˠ"]
)
def test_marks_survive_the_ids_and_the_spelling(token: str) -> None:
    assert decode(*encode([token])) == [token]
    written = token.lstrip("ˈˌ")
    assert parse_phonemes(token, "cs")[-1].lstrip("ˈˌ") == written
    phoneme, stress = split_stress(token)
    assert encode([token])[0] == encode([phoneme])[0] and stress == "ˈˌ".find(token[0]) + 1


@pytest.mark.parametrize("token", ["aʲ", "tʲˠ", "tːʲ", " ː", "<sil>ː", "t˥"])
def test_marks_that_a_sound_cannot_have_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        encode([token])


def test_a_model_that_learnt_without_marks_is_not_told_them() -> None:
    tokens = ["ˈaː", "tʲ", "aː˥˩", "tː"]
    assert encode(tokens, 10)[1] == [1, 0, 6, 0] and [nearest_mark(mark) for mark in encode(tokens)[1]] == [1, 0, 6, 0]
    with pytest.raises(ValueError, match=r"knows no tones.*n_stresses=32"):
        encode(tokens, 3)


def test_marks_are_read_where_they_belong() -> None:
    assert parse_phonemes("ẽː", "hi") == ["eː", "ŋ"]  # to the vowel of a vowel and ŋ
    assert parse_phonemes("dʰː", "hi") == ["dː", "h"]  # to the plosive, not to its breath
    assert parse_phonemes("ˈr̩st", "cs") == ["ˈə", "r", "s", "t"]  # a syllabic consonant carries the stress
    assert parse_phonemes("tɕ tʃ", "pl") == ["t͡ʃʲ", "t͡ʃ"]
    assert parse_phonemes("bɔ̃ː tʲ ɫ", "en-us") == parse_phonemes("bɔ t l", "en-us")  # English tells none of them apart


def test_english_is_what_it_was_before_there_were_marks() -> None:
    ids = [encode(phonemize(text)) for text in ENGLISH]
    assert max(mark for _, marks in ids for mark in marks) <= 2
    assert (
        hashlib.sha256(repr(ids).encode()).hexdigest()
        == "7b5f2768e996a8c6f7979f5b698f9ca48122725630ebc06434e23c5ce3d1bcaf"
    )


@pytest.mark.parametrize("language", PAIRS)
def test_words_that_differ_in_one_sound_stay_apart(language: str) -> None:
    needs("phonemizer")
    for one, other in PAIRS[language]:
        assert sounds(one, language) != sounds(other, language), (one, other)


def test_without_marks_these_pairs_would_be_one() -> None:
    needs("phonemizer")
    for language, one, other in (
        ("ru", "мат", "мать"),
        ("fi", "tuli", "tuuli"),
        ("ar", "قلب", "كلب"),
        ("ko", "달", "딸"),
    ):
        plain = [[nearest_mark(mark) for mark in encode(sounds(word, language))[1]] for word in (one, other)]
        phonemes = [encode(sounds(word, language))[0] for word in (one, other)]
        if language != "ko":  # there a plosive differs too
            assert plain[0] == plain[1] and phonemes[0] == phonemes[1]


# --- Vietnamese, Japanese, Thai


@pytest.mark.parametrize(("language", "module"), [("vi", "phonemizer"), ("ja", "pyopenjtalk"), ("th", "thaiphon")])
def test_twenty_sentences_are_read_into_the_alphabet(language: str, module: str) -> None:
    needs(module)
    assert len(set(SENTENCES[language])) == 20
    read = {text: phonemize(text, language, backend_of(language)) for text in SENTENCES[language]}
    for text, tokens in read.items():
        assert tokens[0] == tokens[-1] == "<sil>" and tokens[-2] in ".?!", text
        kept = [t.lstrip("ˈˌ") if tone_of(t) else t for t in tokens]  # beside a tone stress does not count
        assert decode(*encode(tokens)) == kept, text
        n_sounds = sum(not is_pause(token) for token in tokens)
        assert len(text) * (0.5 if language != "ja" else 1.0) < n_sounds < len(text) * 4, text
        if language != "ja":  # a tone on every syllable, and on nothing else
            assert sum(bool(tone_of(token)) for token in tokens) >= 4, text
    assert len({tuple(tokens) for tokens in read.values()}) == 20


def test_vietnamese_has_six_tones() -> None:
    read = ["".join(word) for word in read_syllables("m_'a:__| m_,a:2__| m_'a:3__| m_'a:4__| m_'a:5__| m_'a:6__|")]
    assert read == ["maː˧", "maː˨˩", "maː˧˥", "maː˨˩˦", "maː˧˥ʔ", "maː˨˩ʔ"]
    assert ["".join(word) for word in read_syllables("d__'E6_p__| b_'a:6_n__|")] == ["dɛ˨˩p", "baː˨˩ʔn"]
    with pytest.raises(ValueError, match='espeak says "!!"'):
        read_syllables("m_'!!")


def test_vietnamese_reads_words_of_other_languages_as_english() -> None:
    needs("phonemizer")
    assert not any(map(tone_of, sounds("Facebook", "vi"))) and sounds("Facebook", "vi")[0] == "f"


def test_japanese_tells_accents_and_length_apart() -> None:
    needs("pyopenjtalk")
    assert ["".join(*japanese_words(word)) for word in ("箸が", "橋が", "端が")] == ["hˈaɕiɡa", "haɕˈiɡa", "haɕiɡa"]
    assert japanese_words("ビル") != japanese_words("ビール") and japanese_words("来て") != japanese_words("切って")
    assert sounds("3本", "ja") == sounds("三本", "ja")


def test_every_mora_has_its_tokens() -> None:
    small = {"ャ": "キシチニヒミリギジビピテデフ", "ァ": "フツクグヴ", "ィ": "ティウフディ"}
    morae = [*KANA, *(first + mark for mark, row in small.items() for first in row if first in KANA)]
    read = {mora: tuple(read_morae([mora])) for mora in morae}
    for mora, tokens in read.items():
        assert 1 <= len(tokens) <= 2 and decode(*encode(tokens)) == list(tokens), mora
    same = {frozenset(pair) for pair in ("ジヂ", "ズヅ", "イヰ", "エヱ", "オヲ", "カヵ", "ケヶ")}
    plain = {m: t for m, t in read.items() if len(m) == 1}
    assert {frozenset((a, b)) for a in plain for b in plain if a != b and plain[a] == plain[b]} == same
    assert read_morae(["キ", "ッ", "テ"], 1) == ["kʲ", "ˈi", "tː", "e"] and read_morae(["エ", "ッ"]) == ["e", "ʔ"]
    assert read_morae(["キョ", "ー"], 1) == ["kʲ", "ˈoː"] and read_morae(["ホ", "ン"]) == ["h", "o", "ŋ"]
    assert (
        read_morae(["ファ"]) == ["f", "a"]
        and read_morae(["ティ"]) == ["t", "i"]
        and read_morae(["デュ"]) == ["dʲ", "ɯ"]
    )


def test_thai_has_five_tones_and_two_lengths() -> None:
    needs("thaiphon")
    tones = [tone_of(next(filter(tone_of, sounds(word, "th")))) for word in ("คา", "ข่า", "ข้า", "ค้า", "ขา")]
    assert tones == ["˧", "˨˩", "˥˩", "˦˥", "˨˩˦"]
    assert sounds("เขา", "th") != sounds("ขาว", "th") and sounds("นำ", "th") != sounds("น้ำ", "th")
    assert sounds("จริง", "th") == ["d͡ʒ", "i˧", "ŋ"]  # not as it is written
    assert sounds("มากๆ", "th") == 2 * sounds("มาก", "th") and sounds("๓", "th") == sounds("3", "th") == sounds(
        "สาม", "th"
    )
    with pytest.raises(ValueError, match='reads Thai script; got "Hello"'):
        phonemize("Hello ครับ", "th", "thaiphon")


def test_what_no_backend_reads_says_why() -> None:
    for language, message in (("th", "thaiphon"), ("ja", "openjtalk"), ("yue", "dictionary of Cantonese")):
        with pytest.raises(ValueError, match=rf"{message}.*IPA between \[\[ \]\]"):
            phonemize("水", language, "espeak")
    for backend, language, remedy in (
        ("gruut", "de", 'must be en.*backend="espeak"'),
        ("openjtalk", "th", r'must be ja.*backend="thaiphon" \(pip install emotts\[thai\]\)'),
        ("thaiphon", "en-us", 'must be th.*backend="gruut"'),
    ):
        with pytest.raises(ValueError, match=remedy):
            phonemize("a", language, backend)


@pytest.mark.parametrize(
    ("language", "missing", "message"),
    [
        ("de", "phonemizer.backend.espeak.wrapper", r"needs phonemizer.*pip install emotts\[espeak\]"),
        ("ja", "pyopenjtalk", r"needs pyopenjtalk.*pip install emotts\[japanese\]"),
        ("th", "pythainlp.tokenize", r"needs pythainlp.*pip install emotts\[thai\]"),
    ],
)
def test_a_backend_that_is_not_installed_says_how(
    language: str, missing: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    import_module("emotts.text.espeak")._wrapper.cache_clear()
    with pytest.raises(NotInstalled, match=message):
        phonemize(f"水 {missing}", language, backend_of(language))


def test_importing_loads_no_reader() -> None:
    code = "import sys, emotts.text; print([m for m in ('pyopenjtalk', 'pythainlp', 'thaiphon', 'phonemizer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


# --- one backend for a language, in preparing as in speaking


def test_one_function_says_what_reads_a_language() -> None:
    assert [backend_of(name) for name in ("en", "en-US", "en-gb", "de", "zh-CN", "ja-JP", "th", "vi")] == [
        *("gruut", "gruut", "gruut", "espeak", "espeak", "openjtalk", "thaiphon", "espeak")
    ]
    assert backend_of("en-US", {"en-us": "espeak"}) == "espeak" and backend_of("de", {"en-us": "espeak"}) == "espeak"
    assert set(map(backend_of, ("en", "de", "ja", "th"))) == set(BACKENDS)


def source(text: str, language: str) -> SourceRow:
    return SourceRow(
        id="a", corpus="mine", audio="a.wav", text=text, speaker="s", language=language, label=None, raw_label=None,
        split="train", licence="CC0-1.0",
    )  # fmt: skip


def test_preparing_reads_each_row_as_it_will_be_spoken() -> None:
    needs("phonemizer")
    for text, language in (("The red house.", "en-us"), ("Das rote Haus.", "de")):
        backend = backend_of(language)
        assert _tokens(source(text, language), True, backend)[0] == phonemize(text, language, backend)
    assert Settings().phonemizer == "auto"
    with pytest.raises(ValueError, match="phonemizer must be one of auto, gruut, espeak, openjtalk, thaiphon;"):
        Settings(phonemizer="festival")


def test_what_needs_no_text_needs_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyopenjtalk", None)
    row = source("水を下さい", "ja")
    assert _tokens(row, False, "openjtalk")[0] == ["<sil>", "<sil>"] == _tokens(row, False, "gruut")[0]
    with pytest.raises(NotInstalled, match="pyopenjtalk"):
        _tokens(row, True, "openjtalk")


def rows(*read: tuple[str, str | None]) -> list[ManifestRow]:
    return [parse_row(json.dumps(json.loads(ROW.to_json()) | {"language": n, "read_by": b})) for n, b in read]


def test_a_corpus_tells_what_read_it_and_old_ones_tell_nothing() -> None:
    old = json.loads(ROW.to_json())
    del old["read_by"]
    assert parse_row(json.dumps(old)).read_by is None and readers_of([parse_row(json.dumps(old))]) == {}
    assert readers_of(rows(("en-us", "espeak"), ("zh", "espeak"), ("de", None))) == {"en-us": "espeak", "zh": "espeak"}
    assert readers_of(rows(("en-US", "gruut"), ("en-us", None))) == {"en-us": "gruut"}
    with pytest.raises(ValueError, match="en-us must be read by one backend in all corpora; got espeak and gruut"):
        readers_of(rows(("en-us", "espeak"), ("en-us", None)))
    check_readers(rows(("en-us", "espeak")), {}, {"en-us": "espeak"})
    with pytest.raises(ValueError, match="was read by espeak, the model reads it by gruut.*settings.phonemizer=gruut"):
        check_readers(rows(("en-us", "espeak")), {}, {})


def test_a_checkpoint_speaks_through_the_backend_it_learnt_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def reading(text: str, language: str) -> list[list[str]]:
        calls.append((text.strip(), language))
        return [["h", "ˈaɪ"]]

    module = import_module("emotts.text.phonemize")
    monkeypatch.setattr(module, "espeak_words", reading)
    module._phonemize.cache_clear()
    configs = tiny_configs()
    for name, read_by in (("plain", None), ("told", {"en-us": "espeak"})):
        if read_by:
            configs["acoustic"]["text_encoder"] |= {"read_by": read_by}
        save_checkpoint(tmp_path / name, {key: (config, build(config, key)) for key, config in configs.items()}, {})
        result = EmoTTS.from_pretrained(tmp_path / name).synthesize("Speak with me.", seed=1)
        assert bool(calls) == bool(read_by) and result.duration_s > 0
    module._phonemize.cache_clear()
    assert calls == [("Speak with me", "en-us")]


def test_training_keeps_what_read_its_corpus(tmp_path: Path) -> None:
    from test_dataset import write_corpus
    from test_languages import TWO_STEPS, two_languages_of

    folder = two_languages_of(write_corpus(tmp_path), {"en-us": "espeak", "de": "espeak"})
    command = [sys.executable, "recipes/train_acoustic.py", f"corpus={folder}", f"output={tmp_path}/run", *TWO_STEPS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    from emotts.checkpoint import load_checkpoint

    encoder = load_checkpoint(tmp_path / "run" / "export")[0]["acoustic"].text_encoder
    assert encoder.read_by == {"en-us": "espeak", "de": "espeak"} and encoder.n_stresses == N_MARKS


def test_the_bundled_model_reads_english_by_gruut_and_knows_three_marks() -> None:
    tts = EmoTTS.from_pretrained()
    encoder = tts.acoustic.text_encoder
    assert backend_of(tts.languages[0], encoder.read_by) == "gruut" and encoder.n_stresses == len(STRESSES)
    assert isinstance(encoder.stress, torch.nn.Embedding) and len(encoder.stress.weight) == 3
    assert LONG not in STRESSES and not set(QUALITIES) & set(STRESSES)


def test_the_bilingual_experiment_asks_for_no_other_reader_of_english() -> None:
    text = (ROOT / "conf" / "experiment" / "esd_bilingual.yaml").read_text()
    assert "phonemizer" not in text and "espeak" in text
