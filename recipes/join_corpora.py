"""Make one manifest of several corpora, which stay where they are: python recipes/join_corpora.py OUT CORPUS [CORPUS ...].

For recipes that take one corpus. The new folder holds links to the old ones, through which its rows are found, and their origins:
what was recorded is known as that, and how far ratings are trusted.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from emotts.data.manifest import read_manifest, write_atomically, write_manifest
from emotts.data.trust import FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of the new manifest")
    parser.add_argument("corpora", type=Path, nargs="+", help="folders with a manifest.jsonl each")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for folder in arguments.corpora:
        link = arguments.output / folder.name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(folder, arguments.output), target_is_directory=True)
        if link.resolve() != folder.resolve():
            parser.error(f"{link} leads to {link.resolve()}, not to {folder}; two corpora need two names.")
        rows += [
            replace(row, audio=f"{folder.name}/{row.audio}", features=f"{folder.name}/{row.features}")
            for row in read_manifest(folder / "manifest.jsonl")
        ]
    origins = [folder / FILE for folder in arguments.corpora if (folder / FILE).is_file()]
    (arguments.output / FILE).unlink(missing_ok=True)
    if origins:
        write_atomically(arguments.output / FILE, "".join(path.read_text(encoding="utf-8") for path in origins))
    write_manifest(arguments.output / "manifest.jsonl", rows)
    print(f"{arguments.output / 'manifest.jsonl'}: {len(rows)} utterances of {len({row.voice for row in rows})} voices")


if __name__ == "__main__":
    main()
