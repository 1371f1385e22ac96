"""`emotts card`: a checkpoint folder comes in; its model card goes to stdout or a file."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = "emotts card runs/mine/export -o runs/mine/export/README.md"


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    parser = commands.add_parser(
        "card",
        help="write the model card of what a recipe saved",
        description="Write the model card of a checkpoint, judge or direction that a recipe saved: parts, voices, data, "
        "licences, command, commit, steps, figures, limits. What nobody recorded is named as unknown.",
        epilog=f"example:\n  {EXAMPLE}",
    )
    parser.set_defaults(command="card")
    parser.add_argument(
        "folder", metavar="FOLDER", help="a folder such as <output>/export of a recipe, or a direction file"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write Markdown there; stdout if left out")
    parser.add_argument("--run", metavar="DIR", help="the recipe's output folder; the one above FOLDER if left out")
    parser.add_argument("--evaluation", metavar="FILE", help="report.json of `emotts evaluate`, for the figures")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")


def card(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: no checkpoint, or a file in the way.
        FileNotFoundError: a folder or file of the arguments does not exist.
    """
    from emotts.checkpoint.card import model_card_text
    from emotts.loading import describe

    output = None if arguments.output is None else Path(arguments.output)
    if output is not None and output.exists() and not arguments.force:
        raise ValueError(f"{arguments.output} exists; give --force to overwrite it.")
    if output is not None and not output.parent.is_dir():
        raise FileNotFoundError(f"folder {str(output.parent)!r} does not exist; make it, or choose another file.")
    text = model_card_text(describe(arguments.folder), arguments.run, arguments.evaluation)
    if output is None:
        print(text, end="")
        return
    temporary = output.with_name(f".{output.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(output)
    print(output)
