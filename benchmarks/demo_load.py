"""Put many clients to the page at once: python benchmarks/demo_load.py [--clients 32] [--seconds 120].

`emotts demo` runs as its own process on a free port of this machine. First one client measures how long a short sentence takes from
the request to the file; then all of them speak one sentence after the other. The table tells what was answered, how long it took,
and how the memory and the open files of the process grew after the first quarter; benchmarks/results/demo_load.{json,md} keep it.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
from tables import ROOT, Row, git_commit, markdown

RESULTS = ROOT / "benchmarks/results"
SENTENCES = ("It works.", "Leave me alone.", "I can't believe you came!", "We have to go before it rains again.")
EMOTIONS = ("happy:0.8", "angry:0.7", "sad", "arousal=0.4,valence=-0.2")
ALONE = 5  # requests of the one client
MEMORY_PER_MINUTE_MB = 5.0


@dataclass
class Tally:
    """What clients saw: statuses, and seconds of each answered request."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: str, seconds: float | None = None) -> None:
        with self.lock:
            self.statuses[status] += 1
            if seconds is not None:
                self.seconds.append(seconds)


def speak(client: httpx.Client, url: str, number: int, tally: Tally) -> None:
    """Ask for one sentence and wait for the file."""
    started = time.perf_counter()
    text, emotion = SENTENCES[number % len(SENTENCES)], EMOTIONS[number % len(EMOTIONS)]
    asked = client.post(
        f"{url}gradio_api/call/speak", json={"data": [text, "", emotion, "", number, 1.0, 0.0, 1.0, None]}
    )
    if asked.status_code != 200:
        tally.note(str(asked.status_code))
        return
    told = client.get(f"{url}gradio_api/call/speak/{asked.json()['event_id']}", timeout=300.0)
    if "event: complete" not in told.text:
        tally.note("error event")
        return
    place = json.loads(told.text.rpartition("data: ")[2])[0]["url"]
    sound = client.get(place)
    tally.note(str(sound.status_code), time.perf_counter() - started if len(sound.content) > 10_000 else None)


def memory_mb(process: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope_per_minute(times: list[float], values: list[float]) -> float:
    """Return the slope of a straight line through values over times in seconds, per minute."""
    return 60.0 * statistics.linear_regression(times, values).slope


def run(clients: int, seconds: float, url: str, process: int) -> list[Row]:
    """Measure alone, then together; return the rows of the table."""
    alone, together = Tally(), Tally()
    with httpx.Client(timeout=60.0) as client:
        for number in range(ALONE):
            speak(client, url, number, alone)
    end = time.monotonic() + seconds

    def work(first: int) -> None:
        with httpx.Client(timeout=60.0) as client:
            number = first
            while time.monotonic() < end:
                speak(client, url, number, together)
                number += clients

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    times, sizes, files = [], [], []
    started = time.monotonic()
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(1.0, seconds / 20))
        times.append(time.monotonic() - started)
        sizes.append(memory_mb(process))
        files.append(sum(1 for _ in Path(f"/proc/{process}/fd").iterdir()))
    late = [i for i, t in enumerate(times) if t > 0.25 * seconds and t <= seconds]
    growth = slope_per_minute([times[i] for i in late], [sizes[i] for i in late])
    refused = together.statuses["503"]
    broken = sum(n for status, n in together.statuses.items() if status not in ("200", "503"))
    waits = sorted(together.seconds)
    first_s = statistics.median(alone.seconds)
    return [
        Row("answered", "", f"{len(waits)} in {seconds:.0f} s by {clients} clients", None, {"n": len(waits)}),
        Row("refused, queue full (503)", "", str(refused), None, {"n": refused}),
        Row("other errors", "0", str(broken), broken == 0, dict(together.statuses)),
        Row("a short sentence alone, request to file", "2 s", f"{first_s:.2f} s", first_s <= 2.0, {"seconds": alone.seconds}),
        Row("together, median", "", f"{statistics.median(waits):.1f} s", None, {"p50": statistics.median(waits)}),
        Row("together, 95th percentile", "", f"{waits[int(0.95 * (len(waits) - 1))]:.1f} s"),
        Row("memory, growth per minute", f"{MEMORY_PER_MINUTE_MB:g} MB", f"{growth:.1f} MB (at the end {sizes[-1]:.0f} MB)",
            growth <= MEMORY_PER_MINUTE_MB, {"mb": sizes}),
        Row("open files, first and last quarter", "", f"{max(files[: len(files) // 4 + 1])} and {max(files[-len(files) // 4 :])}"),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--output", type=Path, default=RESULTS / "demo_load")
    arguments = parser.parse_args()
    server = subprocess.Popen(
        [str(Path(sys.executable).with_name("emotts")), "demo"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        said = []
        while not (found := re.search(r"http://\S+", line := server.stderr.readline())):
            said.append(line)
            if not line:
                raise SystemExit(f"the page did not start: {''.join(said)}")
        threading.Thread(target=server.stderr.read, daemon=True).start()  # or it would wait for somebody to read
        rows = run(arguments.clients, arguments.seconds, found.group(), server.pid)
    finally:
        server.terminate()
        server.wait(30)
    print(markdown(rows))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".md").write_text(markdown(rows))
    facts = {"commit": git_commit(), "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(),
             "clients": arguments.clients, "seconds": arguments.seconds, "rows": [asdict(row) for row in rows]}  # fmt: skip
    arguments.output.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
