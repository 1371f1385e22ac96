"""Time and memory of synthesis, measured in a fresh process that does nothing else."""

import json
import subprocess
import sys

from speak_plan import Plan
from speak_systems import ROOT, Bench
from tables import Row

SCRIPT = """
import json, time
from emotts.pipeline import EmoTTS
tts = EmoTTS.from_pretrained({folder!r})
texts, voices = {texts!r}, {voices!r}
for text in texts[:2]:
    tts.synthesize(text, seed=0)
spent = spoken = 0.0
for voice in voices:
    for text in texts:
        start = time.perf_counter()
        result = tts.synthesize(text, voice=voice, emotion="happy", seed=1)
        spent += time.perf_counter() - start
        spoken += result.duration_s
long_text = " ".join(texts * 10)
delays = []
for seed in range(3):
    start = time.perf_counter()
    next(iter(tts.stream(long_text, seed=seed)))
    delays.append(time.perf_counter() - start)
status = open("/proc/self/status").read()  # ru_maxrss would start from what the parent held
memory = int(status.split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps(dict(rtf=spent / spoken, memory_gb=memory / 1e9, first_audio_s=max(delays))))
"""


def speed_rows(bench: Bench, plan: Plan) -> list[Row]:
    """Time and memory of a fresh process that only synthesises."""
    folder = getattr(bench.model, "folder", None)
    if folder is None:
        return []
    script = SCRIPT.format(folder=str(folder), texts=plan.texts, voices=plan.voices)
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    numbers = json.loads(output.stdout.strip().splitlines()[-1])
    return [
        Row("real-time factor, batch 1", "<= 0.06", f"{numbers['rtf']:.3f}", numbers["rtf"] <= 0.06, numbers),
        Row("peak memory", "<= 1.2 GB", f"{numbers['memory_gb']:.2f} GB", numbers["memory_gb"] <= 1.2),
        Row(
            "first audio of a long text",
            "<= 0.4 s",
            f"{numbers['first_audio_s']:.2f} s",
            numbers["first_audio_s"] <= 0.4,
        ),
    ]
