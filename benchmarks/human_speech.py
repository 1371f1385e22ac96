"""Let the judges hear people: two folders of recordings, read and acted, come in; how aroused they sound goes out.

    apt-get download asterisk-core-sounds-en-wav hedgewars-data && for p in *.deb; do dpkg -x $p recordings; done
    python benchmarks/human_speech.py recordings/usr/share/asterisk recordings/usr/share/games/hedgewars/Data/Sounds/voices

The first are studio prompts by one speaker, the second lines that voice actors shout in a game. The recordings differ in room,
channel and speaker too, so this shows that the judges survive human speech, not how well they tell emotions in it.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from emotts.audio import load_audio
from emotts.judges import JUDGES, load_judge

SECONDS = (1.0, 8.0)  # shorter and longer recordings are passed over
N_REFERENCES = 4
RATE = 24_000


def recordings(folder: Path, count: int) -> list[np.ndarray]:
    """Return some recordings of a folder, always the same ones."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".ogg", ".flac"))
    random.Random(0).shuffle(paths)
    return [waveform for waveform, _ in zip(_readable(paths), range(count), strict=False)]


def _readable(paths: list[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        try:
            waveform = load_audio(path)
        except (ValueError, OSError):
            continue
        if SECONDS[0] < len(waveform) / RATE < SECONDS[1]:
            yield waveform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("neutral", type=Path, help="folder of recordings that are read plainly")
    parser.add_argument("acted", type=Path, help="folder of recordings that are acted")
    parser.add_argument("--count", type=int, default=40, metavar="N", help="recordings of each; default 40")
    arguments = parser.parse_args()
    plain = recordings(arguments.neutral, arguments.count + N_REFERENCES)
    told, neutral, acted = plain[:N_REFERENCES], plain[N_REFERENCES:], recordings(arguments.acted, arguments.count)
    print(
        "| judge | told the prompts' voice | arousal, read | arousal, acted | area under the curve |\n|---|---|---|---|---|"
    )
    for name in JUDGES:
        judge = load_judge(name)
        for is_told, ear in ((False, judge), (True, judge.with_reference([(w, RATE) for w in told]))):
            calm, lively = ([ear.hear(w, RATE).avd[0] for w in clips] for clips in (neutral, acted))
            area = np.mean(np.asarray(lively)[:, None] > np.asarray(calm)[None, :])
            print(
                f"| {name} | {'yes' if is_told else 'no'} | {np.mean(calm):.2f} | {np.mean(lively):.2f} | {area:.2f} |"
            )


if __name__ == "__main__":
    main()
