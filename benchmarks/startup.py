"""How long `make say` takes on its second run, and what with: the whole command, and its parts in a process of their own.

The first sample is in the file only when the command is done, so the command's whole time is an upper bound of the time to
the first sample. A first run of `make say` installs; it is not measured.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tables import ROOT

TEXT, EMOTION = "I can't believe you came.", "happy:0.8"
COMMAND_LIMIT_S = 4.0
PARTS = """
import json, sys, time
born = float(sys.argv[1])
marks = {}
def mark(name):
    now = time.time()
    marks[name] = now - mark.last
    mark.last = now
mark.last = born
import emotts.cli
mark("interpreter and command line")
import torch
mark("import torch")
import emotts.pipeline
mark("import emotts.pipeline")
import emotts.text
emotts.text.phonemize("ready")
mark("lexicon")
tts = emotts.pipeline.EmoTTS.from_pretrained()
mark("checkpoint: read, check, build")
chunks = tts.stream(sys.argv[2], emotion=sys.argv[3])
chunk = next(iter(chunks))
mark("first chunk, cold")
marks["to the first sample"] = mark.last - born
import numpy, emotts.audio
emotts.audio.save_audio(sys.argv[4], chunk.waveform)
mark("write the file")
print(json.dumps(marks))
"""


def measure_startup(rounds: int) -> dict[str, Any]:
    """Return seconds of the command, each run of it, and of its parts, the median of each.

    Raises:
        RuntimeError: a command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        make = [command_run(Path(folder) / f"{i}.wav") for i in range(rounds)] if made_before() else []
        parts = [parts_run(Path(folder) / f"part{i}.wav") for i in range(rounds)]
    return {
        "command": f'make say TEXT="{TEXT}" EMOTION="{EMOTION}"',
        "make_say_s": make,
        "parts_s": {name: sorted(run[name] for run in parts)[rounds // 2] for name in parts[0]},
        "first_sample_s": [run["to the first sample"] for run in parts],
    }


def made_before() -> bool:
    """Say whether a run of `make say` would only speak: its environment is there and newer than what it is made from."""
    asked = subprocess.run(["make", "-q", ".venv/.speak"], cwd=ROOT, capture_output=True)
    return asked.returncode == 0


def command_run(path: Path) -> float:
    """Return the seconds that `make say` takes."""
    start = time.perf_counter()
    variables = [f"TEXT={TEXT}", f"EMOTION={EMOTION}", f"OUT={path}"]
    found = subprocess.run(["make", "-s", "say", *variables], cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if found.returncode or not path.is_file():
        raise RuntimeError(f"make say must write {path}; it ended with {found.returncode}: {found.stderr[-500:]}")
    return seconds


def parts_run(path: Path) -> dict[str, float]:
    """Return the seconds of each part of what the command does, in a fresh process."""
    arguments = [sys.executable, "-c", PARTS, str(time.time()), TEXT, EMOTION, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, env=environment)
    if found.returncode:
        raise RuntimeError(f"the parts of make say must run; they ended with {found.returncode}: {found.stderr[-500:]}")
    parts: dict[str, float] = json.loads(found.stdout.strip().splitlines()[-1])
    return parts
