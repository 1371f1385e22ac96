"""`emotts data stats`: a manifest comes in; what the corpus holds goes to stdout, as a table or JSON, and to a picture.

With --doubtful, so do the clips whose labels the recogniser's space contradicts, see emotts/data/doubt.py.
"""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotts.data.doubt import Doubts
    from emotts.data.statistics import CorpusStatistics

MOST_NAMES = 20  # of voices in the table; JSON has all
SPARKS = " ▁▂▃▄▅▆▇█"
EXAMPLE = "emotts data stats runs/esd --plot esd.png"


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    parser = commands.add_parser(
        "data",
        help="show what a corpus holds",
        description="Show what a prepared corpus holds.",
        epilog=f"example:\n  {EXAMPLE}",
    )
    parser.set_defaults(command="data")
    parser.add_argument(
        "action", choices=["stats"], metavar="stats", help="hours, speakers, emotions, histograms of A, V, D"
    )
    parser.add_argument("manifest", metavar="MANIFEST", help="a manifest.jsonl, or the folder that holds it")
    parser.add_argument(
        "--doubtful",
        type=int,
        metavar="N",
        help="list the N clips whose label their neighbours in the recogniser's space contradict most (after judge=)",
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw emotions, voices and histograms")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--force", action="store_true", help="overwrite an existing plot")


def data(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: a mistake in the arguments or in the manifest.
        FileNotFoundError: there is no manifest.
    """
    from emotts.data.index import open_index
    from emotts.data.rows import Rows
    from emotts.data.statistics import corpus_statistics

    path = Path(arguments.manifest)
    path = path / "manifest.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"manifest {str(path)!r} does not exist; prepare a corpus first. Example: {EXAMPLE}")
    _check_plot(arguments)
    rows = Rows([open_index(path, with_features=False)])
    found = corpus_statistics(rows)
    doubts = None
    if arguments.doubtful is not None:
        from emotts.data.doubt import find_doubts

        doubts = find_doubts(rows, arguments.doubtful)
    if arguments.plot:
        _draw(found, path.parent.name or str(path), Path(arguments.plot))
    if arguments.json:
        told = found.to_dict() | ({"doubtful": doubts.to_dict()} if doubts else {})
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(table(found) + (f"\n\n{doubts_table(doubts)}" if doubts else ""))


def table(found: "CorpusStatistics") -> str:
    """Return the lines that people read."""
    low, middle, high = found.seconds
    lines = [
        f"{'utterances':<12}{found.utterances:>9}",
        f"{'hours':<12}{found.hours:>9.2f}",
        f"{'seconds':<12}{middle:>9.2f}  median; 90 % from {low:.2f} to {high:.2f}",
        f"{'texts':<12}{found.texts:>9}  different",
    ]
    for name, hours in found.hours_by.items():
        shown = list(hours.items())[:MOST_NAMES]
        lines += ["", f"{name} ({len(hours)})"]
        lines += [f"  {value:>8.2f} h  {value / max(found.hours, 1e-9):>4.0%}  {key}" for key, value in shown]
        lines += [f"  and {len(hours) - len(shown)} more (see --json)"] if len(hours) > len(shown) else []
    lines += ["", "from -1 to 1"]
    for name, counts in found.histograms.items():
        mean = found.means[name]
        if mean is None:
            lines.append(f"  {name:<10} not rated")
        else:
            share = found.rated[name] / found.utterances
            lines.append(f"  {name:<10} {_sparks(counts)}  mean {mean:+.2f}, rated {share:.0%}")
    return "\n".join(lines)


def doubts_table(found: "Doubts") -> str:
    """Return the lines that people read: counts by label, then a line for each doubtful clip."""
    lines = ["labels that the nearest clips of other voices and sentences contradict"]
    lines += [f"  {n:>8} of {found.judged[label]:>8}  {label}" for label, n in found.contradicted.items()]
    lines += [f"  {found.left_out:>8} clips without one label, an embedding or a neighbour"] if found.left_out else []
    lines += ["", f"most doubtful ({len(found.clips)})"]
    for clip in found.clips:
        near = ", ".join(f"{n} {label}" for label, n in clip.neighbours.items())
        lines.append(f"  {clip.doubt:.2f}  {clip.id}: {clip.label}; neighbours {near}; heard {clip.heard}")
    return "\n".join(lines)


def _sparks(counts: list[int]) -> str:
    highest = max(max(counts), 1)
    return "".join(SPARKS[-(-count * (len(SPARKS) - 1) // highest)] for count in counts)


def _check_plot(arguments: argparse.Namespace) -> None:
    if not arguments.plot:
        return
    path = Path(arguments.plot)
    if path.suffix.lower() != ".png":
        raise ValueError(f"plot must end in .png; got {path.name!r}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"plot folder {str(path.parent)!r} does not exist; create it first.")
    if path.exists() and not arguments.force:
        raise ValueError(f"plot {str(path)!r} exists; give another name or --force.")
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("--plot needs matplotlib; install it with: pip install 'emotts[plot]'.")


def _draw(found: "CorpusStatistics", title: str, path: Path) -> None:
    """Draw hours by emotion and by voice above the histograms of arousal, valence and dominance."""
    import numpy as np

    from emotts.plotting import ACCENT, FAINT, INK, new_figure, save_figure, shorten, tidy

    figure = new_figure(10.0, 6.4)
    grid = figure.add_gridspec(2, 6)
    for place, name in ((grid[0, :3], "emotion"), (grid[0, 3:], "voice")):
        axes = figure.add_subplot(place)
        hours = list(found.hours_by[name].items())[:MOST_NAMES]
        axes.barh(
            [shorten(key) for key, _ in hours],
            [value for _, value in hours],
            color=ACCENT if name == "emotion" else INK,
        )
        axes.invert_yaxis()
        axes.set_xlabel("hours")
        axes.set_title(f"{name} ({len(found.hours_by[name])})", fontsize=9, color=INK)
        tidy(axes)
    for k, (name, counts) in enumerate(found.histograms.items()):
        axes = figure.add_subplot(grid[1, 2 * k : 2 * k + 2])
        axes.stairs(counts, np.linspace(-1.0, 1.0, len(counts) + 1), fill=True, color=FAINT)
        mean = found.means[name]
        axes.set_title(name if mean is None else f"{name}, mean {mean:+.2f}", fontsize=9, color=INK)
        axes.set_xlabel("not rated" if mean is None else f"{found.rated[name]} rated")
        tidy(axes)
    figure.suptitle(f"{shorten(title)}: {found.utterances} utterances, {found.hours:.2f} h", color=INK, fontsize=11)
    save_figure(figure, path)
