"""A user's recording as a take of the session: the path of a checked file comes in; a take and samples go out."""

from pathlib import Path

import numpy as np

from emotts.audio import load_audio, save_audio
from emotts.provenance import read_provenance, source_of

from .engine import Engine
from .takes import Take

AS_IT_IS = "as it is"  # the feeling that nobody asked for


def recording_take(engine: Engine, path: str) -> tuple[Take, np.ndarray]:
    """Return a recording as a take at the rate of all others, with what it says of how it was made; and its samples [L].

    Raises:
        ValueError: it cannot be read.
    """
    rate = engine.tts.sample_rate
    samples = load_audio(path, rate, engine.limits.max_recording_s)
    try:
        found = read_provenance(path)
    except ValueError:  # broken; then it is not handed on
        found = None
    place = engine.new_file("recording.wav")
    save_audio(place, samples, rate, found.to_metadata() if found else None)
    name = Path(path).name
    options = {"sha256": source_of(path).sha256}
    take = Take("recording", str(place), name, "recording", AS_IT_IS, 0, len(samples) / rate, 0.0, options=options)
    return take, samples
