"""The methods of the pipeline that convert recordings."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from emotts.conversion.converter import Converter
from emotts.conversion.request import ConversionRequest, ConvertOptions
from emotts.conversion.result import Conversion
from emotts.speaker.profile import VoiceProfile
from emotts.speech import Chunk


class ConversionMethods(ABC):
    """What a pipeline with a `converter` can do with recordings."""

    @property
    @abstractmethod
    def converter(self) -> Converter:
        """What converts recordings."""

    def convert(
        self, source: str | Path | np.ndarray, sample_rate: int | None = None, **options: Unpack[ConvertOptions]
    ) -> Conversion:
        """Change the feeling, the voice, or both, of a recording; for long ones see `convert_pieces`.

        Args:
            source: the path of a recording, or samples [L] with their rate.
            options: see `emotts.conversion.request.ConvertOptions`.

        Raises:
            ValueError: a mistake in the options, no audio, or nobody speaks in it.
            FileNotFoundError: a file that does not exist.
        """
        return self.converter.convert(source, self.conversion(**options), sample_rate)

    def conversion(self, **options: Unpack[ConvertOptions]) -> ConversionRequest:
        """Check a conversion's options once, for many recordings; arguments and errors are those of `convert`."""
        return self.converter.request(**options)

    def convert_pieces(
        self, source: str | Path | np.ndarray, request: ConversionRequest, sample_rate: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the result in pieces and in bounded memory, whatever the length; joined, they are what `convert` gives."""
        return self.converter.pieces(source, request, sample_rate)

    def convert_stream(
        self, chunks: Iterable[np.ndarray], sample_rate: int, **options: Unpack[ConvertOptions]
    ) -> Iterator[np.ndarray]:
        """Convert speech while it is spoken; samples at 24 kHz come out, see `Converter.stream`."""
        return self.converter.stream(chunks, sample_rate, self.conversion(**options))

    def voice_of(self, recordings: Sequence[str | Path], name: str | None = None) -> VoiceProfile:
        """Learn a voice from recordings; give it as `voice`, or keep it by its `save`. Errors are those of `Converter.voice_of`."""
        return self.converter.voice_of(recordings, name)
