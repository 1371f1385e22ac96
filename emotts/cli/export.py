"""`emotts export`: a checkpoint comes in; its networks go out as files for another runtime."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = "emotts export --onnx exported --int8"


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    parser = commands.add_parser(
        "export",
        help="write the networks as ONNX files",
        description="Write the networks of a checkpoint as ONNX files, with a script that speaks from them without torch.",
        epilog=f"example:\n  {EXAMPLE}",
    )
    parser.set_defaults(command="export")
    parser.add_argument(
        "--onnx", required=True, metavar="FOLDER", help="write there; the folder must be new or an earlier export"
    )
    parser.add_argument("--int8", action="store_true", help="also write graphs with 8-bit weights, a quarter the size")
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    parser.add_argument(
        "--checkpoint", metavar="DIR", help="a checkpoint folder; default $EMOTTS_CHECKPOINT, then the bundled model"
    )


def export(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: the folder is in the way, a package is missing, or there is no checkpoint to be exported.
        FileNotFoundError: a folder of the arguments does not exist.
    """
    from emotts.acceleration.export import export_onnx
    from emotts.cli import say
    from emotts.pipeline import bundled_checkpoint

    checkpoint = Path(arguments.checkpoint) if arguments.checkpoint else bundled_checkpoint()
    folder = Path(arguments.onnx)
    index = export_onnx(
        checkpoint, folder, with_int8=arguments.int8, force=arguments.force, tell=lambda name: say(f"exporting {name}")
    )
    for graph in index["graphs"]:
        for file in graph["files"].values():
            print(folder / file["file"])
