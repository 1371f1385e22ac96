"""Put load on the server and see that it answers, that its memory does not grow and that it keeps no files open; print the table.

    python benchmarks/serve_load.py     # 32 clients for a minute of warming up and 120 s, against a server of its own, on loopback
    python benchmarks/serve_load.py --clients 4 --seconds 10 --warm-up 5

Some clients leave in the midst, some ask nonsense; the queue is shorter than the clients are many, so some are told to come again.
Results: benchmarks/results/serve_load.json, serve_load.md.
"""

import argparse
import asyncio
import io
import json
import os
import platform
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import numpy as np
import soundfile
from tables import Row, git_commit, markdown

from emotts.server.encoding import FORMATS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
START = "import sys; from emotts.cli import main; sys.exit(main())"
WAITING = 24  # fewer than clients
MOST_MB_PER_MIN = 5.0
PROBE_S = 0.5
SENTENCES = (
    "I can't believe you came.", "Leave me alone.", "The trains stood still, and nobody knew why.", "Good night, and sleep well.",
    "On the third of May, 42 people waited for the bus.", "Give it back to me, or I will call your mother.",
)  # fmt: skip
EMOTIONS = ("happy:0.8", "sad", "angry:0.6", "calm", "tender:0.7", "fearful:0.5+sad:0.3", "neutral")
NONSENSE = (
    {"voice": "nobody"},
    {"emotion": "like=/etc/passwd"},
    {"response_format": "aac"},
    {"input": "x" * 5_000},
    {"speed": 9},
)


@dataclass
class Seen:
    """What the clients and the watcher saw.

    Attributes:
        statuses: answers by route and status; 0 is a connection that failed.
        seconds: until a whole short text was there. first_s: until the first byte of a stream was.
        health_s: of /healthz, twice a second.
        memory: seconds since the start, resident bytes, open files.
    """

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    memory: list[tuple[float, int, int]] = field(default_factory=list)
    n_left: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32, metavar="N", help="at the same time; default 32")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="how long; default 120")
    parser.add_argument(
        "--warm-up", type=float, default=60.0, metavar="S", help="before that, uncounted: caches fill; default 60"
    )
    arguments = parser.parse_args()
    process, address = start_server()
    try:
        seen = asyncio.run(load(address, process.pid, arguments.clients, arguments.warm_up, arguments.seconds))
    finally:
        process.terminate()
        process.wait(timeout=30)
    rows = rows_of(seen)
    run = {
        "command": " ".join(["python", *sys.argv]), "date": time.strftime("%Y-%m-%d"), "commit": git_commit(),
        "python": platform.python_version(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0],
    }  # fmt: skip
    told = {"rows": [asdict(row) for row in rows], "run": run, "memory": seen.memory}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serve_load.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    table = markdown(rows)
    (RESULTS / "serve_load.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def start_server() -> tuple[subprocess.Popen[str], str]:
    """Start `emotts serve` on a free port and return it with its address."""
    command = [sys.executable, "-c", START, "serve", "--port", "0", "--max-waiting", str(WAITING)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"serving on (http://\S+)/v1", line):
            return process, found[1]
    raise RuntimeError("the server did not start.")


async def load(address: str, pid: int, n_clients: int, warm_up_s: float, seconds: float) -> Seen:
    """Let clients ask for a while, and watch."""
    seen = Seen()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=n_clients)
    async with httpx.AsyncClient(base_url=address, timeout=150, limits=limits) as client:
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.1)
        reply = await client.post("/v1/audio/speech", json={"input": SENTENCES[2], "response_format": "flac"})
        for length, notes in ((warm_up_s, Seen()), (seconds, seen)):
            end = time.monotonic() + length
            clients = [one_client(client, number, reply.content, end, notes) for number in range(n_clients)]
            await asyncio.gather(watch(client, pid, end, notes), *clients)
    return seen


async def one_client(client: httpx.AsyncClient, number: int, recording: bytes, end: float, seen: Seen) -> None:
    """Ask one thing after the other until the time is over."""
    chance = random.Random(number)
    while time.monotonic() < end:
        try:
            await ask(client, chance, recording, seen)
        except httpx.HTTPError:
            seen.statuses["broken", 0] += 1
        await asyncio.sleep(0.2 * chance.random())


