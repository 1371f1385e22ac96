"""Let one peer speak in this process, which does nothing else, and say how long it took and what it held.

    python benchmarks/peers_child.py '{"peer": "emotts", "texts": ["..."], "long_texts": ["..."], "rounds": 2, "keep": "x.npz"}'

Prints one line of JSON; the waveforms of the texts go into the file `keep`, if one is named. How many cores the process may use
is decided by who starts it.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from machine import peak_memory_mb
from peers_systems import BY_NAME, Peer


def main(argv: list[str]) -> int:
    job = json.loads(argv[0])
    started = time.perf_counter()
    peer = BY_NAME[job["peer"]].load()
    load_s = time.perf_counter() - started
    print(json.dumps({"load_s": load_s, **measure(peer, job)}))
    return 0


def measure(peer: Peer, job: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one peer; the first text is spoken twice more before anything is timed."""
    cold_s, _ = spoken(peer, job["texts"][0])
    for text in job["texts"][:2]:
        spoken(peer, text)
    seconds: list[list[float]] = [[] for _ in job["texts"]]
    waveforms: list[np.ndarray] = []
    for number in range(job["rounds"]):
        for i, text in enumerate(job["texts"]):
            spent, waveform = spoken(peer, text)
            seconds[i].append(spent)
            if number == 0:
                waveforms.append(waveform)
    first = [first_audio(peer, text) for text in job["long_texts"] for _ in range(job["rounds"])]
    if job.get("keep"):
        np.savez(job["keep"], *waveforms)
    return {
        "cold_s": cold_s,
        "seconds": seconds,
        "durations_s": [len(waveform) / peer.sample_rate for waveform in waveforms],
        "first_audio_s": first,
        "memory_mb": peak_memory_mb() if peer.memory_mb is None else peer.memory_mb,
        "sample_rate": peer.sample_rate,
    }


def spoken(peer: Peer, text: str) -> tuple[float, np.ndarray]:
    """Return the seconds a text took and its waveform."""
    start = time.perf_counter()
    waveform = np.concatenate(list(peer.speak(text)))
    return time.perf_counter() - start, waveform


def first_audio(peer: Peer, text: str) -> float:
    """Return the seconds until the first piece of a long text is there."""
    start = time.perf_counter()
    pieces = iter(peer.speak(text))
    next(pieces)
    seconds = time.perf_counter() - start
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
    return seconds


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
