"""Whose voice, and how it feels: names, kept voices and recordings come in, profiles and emotions go out."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC, load_audio
from emotts.conversion.reading import chunks_of, take
from emotts.conversion.request import SOURCE
from emotts.conversion.speaker import Speaking, fit_profile
from emotts.emotion.coordinates import coordinates_of, spec_at
from emotts.emotion.place import Evenness
from emotts.emotion.spec import EmotionSpec
from emotts.listeners import check_belongs, fingerprint, load_listener, load_reference_voice
from emotts.request import unknown_voice
from emotts.resolve import Resolver
from emotts.speaker.profile import SUFFIX, VoiceProfile, kept_voices, load_profile, voices_folder

if TYPE_CHECKING:
    from emotts.content.listener import Listener
    from emotts.speaker.reference import ReferenceVoice

Wave = NDArray[np.float32]

# Of neutral recordings of voices never heard 47 % (simulated, 17) and 98 % (people, 40) are taken for neutral by this, of
# emotional ones 29 % (benchmarks/convert.py).
NEUTRAL_WITHIN, NEUTRAL_WITHIN_KNOWN = 0.4, 0.25  # weighted length of (arousal, valence, dominance)
NEUTRAL_WEIGHTS = np.array([1.0, 0.6, 0.6])  # arousal is heard best
TRUST = 0.75  # of what is heard in a voice that is not known: the least square error
LONGEST_NAME = 255  # characters of a voice's name, or of a part of a path
REFERENCE_S = (1.0, 30.0)  # of a wanted voice: what is needed, and what is listened to


class Voices:
    """What listens to voices, loaded when first needed."""

    def __init__(self, acoustic: AcousticModel, resolver: Resolver, even: Evenness) -> None:
        self.acoustic, self.resolver = acoustic, resolver
        self.speaking = Speaking(acoustic, even)

    @cached_property
    def listener(self) -> "Listener":
        """The speech encoder."""
        self._check()
        return load_listener()

    @cached_property
    def reference_voice(self) -> "ReferenceVoice":
        """What hears who speaks."""
        self._check()
        return load_reference_voice()

    @cached_property
    def fingerprint(self) -> str:
        """A name of the acoustic model's weights, to which kept voices belong."""
        return fingerprint(self.acoustic)

    def _check(self) -> None:
        model = self.acoustic
        check_belongs(self.fingerprint, model.text_encoder.channels, model.voices.embedding.embedding_dim)

    def voice(self, voice: str | Path | VoiceProfile | None) -> tuple[str, VoiceProfile | None]:
        """Return the name of a voice, and its profile where it is no named one.

        Args:
            voice: a name, a kept name, a recording, or a profile; None keeps the speaker.

        Raises:
            ValueError, FileNotFoundError: there is no such voice, or the recording will not do.
        """
        if voice is None:
            return SOURCE, None
        if isinstance(voice, VoiceProfile):
            return voice.name, self._own(voice)
        name = str(voice)
        if name in self.acoustic.voices.names:
            return name, None
        if name in kept_voices():
            return name, self._own(load_profile(voices_folder() / f"{name}{SUFFIX}"))
        path = Path(name)
        if max(map(len, path.parts), default=0) > LONGEST_NAME or len(name) > 4_000:
            raise ValueError(unknown_voice(name, [*self.acoustic.voices.names, *kept_voices()]))
        if path.suffix == SUFFIX:
            profile = self._own(load_profile(path))
            return profile.name, profile
        if path.is_file():
            return path.stem, self.voice_of([path])
        if path.suffix or "/" in name:
            raise FileNotFoundError(f"voice {name[:200]!r} is neither a voice nor a recording that exists.")
        raise ValueError(unknown_voice(name, [*self.acoustic.voices.names, *kept_voices()]))

    def _own(self, profile: VoiceProfile) -> VoiceProfile:
        """Return a profile that fits this model.

        Raises:
            ValueError: it was made with another one.
        """
        widths = (self.acoustic.voices.embedding.embedding_dim, self.acoustic.text_encoder.channels + 1)
        if (len(profile.embedding), len(profile.residual)) != widths or profile.facts.get("model") != self.fingerprint:
            raise ValueError(
                f"voice {profile.name!r} was kept with another model; make it again with `emotts voices add {profile.name} ...`."
            )
        return profile

    def voice_of(self, recordings: str | Path | Sequence[str | Path], name: str | None = None) -> VoiceProfile:
        """Learn a voice from neutral recordings of 1 to 30 s in all; more is not listened to.

        Raises:
            ValueError: less than a second of speech, or no recording.
            FileNotFoundError: a recording that does not exist.
        """
        if isinstance(recordings, str | Path):
            recordings = [recordings]
        if not recordings:
            raise ValueError("a voice needs at least one recording; got none.")
        left, heard = REFERENCE_S[1], []
        for path in recordings:
            if left >= REFERENCE_S[0]:
                waveform = take(chunks_of(path), left)[: int(left * SPEC.sample_rate)]
                left -= len(waveform) / SPEC.sample_rate
                heard.append((waveform, EmotionSpec()))
        own = name or Path(recordings[0]).stem
        profile = fit_profile(own, heard, self.listener, self.reference_voice, self.speaking)
        if profile.facts["seconds"] < REFERENCE_S[0]:
            raise ValueError(
                f"a voice needs at least {REFERENCE_S[0]:g} s of speech; the recording holds {profile.facts['seconds']:g} s."
            )
        profile.facts["model"] = self.fingerprint
        return profile

    def emotion_of(self, waveform: Wave, neutral: Sequence[str | Path] = ()) -> EmotionSpec:
        """Return how a recording [L] at 24 kHz feels, as far as the recogniser can tell.

        Of a voice that it does not know it hears arousal, valence and dominance with an error of 0.3 to 0.4, and labels badly. So
        what lies near neutral is taken for neutral, and the rest is told without labels, a quarter nearer to neutral.

        Args:
            neutral: neutral recordings of the same speaker, with which it hears better.

        Raises:
            ValueError: it is too short or silent.
            FileNotFoundError: a neutral recording does not exist.
        """
        judge = self.resolver.recognizer
        if neutral:
            judge = judge.with_reference([(load_audio(path), SPEC.sample_rate) for path in neutral])
        heard = judge.hear(waveform, SPEC.sample_rate)
        distance = float(np.linalg.norm(np.array(heard.avd) * NEUTRAL_WEIGHTS))
        if distance < (NEUTRAL_WITHIN_KNOWN if neutral else NEUTRAL_WITHIN):
            return EmotionSpec()
        if neutral:
            return spec_at(coordinates_of(heard))
        arousal, valence, dominance = (round(TRUST * value, 4) for value in heard.avd)
        return EmotionSpec(None, 1.0, arousal, valence, dominance)
