"""What the routes share: the model, the limits, the thread that computes, and the counts."""

from dataclasses import dataclass, field

from emotts.pipeline import EmoTTS
from emotts.server.limits import Limits
from emotts.server.metrics import Metrics
from emotts.server.worker import Worker


@dataclass
class Service:
    """One model and all that serves it.

    Attributes:
        is_ready: the first sentence, which takes longer than all others, has been spoken.
    """

    tts: EmoTTS
    limits: Limits
    worker: Worker
    metrics: Metrics = field(default_factory=Metrics)
    is_ready: bool = False

    @property
    def voices(self) -> list[str]:
        """Names of the voices that are offered; kept voices of whoever runs the server are not."""
        return [card.name for card in self.tts.voices]

    def warm_up(self) -> None:
        """Speak once, so that the first client does not wait for what is made once."""
        self.tts.synthesize("ready.", seed=0)
        self.is_ready = True
