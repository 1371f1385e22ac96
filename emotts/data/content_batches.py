"""Training batches of the speech encoder: utterances with their frames named, others speaking over them, and what is no speech.

Comes in: corpora with exact durations. Goes out: mels with the phoneme of every frame, its first frames, and its activity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emotts.audio import LogMel
from emotts.content.speech_encoder import ACTIVITIES
from emotts.data.batch_plan import FRAME_STEP
from emotts.data.dataset import TOKEN_STEP, Corpus
from emotts.data.joined import Joined
from emotts.data.manifest import ManifestRow
from emotts.data.nonspeech import KINDS, make_nonspeech
from emotts.text.symbols import STRESSES, encode, is_pause

SILENCE, SPEECH, OTHER, OVERLAP = range(len(ACTIVITIES))
UNKNOWN = -100  # no target: what torch's cross entropy leaves out
NONSPEECH_S = 3.0
OVERLAP_DB, OTHER_FRAMES = (-12.0, 3.0), (25, 120)
CLEAR_DB = 8.0  # a second voice this far below is not counted as one, nor is the first under it


@dataclass
class ContentBatch:
    """Padded utterances.

    Attributes:
        mel: [B, T, M]. lengths: frames [B].
        phonemes, stresses: token ids [B, N]. token_lengths: [B].
        token: token of every frame [B, T], -1 where none is said.
        begins: 1 on first frames of a sound [B, T]. activity: index into ACTIVITIES [B, T], UNKNOWN where it is open.
        voice: index of the voice [B].
    """

    mel: Tensor
    lengths: Tensor
    phonemes: Tensor
    stresses: Tensor
    token_lengths: Tensor
    token: Tensor
    begins: Tensor
    activity: Tensor
    voice: Tensor


@dataclass(frozen=True)
class Mixing:
    """How often and how far utterances are disturbed; see conf/train_content.yaml."""

    gain_db: float = 12.0
    overlap: float = 0.15
    other: float = 0.35
    nonspeech_clips: int = 500


def nonspeech_mels(count: int, seed: int) -> list[np.ndarray]:
    """Make mels [T, M] of sounds that are no speech, each kind in turn."""
    generator, front = np.random.default_rng([seed, 7]), LogMel()
    mels = []
    for i in range(count):
        waveform = make_nonspeech(KINDS[i % len(KINDS)], NONSPEECH_S, generator)
        mels.append(front(torch.from_numpy(waveform)[None])[0].numpy())
    return mels


@dataclass
class _Clip:
    """One utterance before padding: mel [T, M], token [T], begins [T], activity [T]."""

    mel: np.ndarray
    token: np.ndarray
    begins: np.ndarray
    activity: np.ndarray


class ContentSource:
    """Utterances of several corpora under one numbering."""

    def __init__(self, corpora: Sequence[Corpus], mixing: Mixing, seed: int) -> None:
        self.corpora, self.mixing = list(corpora), mixing
        self.all = Joined(corpora)
        self.voices = [voice for corpus in self.corpora for voice in corpus.voices]
        number = {voice: k for k, voice in reversed(list(enumerate(self.voices)))}
        self._number = [number[voice] for voice in self.all.names]
        self.nonspeech = nonspeech_mels(mixing.nonspeech_clips, seed) if mixing.other > 0 else []

    def __len__(self) -> int:
        return len(self.all)

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every utterance [R]."""
        return self.all.lengths

    def tokens(self, picks: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids and stresses [B, N], and how many are real [B]; no features are read."""
        places = [self.all.place(pick) for pick in picks]
        return _padded([encode(self.corpora[c].rows[i].phonemes, len(STRESSES)) for c, i in places])

    def batch(self, picks: Sequence[int], generator: np.random.Generator) -> ContentBatch:
        """Return a batch; what is random comes from the generator."""
        clips, ids = [], []
        for pick in picks:
            c, i = self.all.place(pick)
            row = self.corpora[c].rows[i]
            clip = self._clip(row, self.corpora[c].raw[i]["mel"])
            clip.mel += np.float32(generator.uniform(-1.0, 1.0) * self.mixing.gain_db * np.log(10.0) / 20.0)
            if generator.random() < self.mixing.overlap:
                self._overlap(clip, generator)
            elif self.nonspeech and generator.random() < self.mixing.other:
                self._interrupt(clip, generator)
            clips.append(clip)
            ids.append(encode(row.phonemes, len(STRESSES)))
        n_frames = -(-max(len(clip.mel) for clip in clips) // FRAME_STEP) * FRAME_STEP

        def frames(name: str, fill: float) -> Tensor:
            values = [getattr(clip, name) for clip in clips]
            out = np.full((len(clips), n_frames, *values[0].shape[1:]), fill, values[0].dtype)
            for row, value in zip(out, values, strict=True):
                row[: len(value)] = value
            return torch.from_numpy(out)

        phonemes, stresses, token_lengths = _padded(ids)
        voices = [self._number[code] for code in self.all.voice[list(picks)].tolist()]
        return ContentBatch(
            frames("mel", 0.0), torch.tensor([len(clip.mel) for clip in clips]), phonemes, stresses, token_lengths,
            frames("token", -1), frames("begins", 0.0), frames("activity", UNKNOWN), torch.tensor(voices),
        )  # fmt: skip

    def _clip(self, row: ManifestRow, stored: np.ndarray) -> _Clip:
        mel = stored.astype(np.float32)
        durations = np.asarray(row.durations)
        token = np.repeat(np.arange(len(durations)), durations)
        begins = np.diff(token, prepend=-1) != 0
        pauses = np.array([is_pause(name) for name in row.phonemes])
        activity = np.where(pauses[token], SILENCE, SPEECH)
        return _Clip(mel[: len(token)], token, begins.astype(np.float32), activity)

    def _overlap(self, clip: _Clip, generator: np.random.Generator) -> None:
        """Let another utterance speak over a part of this one."""
        c, i = self.all.place(int(generator.integers(len(self))))
        other = self._clip(self.corpora[c].rows[i], self.corpora[c].raw[i]["mel"])
        level = generator.uniform(*OVERLAP_DB)
        start = int(generator.integers(len(clip.mel)))
        n = min(len(other.mel), len(clip.mel) - start)
        both = slice(start, start + n)
        louder = clip.mel[clip.activity == SPEECH].mean() - other.mel[other.activity == SPEECH].mean()
        added = other.mel[:n] + louder + level * np.log(10.0) / 20.0
        clip.mel[both] = 0.5 * np.logaddexp(2.0 * clip.mel[both], 2.0 * added)
        second = other.activity[:n] == SPEECH
        first = clip.activity[both] == SPEECH
        heard_as = np.where(second, SPEECH, clip.activity[both])
        heard_as = np.where(first & second, OVERLAP if level > -CLEAR_DB else UNKNOWN, heard_as)
        clip.activity[both] = heard_as
        clip.token[both] = np.where(second, -1, clip.token[both])

    def _interrupt(self, clip: _Clip, generator: np.random.Generator) -> None:
        """Put a stretch of something else in place of, or before, a part of the utterance."""
        sound = self.nonspeech[generator.integers(len(self.nonspeech))]
        n = min(int(generator.integers(*OTHER_FRAMES)), len(clip.mel), len(sound))
        first = int(generator.integers(len(sound) - n + 1))
        start = int(generator.integers(len(clip.mel) - n + 1))
        level = clip.mel.max() - sound.max() + generator.uniform(-2.5, 0.5)
        part = slice(start, start + n)
        clip.mel[part] = sound[first : first + n] + level
        loud = clip.mel[part].max(axis=1) > clip.mel.max() - 5.0
        clip.activity[part] = np.where(loud, OTHER, SILENCE)
        clip.token[part] = -1
        clip.begins[part] = 0.0


def _padded(ids: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return both rows of ids padded to a multiple of TOKEN_STEP [B, N], and their lengths [B]."""
    n_tokens = -(-max(len(phonemes) for phonemes, _ in ids) // TOKEN_STEP) * TOKEN_STEP
    both = [torch.zeros(len(ids), n_tokens, dtype=torch.int64) for _ in range(2)]
    for k, pair in enumerate(ids):
        for out, own in zip(both, pair, strict=True):
            out[k, : len(own)] = torch.tensor(own)
    return both[0], both[1], torch.tensor([len(phonemes) for phonemes, _ in ids])
