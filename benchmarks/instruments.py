"""What several benchmarks measure words, quality and voices with, each loaded when first needed."""

from functools import cached_property
from typing import Any


class Instruments:
    """Recogniser of words, DNSMOS and speaker encoder."""

    threads: int

    @cached_property
    def recogniser(self) -> Any:
        from emotts.metrics.asr import Recogniser

        return Recogniser(self.threads)

    @cached_property
    def dnsmos(self) -> Any:
        from emotts.metrics.quality import DNSMOS

        return DNSMOS(self.threads)

    @cached_property
    def encoder(self) -> Any:
        from emotts.metrics.speaker import load_speaker_encoder

        return load_speaker_encoder()