async def ask(client: httpx.AsyncClient, chance: random.Random, recording: bytes, seen: Seen) -> None:
    """Ask one thing, drawn by chance."""
    kind = chance.choices(
        ["short", "stream", "leave", "nonsense", "list", "hear", "convert"], [40, 15, 10, 15, 10, 5, 5]
    )[0]
    body = {
        "input": chance.choice(SENTENCES), "emotion": chance.choice(EMOTIONS), "response_format": chance.choice(FORMATS),
    }  # fmt: skip
    start = time.perf_counter()
    if kind in ("stream", "leave"):
        body |= {
            "input": " ".join(SENTENCES),
            "response_format": "mp3",
            "stream_format": chance.choice(["audio", "sse"]),
        }
        async with client.stream("POST", "/v1/audio/speech", json=body) as reply:
            n_pieces = 0
            async for _ in reply.aiter_raw():
                if not n_pieces and reply.status_code == 200:
                    seen.first_s.append(time.perf_counter() - start)
                n_pieces += 1
                if kind == "leave":
                    seen.n_left += 1
                    break
    elif kind == "list":
        reply = await client.get(chance.choice(["/v1/audio/voices", "/v1/audio/emotions", "/v1/models", "/metrics"]))
    elif kind in ("hear", "convert"):
        data = {"emotion": chance.choice(EMOTIONS)} if kind == "convert" else {}
        reply = await client.post(f"/v1/audio/{kind}", files={"file": ("a.flac", recording)}, data=data)
    else:
        if kind == "nonsense":
            body |= chance.choice(NONSENSE)
        reply = await client.post("/v1/audio/speech", json=body)
        if kind == "short" and reply.status_code == 200:
            seen.seconds.append(time.perf_counter() - start)
            check(reply.content, body["response_format"])
    seen.statuses[kind, reply.status_code] += 1
    if reply.status_code == 429:
        await asyncio.sleep(min(5.0, float(reply.headers["retry-after"])))


def check(data: bytes, name: str) -> None:
    """Fail if a reply is not the sound that it should be."""
    n_samples = len(data) // 2 if name == "pcm" else soundfile.info(io.BytesIO(data)).frames
    assert n_samples > 10_000, f"{name}: {n_samples} samples"


async def watch(client: httpx.AsyncClient, pid: int, end: float, seen: Seen) -> None:
    """Look at the server twice a second until the time is over."""
    begin = time.monotonic()
    while time.monotonic() < end:
        start = time.perf_counter()
        seen.statuses["healthz", (await client.get("/healthz")).status_code] += 1
        seen.health_s.append(time.perf_counter() - start)
        status = Path(f"/proc/{pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) * 1024
        seen.memory.append((time.monotonic() - begin, resident, len(list(Path(f"/proc/{pid}/fd").iterdir()))))
        await asyncio.sleep(PROBE_S)


def rows_of(seen: Seen) -> list[Row]:
    """Return the table."""
    counts: Counter[int] = Counter()
    for (_, status), n in seen.statuses.items():
        counts[status] += n
    failures = {status: n for status, n in counts.items() if status >= 500 or status == 0}
    times, resident, files = (np.array(column) for column in zip(*seen.memory, strict=True))
    slope = float(np.polyfit(times, resident, 1)[0]) * 60 / 1e6
    early_files, late_files = (int(part.max()) for part in np.array_split(files, 2))
    each = ", ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(seen.statuses.items()))
    return [
        Row("answers by status", "no 5xx, none broken", ", ".join(f"{s}: {n}" for s, n in sorted(counts.items())), not failures,
            {"each": each, "left early": seen.n_left}),
        Row("whole short texts, p50 / p95", "-", quantiles(seen.seconds), None, {"seconds": seen.seconds}),
        Row("first byte of streams, p50 / p95", "-", quantiles(seen.first_s), None, {"seconds": seen.first_s}),
        Row("/healthz under load, slowest", "< 1 s", f"{max(seen.health_s):.3f} s", max(seen.health_s) < 1.0),
        Row("memory after the warm-up", f"< {MOST_MB_PER_MIN:g} MB/min", f"{slope:+.1f} MB/min at {resident[-1] / 1e6:.0f} MB",
            slope < MOST_MB_PER_MIN),
        Row("open files, most", "flat", f"{early_files}, then {late_files}", late_files <= early_files + 5),
    ]  # fmt: skip


def quantiles(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return f"{p50:.2f} s / {p95:.2f} s of {len(seconds)}"


if __name__ == "__main__":
    raise SystemExit(main())
