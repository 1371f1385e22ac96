"""A voice known from recordings, as it is kept: a few vectors in a file.

Comes in: what was heard of a speaker. Goes out: a `VoiceProfile`, which the acoustic model is told through a `Speaker`.
"""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from emotts.speaker.known import Speaker
from emotts.speaker.reference import TimbreAdapter

SUFFIX = ".safetensors"
FORMAT = 1
TENSORS = ("embedding", "timbre", "residual")
LARGEST_BYTES = 4_000_000
REGISTERS = (math.log2(40.0), math.log2(700.0))


@dataclass(frozen=True)
class VoiceProfile:
    """A voice known from recordings.

    Attributes:
        name: for people; a kept voice is asked for by it.
        embedding: [D] in the space of the named voices. timbre: [U] for the adapter.
        residual: [C + 1, M], see `Speaker`.
        mean_log_f0: log2 Hz of the speaker's neutral speech.
        facts: seconds of speech it comes from, the model it belongs to, what the user wrote about consent; JSON.
    """

    name: str
    embedding: Tensor = field(repr=False, compare=False)
    timbre: Tensor = field(repr=False, compare=False)
    residual: Tensor = field(repr=False, compare=False)
    mean_log_f0: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def consent(self) -> str | None:
        """What was said of the speaker's consent: "stated", "not stated", or None where models spoke the recordings."""
        said = self.facts.get("consent", "not stated")
        return said if said in ("stated", None) else "not stated"

    def to_speaker(self, adapter: TimbreAdapter | None) -> Speaker:
        """Return the voice with B = 1."""
        register = torch.tensor([self.mean_log_f0])
        return Speaker(self.embedding[None], register, self.timbre[None], adapter, self.residual[None])

    def save(self, path: str | Path) -> None:
        """Write the profile whole or not at all.

        Raises:
            ValueError: the name does not end in .safetensors.
        """
        path = Path(path)
        if path.suffix != SUFFIX:
            raise ValueError(f"a voice is kept in a file that ends in {SUFFIX}; got {path.name!r}.")
        facts = {"format": FORMAT, "name": self.name, "mean_log_f0": self.mean_log_f0, "facts": self.facts}
        data = save(
            {name: getattr(self, name).float().contiguous() for name in TENSORS},
            {"emotts_voice": json.dumps(facts, allow_nan=False)},
        )
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem[:40]}-", delete=False) as file:
            temporary = Path(file.name)
        try:
            temporary.write_bytes(data)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def load_profile(path: str | Path) -> VoiceProfile:
    """Read a kept voice.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no kept voice, or holds numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"voice file {str(path)!r} does not exist; `emotts voices add` makes one.")
    problem = f"{path.name} is not a kept voice of emotts; make it again with `emotts voices add`."
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(problem)
    try:
        with safe_open(path, framework="pt") as store:
            facts = json.loads((store.metadata() or {})["emotts_voice"])
            tensors = {name: store.get_tensor(name) for name in TENSORS}
        vectors = [tensors[name] for name in TENSORS]
        register, more = float(facts["mean_log_f0"]), dict(facts["facts"])
        profile = VoiceProfile(str(facts["name"]), vectors[0], vectors[1], vectors[2], register, more)
        is_known = facts["format"] == FORMAT and isinstance(more.get("seconds", 0.0), int | float)
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(problem) from error
    is_sound = all(x.is_floating_point() and bool(x.isfinite().all()) for x in vectors)
    if not (is_known and is_sound) or [x.ndim for x in vectors] != [1, 1, 2]:
        raise ValueError(problem)
    if not REGISTERS[0] <= profile.mean_log_f0 <= REGISTERS[1]:
        raise ValueError(problem)
    return profile


def voices_folder() -> Path:
    """Return the folder in which voices are kept: $EMOTTS_DATA/voices, else below the user's data folder."""
    chosen = os.environ.get("EMOTTS_DATA")
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return (Path(chosen) if chosen else base / "emotts") / "voices"


def kept_voices() -> list[str]:
    """Return the names of the voices that are kept."""
    folder = voices_folder()
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
