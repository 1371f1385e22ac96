"""Phonemes and times from posteriors: known paths are recovered, searches agree with brute force, wrong texts are refused."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.content import viterbi
from emotts.content.segments import LEAST_FRAMES, LEAST_PAUSE, LOWEST_FIT, align_tokens, fit_tokens, recognise, spoken
from emotts.content.speech_encoder import ACTIVITIES, Heard
from emotts.text.symbols import ENGLISH_PHONEMES, PHONEMES, STRESSES, encode, is_pause, is_vowel

SOUNDS = sorted(ENGLISH_PHONEMES)
VOWELS = [name for name in SOUNDS if is_vowel(name)]
SURE = 9.0  # logit of what is heard
TEXT = ["<sil>", "h", "ə", "l", "ˈoʊ", " ", "ð", "ˈɛ", "ɹ", ".", "<sil>"]
FRAMES = [6, 3, 4, 5, 9, 2, 3, 8, 6, 5, 4]
OTHER_TEXT = ["<sil>", "k", "ˈæ", "t", "s", " ", "s", "ˈɪ", "t", ".", "<sil>"]


def heard_of(tokens: Sequence[str], durations: Sequence[int], sureness: float = SURE) -> Heard:
    """Return what a listener hears that hears these tokens for so many frames, and where each begins."""
    phonemes, stresses = (np.repeat(ids, durations) for ids in encode(tokens))
    n = len(phonemes)
    borders = np.cumsum(durations) - durations
    logits = torch.zeros(1, n, len(PHONEMES))
    logits[0, np.arange(n), phonemes] = sureness
    stress = torch.zeros(1, n, len(STRESSES))
    stress[0, np.arange(n), stresses] = sureness
    begins = torch.full((1, n), -sureness)
    begins[0, borders[borders < n]] = sureness
    activity = torch.zeros(1, n, len(ACTIVITIES))
    kinds = [ACTIVITIES.index("silence" if is_pause(PHONEMES[k]) else "speech") for k in phonemes]
    activity[0, np.arange(n), kinds] = sureness
    return Heard(torch.zeros(1, n, 4), logits, stress, begins, activity)


def random_heard(n: int, seed: int, scale: float) -> Heard:
    generator = torch.Generator().manual_seed(seed)
    sizes = (4, len(PHONEMES), len(STRESSES), 1, len(ACTIVITIES))
    parts = [scale * torch.randn(1, n, size, generator=generator) for size in sizes]
    return Heard(parts[0], parts[1], parts[2], parts[3][..., 0], parts[4])


@st.composite
def spoken_lines(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    """Draw words with the frames of each sound, silence at both ends and pauses or spaces between."""
    tokens, durations = ["<sil>"], [draw(st.integers(LEAST_PAUSE, 9))]
    n_words = draw(st.integers(1, 4))
    for k in range(n_words):
        for name in draw(st.lists(st.sampled_from(SOUNDS), min_size=1, max_size=5)):
            stress = draw(st.sampled_from(STRESSES)) if is_vowel(name) else ""
            tokens.append(stress + name)
            durations.append(draw(st.integers(LEAST_FRAMES, 9)))
        is_last = k == n_words - 1
        tokens.append("<sil>" if is_last else draw(st.sampled_from(["<sil>", " "])))
        durations.append(draw(st.integers(LEAST_PAUSE, 9)))
    return tokens, durations


@settings(max_examples=60)
@given(spoken_lines())
def test_a_known_path_is_recovered_exactly(line: tuple[list[str], list[int]]) -> None:
    tokens, durations = line
    heard = heard_of(tokens, durations)
    sounds = recognise(heard)
    assert sounds.tokens == tokens and sounds.durations == durations
    assert sounds.confidence.shape == (len(tokens),) and sounds.confidence.min() > 0.9
    assert align_tokens(heard, tokens) == durations


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 5.0]))
def test_whatever_is_heard_becomes_sounds_that_fill_the_frames(n: int, seed: int, scale: float) -> None:
    heard = random_heard(n, seed, scale)
    sounds = recognise(heard)
    again = recognise(heard)
    assert sounds.tokens == again.tokens and sounds.durations == again.durations
    assert sum(sounds.durations) == n and len(sounds.tokens) == len(sounds.durations) == len(sounds.confidence)
    assert sounds.tokens[0] == sounds.tokens[-1] == "<sil>"
    least = min(LEAST_FRAMES, n)
    assert all(d >= least for token, d in zip(sounds.tokens, sounds.durations, strict=True) if not is_pause(token))
    assert all(d >= 1 for d in sounds.durations[1:-1])
    encode(sounds.tokens)
    assert not any(is_pause(a) and is_pause(b) for a, b in itertools.pairwise(sounds.tokens[1:-1]))
    assert sounds.confidence.min() >= 0.0 and sounds.confidence.max() <= 1.0 + 1e-6


@settings(max_examples=60)
@given(st.lists(st.sampled_from([*SOUNDS, " ", ",", ".", "<sil>"]), min_size=1, max_size=12), st.integers(0, 99))
def test_given_tokens_keep_their_order_and_every_sound_its_frame(tokens: list[str], seed: int) -> None:
    n_sounds = sum(not is_pause(token) for token in tokens)
    for n in (n_sounds, n_sounds + 7):
        if n == 0:
            continue
        fit = fit_tokens(random_heard(n, seed, 2.0), tokens)
        assert sum(fit.durations) == n and len(fit.durations) == len(tokens) and 0.0 <= fit.score <= 1.0
        assert all(d >= (0 if is_pause(token) else 1) for token, d in zip(tokens, fit.durations, strict=True))


@pytest.mark.parametrize("token", ["<sil>", " ", "t", "ˈɑ"])
def test_one_frame_is_enough(token: str) -> None:
    sounds = recognise(heard_of([token], [1]))
    if is_pause(token):
        assert sounds.tokens == ["<sil>", "<sil>"] and sounds.durations == [1, 0]
    else:
        assert sounds.tokens == ["<sil>", token, "<sil>"] and sounds.durations == [0, 1, 0]
        assert fit_tokens(heard_of([token], [1]), ["<sil>", token, ".", "<sil>"]).durations == [0, 1, 0, 0]


def test_where_the_phonemes_are_open_the_beginnings_decide() -> None:
    tokens, durations = ["<sil>", "m", "ˈɑ", "<sil>"], [8, 10, 10, 8]
    heard = heard_of(tokens, durations)
    m, a = encode(["m", "ɑ"])[0]
    heard.phonemes[0, 14:22, [m, a]] = torch.full((8, 2), SURE)  # either of the two
    for border in (15, 18, 21):
        heard.begins[0, 9:26] = -3.0
        heard.begins[0, border] = 3.0
        assert recognise(heard).durations == [8, border - 8, 28 - border, 8]
        assert align_tokens(heard, tokens) == [8, border - 8, 28 - border, 8]


def test_a_flicker_of_one_frame_is_no_sound() -> None:
    heard = heard_of(["<sil>", "s", "ˈi", "<sil>"], [8, 8, 12, 8])
    calm = recognise(heard)
    t, silence = encode(["t", "<sil>"])[0]
    heard.phonemes[0, 20] = 0.0
    heard.phonemes[0, 20, t] = 2.0
    heard.phonemes[0, 11] = 0.0
    heard.phonemes[0, 11, silence] = 2.0
    assert recognise(heard).tokens == calm.tokens and recognise(heard).durations == calm.durations


@pytest.mark.parametrize("kind", ["silence", "other", "overlap"])
def test_what_is_no_speech_of_one_person_becomes_silence(kind: str) -> None:
    heard = heard_of(["<sil>", "s", "ˈi", "m", "<sil>"], [6, 8, 20, 8, 6])
    heard.activity[0, 18:30] = 0.0
    heard.activity[0, 18:30, ACTIVITIES.index(kind)] = SURE
    sounds = recognise(heard)
    assert sounds.tokens == ["<sil>", "s", "ˈi", "<sil>", "ˈi", "m", "<sil>"]
    assert sounds.durations == [6, 8, 4, 12, 4, 8, 6]
    assert spoken(heard)[18:30].max() < 0.01 < 0.9 < spoken(heard)[6:18].min()


def test_stress_is_that_of_the_whole_vowel() -> None:
    heard = heard_of(["<sil>", "ˈɑ", "n", "ə", "<sil>"], [5, 9, 4, 5, 5])
    heard.stresses[0, 5:9] = torch.tensor([3.0, 0.0, 0.0])  # four frames of nine say something else, less surely
    assert recognise(heard).tokens == ["<sil>", "ˈɑ", "n", "ə", "<sil>"]


@pytest.mark.parametrize("seed", range(8))
def test_the_free_search_finds_the_best_of_all_segmentations(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, kinds = 7, 3
    frames = generator.dirichlet(np.ones(kinds), n)
    begin = generator.uniform(0.05, 0.95, n)
    begins, goes_on = np.log(begin), np.log1p(-begin)
    begins[0] = 0.0
    least = [min(LEAST_PAUSE, n), LEAST_FRAMES, LEAST_FRAMES]
    best: tuple[float, list[int], list[int]] = (-np.inf, [], [])
    for count in range(1, 4):
        for inner in itertools.combinations(range(1, n), count - 1):
            borders = [0, *inner, n]
            for run in itertools.product(range(kinds), repeat=count):
                spans = list(zip(borders, borders[1:], run, strict=False))
                if any(end - start < least[kind] for start, end, kind in spans):
                    continue
                score = sum(
                    begins[start] + goes_on[start + 1 : end].sum() + np.log(frames[start:end, kind]).sum()
                    for start, end, kind in spans
                )
                best = max(best, (float(score), borders, list(run)))
    assert viterbi.segment(np.log(frames), np.array(least), begins, goes_on) == (best[1], best[2])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tokens", [["<sil>", "a", " ", "<sil>", "o", "."], ["a", "a", "o"], [" ", ",", "<sil>", "a"]])
def test_the_search_along_tokens_finds_the_best_of_all_paths(tokens: list[str], seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, ids = 6, np.array(encode(tokens)[0])
    score = np.log(generator.dirichlet(np.ones(len(PHONEMES)), n))
    begin = generator.uniform(0.05, 0.95, n)
    begins, goes_on = np.log(begin), np.log1p(-begin)
    sounds = {k for k, token in enumerate(tokens) if not is_pause(token)}
    best: tuple[float, list[int]] = (-np.inf, [])
    for path in itertools.combinations_with_replacement(range(len(tokens)), n):
        if sounds - set(path):
            continue
        total = sum(score[t, ids[k]] for t, k in enumerate(path)) + begins[0]
        total += sum((goes_on if a == b else begins)[t] for t, (a, b) in enumerate(itertools.pairwise(path), start=1))
        best = max(best, (float(total), list(path)))
    assert viterbi.lay(score, ids, np.array([is_pause(token) for token in tokens]), begins, goes_on).tolist() == best[1]


def test_a_long_recording_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = random_heard(211, 5, 2.0)
    whole = fit_tokens(heard, TEXT * 4)
    monkeypatch.setattr(viterbi, "MEMORY", 50)
    assert fit_tokens(heard, TEXT * 4) == whole


def test_pauses_that_nobody_makes_have_no_frames() -> None:
    said = [("h", 3), ("ə", 4), ("l", 5), ("ˈoʊ", 9), ("ð", 3), ("ˈɛ", 8), ("ɹ", 6)]
    heard = heard_of(*map(list, zip(*said, strict=True)))
    assert align_tokens(heard, TEXT) == [0, 3, 4, 5, 9, 0, 3, 8, 6, 0, 0]


def test_music_before_and_after_the_text_goes_to_the_silence() -> None:
    heard = heard_of(TEXT, [40, *FRAMES[1:-1], 40])
    heard.activity[0, :38] = heard.activity[0, -38:] = torch.tensor([0.0, 0.0, SURE, 0.0])
    durations = align_tokens(heard, TEXT)
    assert durations[:9] == [40, *FRAMES[1:9]] and sum(durations[9:]) == 45


def test_near_phones_and_other_stress_are_the_same_text() -> None:
    heard = heard_of(["<sil>", "h", "ʌ", "l", "oʊ", " ", "d", "ˈæ", "ɹ", ".", "<sil>"], FRAMES)
    fit = fit_tokens(heard, TEXT)
    assert fit.durations == FRAMES and 0.5 < fit.score < 1.0
    fit.check()


def test_the_text_of_another_clip_is_refused_in_one_sentence() -> None:
    heard = heard_of(TEXT, FRAMES)
    assert fit_tokens(heard, TEXT).score > 0.95
    assert fit_tokens(heard, OTHER_TEXT).score < LOWEST_FIT
    with pytest.raises(
        ValueError, match=r"they agree by 0\.\d+, at least .* Is it the text of another clip\?"
    ) as error:
        align_tokens(heard, OTHER_TEXT)
    assert "\n" not in str(error.value)
    words = [("<sil>", 5), ("k", 5), ("ˈæ", 9), ("t", 5), (" ", 3)] * 6
    rest = heard_of(*map(list, zip(*words, strict=True)))
    assert fit_tokens(rest, ["<sil>", "k", "ˈæ", "t", "<sil>"]).score < LOWEST_FIT  # the text says a sixth of it


@pytest.mark.parametrize("tokens", [TEXT * 8, []])
def test_tokens_that_do_not_fit_are_refused(tokens: list[str]) -> None:
    with pytest.raises(ValueError, match=r"phonemes must fit into 55 frames \(0.59 s\)"):
        fit_tokens(heard_of(TEXT, FRAMES), tokens)


def test_unknown_tokens_and_several_recordings_are_refused() -> None:
    heard = heard_of(TEXT, FRAMES)
    with pytest.raises(ValueError, match='got "q"'):
        fit_tokens(heard, ["<sil>", "q", "<sil>"])
    two = Heard(*(torch.cat([value, value]) for value in vars(heard).values()))
    none = Heard(*(value[:, :0] for value in vars(heard).values()))
    for wrong in (two, none):
        with pytest.raises(ValueError, match="must be one recording"):
            recognise(wrong)
