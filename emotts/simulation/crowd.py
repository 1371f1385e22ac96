"""The crowd: many voices that nobody asks for by name, so that what listens and converts has heard more than a few people.

In: phoneme tokens, controls and a reading. Out: a `Rendition`. Each member is one of the other teachers with a shape of its
own: formants from 0.80 to 1.20 of the network's, a register that goes with them but for a scatter, and a tilt; members of
kokoro are besides blends of its voices. The last members of each teacher are held out: they speak the split "test" only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emotts.emotion.rendering import Controls
from emotts.simulation.flite import FliteTeacher
from emotts.simulation.hibari import HibariTeacher
from emotts.simulation.kokoro import KokoroTeacher
from emotts.simulation.piper import PiperTeacher
from emotts.simulation.readings import Reading
from emotts.simulation.teachers import Rendition, VoiceInfo, VoiceShape

SEED = 20_811
MEMBERS = {"hibari": 164, "piper": 32, "kokoro": 24, "flite": 36}
HELD_OUT = {"hibari": 4, "piper": 2, "kokoro": 2, "flite": 0}
LICENCES = {"hibari": "Apache-2.0", "piper": "CC0-1.0", "kokoro": "Apache-2.0", "flite": "BSD-like"}
FORMANTS = {"hibari": (0.80, 1.20), "piper": (0.88, 1.16), "kokoro": (0.90, 1.10), "flite": (0.88, 1.14)}
REGISTER_PER_FORMANT_ST, REGISTER_SCATTER_ST = 38.0, 2.5  # semitones per neper of formant shift; standard deviation
REGISTERS_ST = {"hibari": (-12.0, 6.0), "piper": (-4.0, 9.0), "kokoro": (-5.0, 5.0), "flite": (-5.0, 6.0)}
TILTS = (-1.5, 1.5)
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
TRAINED_PACKS = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jm_kumo")
HELD_OUT_BLENDS: tuple[dict[str, float], ...] = ({"jf_tebukuro": 1.0}, {"jf_tebukuro": 0.55, "jm_kumo": 0.45})


@dataclass(frozen=True)
class Member:
    """One voice of the crowd: its teacher, its shape, for kokoro the blend of the package's voices, for flite the voice."""

    teacher: str
    shape: VoiceShape
    blend: dict[str, float] | None
    is_held_out: bool
    voice: str = ""


def _members() -> dict[str, Member]:
    members: dict[str, Member] = {}
    for teacher, count in MEMBERS.items():
        for number in range(count):
            generator = np.random.default_rng([SEED, len(members)])
            held_out = number - (count - HELD_OUT[teacher])  # 0 and above for the last ones
            low, high = np.log(FORMANTS[teacher])
            formant = float(generator.uniform(low, high))
            register = REGISTER_PER_FORMANT_ST * formant + generator.normal(0.0, REGISTER_SCATTER_ST)
            shape = VoiceShape(
                round(float(np.exp(formant)), 3),
                round(float(np.clip(register, *REGISTERS_ST[teacher])), 2),
                round(float(generator.uniform(*TILTS)), 2),
            )
            blend = None
            if teacher == "kokoro":
                weights = generator.dirichlet(np.full(len(TRAINED_PACKS), 0.6))
                drawn = {name: float(weight) for name, weight in zip(TRAINED_PACKS, weights, strict=True)}
                blend = drawn if held_out < 0 else HELD_OUT_BLENDS[held_out]
            voice = FLITE_VOICES[number % len(FLITE_VOICES)] if teacher == "flite" else ""
            members[f"crowd-{teacher[0]}{number:03d}"] = Member(teacher, shape, blend, held_out >= 0, voice)
    return members


CROWD: dict[str, Member] = _members()


class CrowdTeacher:
    """Speaks as any member of the crowd; the networks are loaded when first needed."""

    voices: dict[str, VoiceInfo] = {
        name: VoiceInfo(name, "", "", member.teacher, LICENCES[member.teacher], "a member of the crowd")
        for name, member in CROWD.items()
    }

    @cached_property
    def _hibari(self) -> HibariTeacher:
        return HibariTeacher()

    @cached_property
    def _piper(self) -> PiperTeacher:
        return PiperTeacher()

    @cached_property
    def _kokoro(self) -> KokoroTeacher:
        return KokoroTeacher()

    @cached_property
    def _flite(self) -> FliteTeacher:
        return FliteTeacher()

    def speak(self, tokens: list[str], voice: str, controls: Controls, reading: Reading, seed: int) -> Rendition:
        """Speak tokens of one utterance; see `Teacher.speak`.

        Raises:
            ValueError: If the voice is unknown or its teacher cannot speak the tokens.
        """
        if voice not in CROWD:
            raise ValueError(f"voice must be one of crowd-h000 to crowd-f035; got {voice!r}")
        member = CROWD[voice]
        if member.voice:
            return self._flite.speak_shaped(tokens, member.voice, member.shape, controls, reading, seed)
        if member.blend is not None:
            return self._kokoro.speak_blended(tokens, member.blend, member.shape, controls, reading, seed)
        teacher = self._hibari if member.teacher == "hibari" else self._piper
        return teacher.speak_shaped(tokens, member.shape, controls, reading, seed)
