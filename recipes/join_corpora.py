"""Make one manifest of several corpora, which stay where they are: python recipes/join_corpora.py OUT CORPUS [CORPUS ...].

For recipes that take one corpus. The new folder holds links to the old ones, through which its rows are found, and their origins:
what was recorded is known as that, and how far ratings are trusted.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj

from emotts.data.manifest import ManifestRow, iterate_manifest, writing
from emotts.data.trust import FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of the new manifest")
    parser.add_argument("corpora", type=Path, nargs="+", help="folders with a manifest.jsonl each")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for folder in arguments.corpora:
        link = arguments.output / folder.name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(folder, arguments.output), target_is_directory=True)
        if link.resolve() != folder.resolve():
            parser.error(f"{link} leads to {link.resolve()}, not to {folder}; two corpora need two names.")
    voices: Counter[str] = Counter()
    with writing(arguments.output / "manifest.jsonl") as manifest:
        for row in joined(arguments.corpora):
            manifest.write(row.to_json() + "\n")
            voices[row.voice] += 1
        write_origins(
            arguments.output / FILE, [folder / FILE for folder in arguments.corpora if (folder / FILE).is_file()]
        )
    print(f"{arguments.output / 'manifest.jsonl'}: {voices.total()} utterances of {len(voices)} voices")


def joined(corpora: list[Path]) -> Iterator[ManifestRow]:
    """Give the rows of all corpora, as they are found through the links."""
    for folder in corpora:
        for row in iterate_manifest(folder / "manifest.jsonl"):
            yield replace(row, audio=f"{folder.name}/{row.audio}", features=f"{folder.name}/{row.features}")


def write_origins(path: Path, parts: list[Path]) -> None:
    """Write the origins of all corpora that have some; without any there is no such file."""
    if not parts:
        path.unlink(missing_ok=True)
        return
    with writing(path) as file:
        for part in parts:
            with part.open(encoding="utf-8", newline="\n") as origins:
                copyfileobj(origins, file)


if __name__ == "__main__":
    main()
