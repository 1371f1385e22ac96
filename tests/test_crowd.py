"""The crowd of voices and the flite teacher: who is in it, what is held out, and what the program is asked for."""

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from emotts.emotion.rendering import controls_for
from emotts.simulation.crowd import CROWD, FORMANTS, HELD_OUT, MEMBERS, REGISTERS_ST, TRAINED_PACKS, CrowdTeacher
from emotts.simulation.flite import FliteTeacher, flite_phones
from emotts.simulation.readings import sample_reading
from emotts.simulation.teachers import VoiceShape
from emotts.text.symbols import ENGLISH_PHONEMES, is_vowel

TOKENS = ["<sil>", "h", "ə", "l", "ˈoʊ", " ", "ð", "ɛ", "ɹ", ".", "<sil>"]
FAKE_FLITE = f"""#!{sys.executable}
import sys, wave, array, math
arguments = sys.argv[1:]
phones = arguments[arguments.index("-p") + 1].split()
stretch = float(arguments[arguments.index("--setf") + 1].split("=")[1])
length = int(1600 * stretch)
with wave.open(arguments[arguments.index("-o") + 1], "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
    tone = [0 if p == "pau" else int(9000 * math.sin(0.047 * k)) for p in phones for k in range(length)]
    out.writeframes(array.array("h", tone).tobytes())
print(" ".join(f"{{p.rstrip('1')}}:{{(k + 1) * length / 16000:.4f}}" for k, p in enumerate(phones)))
"""


def test_members_differ_lie_in_their_ranges_and_some_are_held_out() -> None:
    assert len(CROWD) == sum(MEMBERS.values()) and set(CROWD) == set(CrowdTeacher.voices)
    for teacher, count in MEMBERS.items():
        own = [member for member in CROWD.values() if member.teacher == teacher]
        assert len(own) == count and sum(member.is_held_out for member in own) == HELD_OUT[teacher]
        assert len({member.shape for member in own}) == count
        for member in own:
            assert FORMANTS[teacher][0] - 1e-3 <= member.shape.formant <= FORMANTS[teacher][1] + 1e-3
            assert REGISTERS_ST[teacher][0] <= member.shape.register_st <= REGISTERS_ST[teacher][1]


def test_large_bodies_speak_low() -> None:
    own = [member.shape for member in CROWD.values() if member.teacher == "hibari"]
    assert np.corrcoef([np.log(s.formant) for s in own], [s.register_st for s in own])[0, 1] > 0.7


def test_blends_are_convex_and_a_pack_is_kept_for_the_test() -> None:
    for member in CROWD.values():
        if member.blend is None:
            continue
        assert sum(member.blend.values()) == pytest.approx(1.0)
        assert member.is_held_out == ("jf_tebukuro" in member.blend)
        assert member.is_held_out or set(member.blend) <= set(TRAINED_PACKS)


def test_nobody_else_speaks() -> None:
    with pytest.raises(ValueError, match="voice must be"):
        CrowdTeacher().speak(
            TOKENS, "heart", controls_for(np.zeros((11, 3))), sample_reading(TOKENS, np.random.default_rng(0)), 0
        )


def test_every_english_phoneme_has_a_name_in_flite() -> None:
    for phoneme in ENGLISH_PHONEMES:
        assert len(flite_phones(phoneme)) == 1
        if is_vowel(phoneme):
            assert flite_phones("ˈ" + phoneme) == [flite_phones(phoneme)[0] + "1"]
    assert flite_phones(" ") == [] and flite_phones(".") == ["pau"]
    with pytest.raises(ValueError, match="cannot be spoken"):
        flite_phones("ø")


@pytest.fixture
def fake_flite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "flite"
    program.write_text(FAKE_FLITE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_borders_of_flite_become_durations(fake_flite: None) -> None:
    reading = sample_reading(TOKENS, np.random.default_rng(0))
    controls = controls_for(np.zeros((len(TOKENS), 3)))
    spoken = FliteTeacher().speak_shaped(TOKENS, "slt", VoiceShape(), controls, reading, 1)
    assert spoken.durations.sum() * 256 == len(spoken.waveform) and len(spoken.f0) == spoken.durations.sum()
    assert spoken.durations[TOKENS.index(" ")] == 0
    sounds = [int(n) for token, n in zip(TOKENS, spoken.durations, strict=True) if token.strip(".<sil> ")]
    assert max(sounds) - min(sounds) <= 1  # all as long in the fake
    again = FliteTeacher().speak_shaped(TOKENS, "slt", VoiceShape(), controls, reading, 1)
    assert np.array_equal(spoken.waveform, again.waveform)


def test_without_the_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt install flite"):
        FliteTeacher()
