"""`emotts direction`: a few neutral and emotional recordings come in, a direction file to add or erase goes out; or one is shown.

Every recording is read before the judge loads. Tables go to stdout.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from emotts.emotion.direction import Direction
    from emotts.emotion.heard import Heard, Judge

MAX_PAIRS = 50
MAX_GROUP = 2_000  # recordings
MAX_REFERENCES = 20  # neutral recordings that tell the judge the voice
BAR_WIDTH = 20


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    text = "learn a direction in the emotion space from a few recordings, or show one"
    parser = commands.add_parser("direction", help=text, description=text.capitalize() + ".")
    kinds = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(parser))

    fit = kinds.add_parser(
        "fit",
        help="learn a direction",
        description="Learn what leads from a neutral voice to a wanted one: from 1 to 5 pairs, or from two folders.",
    )
    fit.set_defaults(command="direction", direction_command="fit")
    source = fit.add_argument_group("recordings (pairs, or two folders)")
    source.add_argument(
        "--pairs",
        nargs="+",
        action="extend",
        metavar="NEUTRAL,TARGET",
        help="two recordings of one speaker with a comma between",
    )
    source.add_argument("--neutral", metavar="FOLDER", help="neutral recordings; they need not say the same")
    source.add_argument("--target", metavar="FOLDER", help="recordings of what the direction should lead to")
    fit.add_argument("-o", "--output", default="direction.safetensors", metavar="FILE", help="default %(default)s")
    fit.add_argument("--judge", default="recognizer", metavar="NAME", help="recognizer (default) or features")
    fit.add_argument("--force", action="store_true", help="overwrite an existing file")

    show = kinds.add_parser("show", help="show a direction", description="Show the coordinates of a direction file.")
    show.set_defaults(command="direction", direction_command="show")
    show.add_argument("file", metavar="FILE", help="a file that `emotts direction fit` wrote")
    for command in (fit, show):
        command.add_argument("--json", action="store_true", help="print JSON")


def direction(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: a mistake in the arguments, or recordings that cannot be heard or do not differ.
        FileNotFoundError: a recording, a folder or the direction file does not exist.
    """
    if arguments.direction_command == "show":
        from emotts.emotion.direction import load_direction

        _print(load_direction(arguments.file), arguments.file, arguments.json)
        return
    fitted = _fit(arguments)
    from emotts.emotion.direction import save_direction

    save_direction(arguments.output, fitted)
    _print(fitted, arguments.output, arguments.json)


def _fit(arguments: argparse.Namespace) -> "Direction":
    from emotts.cli.synthesize import check_writable

    neutral, target = _recordings(arguments)
    if Path(arguments.output).suffix != ".safetensors":
        raise ValueError(f"output must end in .safetensors; got {arguments.output!r}. Example: -o rage.safetensors.")
    check_writable(Path(arguments.output), "output", arguments.force)
    _check_repeats(neutral, target, bool(arguments.pairs))
    distinct = list(dict.fromkeys([*neutral, *target]))
    for path in distinct:
        _check_speech(path)

    from emotts.emotion.direction import fit_groups, fit_pairs
    from emotts.judges import load_judge

    told = [_first_piece(path) for path in list(dict.fromkeys(neutral))[:MAX_REFERENCES]]
    judge = load_judge(arguments.judge).with_reference(told)
    heard = {path: _hear(judge, path) for path in distinct}
    metadata = {"judge": judge.name, "neutral": _names(neutral), "target": _names(target)}
    fit = fit_pairs if arguments.pairs else fit_groups
    return fit([heard[path] for path in neutral], [heard[path] for path in target], metadata)


