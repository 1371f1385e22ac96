"""Measure what the speech encoder hears: phonemes, borders, activity, and how much of voice and emotion is left in the content.

    python benchmarks/align.py runs/crowd runs/corpus3
    apt-get download asterisk-core-sounds-en asterisk-core-sounds-en-wav && for p in *.deb; do dpkg -x $p prompts; done
    python benchmarks/align.py runs/crowd runs/corpus3 --recordings prompts/usr/share/asterisk/sounds/en_US_f_Allison \
        --texts prompts/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz

The corpora are those of recipes/simulate_corpus.py and simulate_crowd.py, whose borders are exact; their test split is heard, and
the voices of the crowd in it are in no other split. The prompts are read by a person at a telephone's bandwidth; their text is what
was to be read, so that their phoneme error rate counts other pronunciations too. Results go to benchmarks/results/align.json, .md.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from align_parts import Clip, activity, aligned, human, load_clips, narrowed, probes, read_prompts, recognised, texts
from tables import Row, git_commit, markdown

from emotts.listeners import bundled_converter, load_listener

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path, metavar="CORPUS", help="folders with a manifest")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="recordings of a person")
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="their texts, a line 'name: text' each, may be gzipped"
    )
    parser.add_argument("--converter", type=Path, help="folder of the speech encoder; default: the bundled one")
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="clips of each corpus (default: all)")
    arguments = parser.parse_args()
    if (arguments.recordings is None) != (arguments.texts is None):
        parser.error("give --recordings and --texts together")
    started = time.perf_counter()
    listener = load_listener(arguments.converter)
    rows: list[Row] = []

    def add(found: list[Row]) -> None:
        rows.extend(found)
        for row in found:
            print(f"{row.measure}: {row.value}", file=sys.stderr, flush=True)

    for folder in arguments.corpora:
        clips: list[Clip] = load_clips(folder, "test", listener, arguments.count)
        name = f"{folder.name}, {len(clips)} clips, {len({clip.row.voice for clip in clips})} voices"
        add(recognised(clips, name))
        add(aligned(clips, name))
        add(texts([(clip.heard, clip.row.phonemes) for clip in clips], name))
        add(narrowed(folder, clips, listener))
        add(probes(clips, name))
    add(activity(listener))
    if arguments.recordings is not None:
        add(human(read_prompts(arguments.recordings, arguments.texts), listener))
    results = {
        "commit": git_commit(),
        "converter": (arguments.converter or bundled_converter()).name,
        "seconds": round(time.perf_counter() - started),
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "align.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    table = markdown(rows)
    (RESULTS / "align.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
