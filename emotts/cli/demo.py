"""`emotts demo`: the interactive page, served to this machine until it is interrupted."""

import argparse
import signal
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from emotts.cli.arguments import whole

HOST, PORTS = "127.0.0.1", (1, 65_535)
MIN_PASSWORD_CHARS = 8
INSTALLED = "emotts._demo"
HERE = Path(__file__).resolve().parent.parent.parent / "demo"


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of `emotts` and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="open the interactive page",
        description="Serve the interactive page: speak, convert, compare, listen, tell stories. Nothing leaves this machine.",
    )
    parser.set_defaults(command="demo")
    parser.add_argument("--host", default=HOST, metavar="ADDRESS", help=f"whom to answer; default {HOST}, this machine")
    parser.add_argument("--port", type=whole, metavar="N", help="default: the first free one from 7860")
    parser.add_argument("--auth-file", metavar="FILE", help="lines of name:password; without it everybody is let in")
    parser.add_argument("--open", action="store_true", help="open a browser")
    return parser


def demo(arguments: argparse.Namespace) -> None:
    """Run the command until it is interrupted.

    Raises:
        ValueError: gradio is missing, the port is none, or the file of passwords cannot be read.
        FileNotFoundError: no such file, or no checkpoint.
        OSError: the port is taken.
    """
    from emotts.cli import say

    if find_spec("gradio") is None:
        raise ValueError("the page needs gradio; install it with pip install 'emotts[demo]', or run make demo.")
    if arguments.port is not None and not PORTS[0] <= arguments.port <= PORTS[1]:
        raise ValueError(f"--port must be from {PORTS[0]} to {PORTS[1]}; got {arguments.port}.")
    auth = None if arguments.auth_file is None else read_auth(Path(arguments.auth_file))
    if arguments.host not in (HOST, "localhost", "::1") and auth is None:
        say(f"emotts: warning: {arguments.host} lets other machines in, and no --auth-file asks them who they are")

    from emotts.server.memory import bound_caches

    bound_caches()

    from emotts.pipeline import EmoTTS

    package = load_demo().__name__
    app, engines, serving = (import_module(f"{package}.{name}") for name in ("app", "engine", "serving"))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that files are removed then too
    engine = engines.Engine(EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend))
    engine.warm_up()
    page = serving.serve(app.build_app(engine), engine, arguments.host, arguments.port, auth)
    try:
        say(f"emotts: the page is at {page.url} (Ctrl-C stops it)")
        if arguments.open:
            import webbrowser

            webbrowser.open(page.url)
        page.wait(engine.clean)
    finally:
        page.close()


def read_auth(path: Path) -> list[tuple[str, str]]:
    """Read names and passwords, one `name:password` a line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is not of this form, a password that is too short, or nothing at all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"file of passwords {str(path)!r} does not exist; write lines of name:password.")
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        name, colon, password = line.strip().partition(":")
        if not (name and colon) or len(password) < MIN_PASSWORD_CHARS:
            raise ValueError(
                f"line {number} of {path.name} must be name:password with {MIN_PASSWORD_CHARS} or more characters of password."
            )
        pairs.append((name, password))
    if not pairs:
        raise ValueError(f"{path.name} must hold lines of name:password; it is empty.")
    return pairs


def load_demo() -> ModuleType:
    """Return the package of the page: inside the installed package, else demo/ of the repository.

    Raises:
        FileNotFoundError: neither is there.
    """
    if find_spec(INSTALLED) is not None:
        return import_module(INSTALLED)
    if "demo" in sys.modules and Path(str(sys.modules["demo"].__file__)).resolve() == HERE / "__init__.py":
        return sys.modules["demo"]
    spec = spec_from_file_location("demo", HERE / "__init__.py", submodule_search_locations=[str(HERE)])
    if not (HERE / "__init__.py").is_file() or spec is None or spec.loader is None:
        raise FileNotFoundError(f"the page's files are not in {HERE}; install emotts again.")
    module = module_from_spec(spec)
    sys.modules["demo"] = module  # under this name its files find each other, whatever lies in the current folder
    spec.loader.exec_module(module)
    return module
