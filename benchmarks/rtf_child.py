"""Measure one configuration of threads and device in this process, which does nothing else.

    python benchmarks/rtf_child.py '{"threads": 1, "device": "cpu", "sentences": ["..."], "long_texts": ["..."], "rounds": 3}'

Prints one line of JSON. A fresh process keeps memory honest and makes the first sentence a cold one.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from machine import peak_memory_mb
from speed_texts import read_tokens
from stages import OTHER, WRITING, StageClock, clocked, waits_for

EMOTION = "happy:0.8"


def main(argv: list[str]) -> int:
    job = json.loads(argv[0])
    torch.set_num_threads(job["threads"])
    with ExitStack() as stack:
        if job.get("tokens_from_file"):
            without_front_end(stack)
        print(json.dumps(measure(job)))
    return 0


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one configuration."""
    started = time.perf_counter()
    from emotts.pipeline import EmoTTS

    tts = EmoTTS.from_pretrained(job.get("checkpoint"), job["device"])
    load_s = time.perf_counter() - started
    ready = waits_for(tts.device)
    sentences, long_texts = job["sentences"], job["long_texts"]

    cold = timed_sentence(tts, sentences[0], 0, ready)
    for sentence in sentences[:3]:
        tts.synthesize(sentence, emotion=EMOTION, seed=0)
    runs = [[timed_sentence(tts, text, seed, ready) for seed in range(job["rounds"])] for text in sentences]
    return {
        "load_s": load_s,
        "cold": {"seconds": cold[0], "duration_s": cold[1]},
        "sentences": [{"seconds": [run[0] for run in rounds], "durations_s": [run[1] for run in rounds]} for rounds in runs],
        "first_audio_s": [first_audio(tts, text, seed, ready) for seed in range(job["rounds"]) for text in long_texts],
        "long": long_text(tts, long_texts[0], ready),
        "stages": [stage_seconds(tts, text, job["rounds"]) for text in sentences],
        "stages_long": stage_seconds(tts, long_texts[0], 1),
        "memory_mb": peak_memory_mb(),
        "gpu_memory_mb": torch.cuda.max_memory_allocated() / 1e6 if tts.device.type == "cuda" else None,
        "model": {"parameters": dict(tts.describe())["all"], "steps": tts.default_steps},
        "gpu": torch.cuda.get_device_name() if tts.device.type == "cuda" else None,
    }  # fmt: skip


def timed_sentence(tts: Any, text: str, seed: int, ready: Any) -> tuple[float, float]:
    """Return the seconds that a sentence took, from text to waveform in memory, and how long it is."""
    ready()
    start = time.perf_counter()
    result = tts.synthesize(text, emotion=EMOTION, seed=seed)
    ready()
    return time.perf_counter() - start, result.duration_s


def first_audio(tts: Any, text: str, seed: int, ready: Any) -> float:
    """Return the seconds until the first samples of a long text are there."""
    ready()
    start = time.perf_counter()
    next(iter(tts.stream(text, emotion=EMOTION, seed=seed)))
    return time.perf_counter() - start


def long_text(tts: Any, text: str, ready: Any) -> dict[str, float]:
    """Return the real-time factor of a long text, and how long after its first audio each chunk would be late, if any."""
    ready()
    start = time.perf_counter()
    spoken_s, first_s, latest_s = 0.0, 0.0, 0.0
    for chunk in tts.stream(text, emotion=EMOTION, seed=0):
        now = time.perf_counter() - start
        first_s = first_s or now
        latest_s = max(latest_s, now - first_s - spoken_s)  # when it had to be there to play without a gap
        spoken_s += len(chunk.waveform) / tts.sample_rate
    return {"rtf": (time.perf_counter() - start) / spoken_s, "duration_s": spoken_s, "late_s": latest_s}


def stage_seconds(tts: Any, text: str, rounds: int) -> dict[str, float]:
    """Return seconds by stage, writing the file included where soundfile is installed, of the quickest of some rounds."""
    found: list[dict[str, float]] = []
    can_write = find_spec("soundfile") is not None
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(rounds):
            clock = StageClock(waits_for(tts.device))
            with clocked(tts, clock), clock.during(OTHER):
                result = tts.synthesize(text, emotion=EMOTION, seed=seed)
                if can_write:
                    with clock.during(WRITING):
                        result.save(Path(folder) / f"{seed}.wav")
            found.append(clock.seconds)
    return min(found, key=lambda seconds: sum(seconds.values()))


def without_front_end(stack: ExitStack) -> None:
    """Let the pipeline take tokens from the file, where no lexicon is installed; text analysis then costs nothing."""
    import emotts.pipeline
    from emotts.text import NO_SPAN, Segment

    kept = read_tokens()

    def segments(text: str, *_: Any, **__: Any) -> Iterator[Segment]:
        for part, tokens, words in kept[text]:
            n = len(tokens)
            yield Segment(tokens, part, None, (NO_SPAN,) * n, (False,) * n, tuple(words))

    stack.enter_context(patch.object(emotts.pipeline, "text_to_segments", segments))
    stack.enter_context(patch.object(emotts.pipeline, "phonemize", lambda text: []))
    stack.enter_context(patch.object(emotts.pipeline, "word_texts", lambda segment, *_: [""] * len(segment.tokens)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