def _recordings(arguments: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Return the neutral and the target recordings that the options name."""
    has_folders = arguments.neutral is not None or arguments.target is not None
    example = "--pairs calm.wav,rage.wav -o rage.safetensors"
    if bool(arguments.pairs) == has_folders or (has_folders and None in (arguments.neutral, arguments.target)):
        raise ValueError(
            f"give either --pairs, or both --neutral and --target. Example: emotts direction fit {example}."
        )
    if arguments.pairs:
        if len(arguments.pairs) > MAX_PAIRS:
            raise ValueError(
                f"--pairs takes up to {MAX_PAIRS} pairs; got {len(arguments.pairs)}. Use --neutral and --target."
            )
        pairs = [_pair(text) for text in arguments.pairs]
        return [neutral for neutral, _ in pairs], [target for _, target in pairs]
    return _folder(arguments.neutral, "neutral"), _folder(arguments.target, "target")


def _pair(text: str) -> tuple[Path, Path]:
    """Split a pair at its comma; of several commas, at the one that leaves two files."""
    parts = text.split(",")
    splits = [(",".join(parts[:i]).strip(), ",".join(parts[i:]).strip()) for i in range(1, len(parts))]
    if len(splits) > 1:
        splits = [split for split in splits if all(Path(name).is_file() for name in split if "\0" not in name)]
    if len(splits) != 1 or not all(splits[0]):
        raise ValueError(
            f"--pairs takes two recordings with a comma between; got {text!r:.80}. Example: calm.wav,rage.wav."
        )
    return Path(splits[0][0]), Path(splits[0][1])


def _folder(name: str, what: str) -> list[Path]:
    from emotts.recordings import find_recordings

    if "\0" in name or not Path(name).is_dir():
        raise FileNotFoundError(f"--{what} {name!r} is not a folder; give a folder of recordings.")
    found = find_recordings([name])
    if not 2 <= len(found) <= MAX_GROUP:
        raise ValueError(f"--{what} {name!r} holds {len(found)} recordings; expected 2 to {MAX_GROUP}.")
    return found


def _check_repeats(neutral: Sequence[Path], target: Sequence[Path], is_pairs: bool) -> None:
    """Refuse a recording that stands on both sides, or twice among the targets; one neutral may serve several targets."""
    from hashlib import sha256

    digests: dict[Path, bytes] = {}
    for path in [*neutral, *target]:
        if path not in digests and path.is_file():  # what is missing is told when it is read
            with open(path, "rb") as file:
                digests[path] = sha256(file.read(1 << 24)).digest() + str(path.stat().st_size).encode()
    quiet = {digests[path]: path for path in neutral if path in digests}
    seen: dict[bytes, Path] = {}
    for path in target:
        digest = digests.get(path)
        if digest is None:
            continue
        twin = quiet.get(digest) or (seen.get(digest) if is_pairs else None)
        if twin is not None:
            same = "stands" if twin == path else f"equals {str(twin)!r} and stands"
            where = "among the neutral and the target recordings" if digest in quiet else "twice among the targets"
            raise ValueError(f"recording {str(path)!r} {same} {where}; give another.")
        seen[digest] = path


def _check_speech(path: Path) -> None:
    """Read a recording to its end and refuse one that a judge could not hear.

    Raises:
        ValueError: it cannot be read, is silent, or too short.
        FileNotFoundError: it does not exist.
    """
    from emotts.audio import SPEC, speech_level_db
    from emotts.emotion.listening import SHORTEST_S, SILENCE_DB
    from emotts.recognition import PIECE_S
    from emotts.recordings import read_pieces

    n_samples, level_db = 0, float("-inf")
    for piece in read_pieces(path, SPEC.sample_rate, PIECE_S):
        n_samples += len(piece)
        level_db = max(level_db, speech_level_db(piece))
    if n_samples < SHORTEST_S * SPEC.sample_rate:
        raise ValueError(f"{str(path)!r} lasts {n_samples / SPEC.sample_rate:.2f} s; give at least {SHORTEST_S:g} s.")
    if level_db <= SILENCE_DB:
        raise ValueError(f"{str(path)!r} is silent; give a recording with speech.")


def _first_piece(path: Path) -> "tuple[np.ndarray, int]":
    from emotts.audio import SPEC
    from emotts.recognition import PIECE_S
    from emotts.recordings import read_pieces

    return next(read_pieces(path, SPEC.sample_rate, PIECE_S)), SPEC.sample_rate


def _hear(judge: "Judge", path: Path) -> "Heard":
    """Hear a whole recording, whatever its length."""
    from emotts.recognition import recognize_file

    try:
        return recognize_file(judge, path).heard
    except ValueError as error:
        raise ValueError(f"{str(path)!r} cannot be heard: {error}") from None


def _names(paths: Sequence[Path]) -> list[str]:
    return [path.name for path in paths[:MAX_PAIRS]]


def _print(shown: "Direction", path: str, as_json: bool) -> None:
    facts = shown.to_dict()
    if as_json:
        print(json.dumps({"path": path, **facts}))
        return
    recordings = f"{shown.pairs} {'pair' if shown.pairs == 1 else 'pairs'}"
    rows = {
        "file": path,
        "fitted to": recordings if shown.kind == "pairs" else f"two groups, {shown.pairs} recordings of the target",
        "judge": str(shown.metadata.get("judge", "unknown")),
        "distance": f"{shown.distance:.2f}, which is a strength of 1",
    }
    for name, value in rows.items():
        print(f"{name:<12}{value}")
    print()
    longest = max(abs(value) for value in facts["vector"].values())
    for name, value in facts["vector"].items():
        bar = ("+" if value > 0 else "-") * round(BAR_WIDTH * abs(value) / longest)
        print(f"{name:<12}{value:+.2f}  {bar}".rstrip())
