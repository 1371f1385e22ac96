"""`emotts serve`: the model behind OpenAI's interface for speech, on this machine unless asked otherwise."""

import argparse
import ipaddress
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emotts.cli.arguments import number, whole

HOST, PORT = "127.0.0.1", 8880
NEEDED = ("fastapi", "uvicorn", "python_multipart")
TOKEN_CHARS = (8, 512)
TOKEN = "EMOTTS_TOKEN"
EXAMPLES = """examples:
  emotts serve
  emotts serve --port 9000 --max-waiting 8 --timeout 60
  EMOTTS_TOKEN=... emotts serve --host 0.0.0.0
  curl http://127.0.0.1:8880/v1/audio/speech -H 'Content-Type: application/json' \\
       -d '{"input": "I did not expect you.", "voice": "heart", "emotion": "surprised:0.8"}' -o hello.mp3
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of `emotts` and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="answer OpenAI clients over HTTP",
        description="Serve speech, conversion and hearing over HTTP, in the way of OpenAI's interface (docs/server.md).",
        epilog=EXAMPLES,
    )
    parser.set_defaults(command="serve")
    parser.add_argument("--host", default=HOST, metavar="ADDRESS", help=f"whom to answer; default {HOST}, this machine")
    parser.add_argument("--port", type=whole, default=PORT, metavar="N", help=f"default {PORT}; 0 takes any free one")
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"holds the token that clients must bring; default is that of ${TOKEN}"
    )
    parser.add_argument(
        "--cors", action="append", default=[], metavar="ORIGIN", help="let pages of https://... call; repeatable"
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-chars", type=whole, metavar="N", help="of one text; default 4096")
    limits.add_argument("--max-upload-mb", type=number, metavar="MB", help="of one recording; default 20")
    limits.add_argument("--max-waiting", type=whole, metavar="N", help="requests in the queue; default 32")
    limits.add_argument("--timeout", type=number, metavar="S", help="until the first sound must be there; default 120")
    return parser


def serve(arguments: argparse.Namespace) -> None:
    """Run the command until it is interrupted.

    Raises:
        ValueError: the extra is missing, or an option is wrong.
        FileNotFoundError: no file with the token, or no checkpoint.
        OSError: the port cannot be used.
    """
    from emotts.cli import say

    if any(find_spec(name) is None for name in NEEDED):
        raise ValueError("serving needs fastapi and uvicorn; install them with: pip install 'emotts[serve]'.")
    if not 0 <= arguments.port <= 65_535:
        raise ValueError(f"--port must be from 0 to 65535; got {arguments.port}.")
    token = read_token(arguments.token_file)
    origins = [check_origin(origin) for origin in arguments.cors]
    limits = asked_limits(arguments)

    from emotts.server.memory import bound_caches
    from emotts.server.run import LOOPBACK, address_of, listen
    from emotts.server.run import serve as run

    bound_caches()
    with listen(arguments.host, arguments.port) as listening:
        from emotts.pipeline import EmoTTS
        from emotts.server.app import create_app

        hosts = LOOPBACK if arguments.host in LOOPBACK else ("*",)
        tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
        app = create_app(tts, limits, token, origins, hosts=hosts)
        if token is None and not is_this_machine(arguments.host):
            say(
                f"emotts: warning: {arguments.host} lets other machines in, and no token asks them who they are (${TOKEN})"
            )
        say(f"emotts: serving on {address_of(listening)} (Ctrl-C ends it)")
        run(app, listening)


def asked_limits(arguments: argparse.Namespace) -> Any:
    """Return the limits that the options give.

    Raises:
        ValueError: one is not above 0.
    """
    from emotts.server.limits import Limits

    upload = arguments.max_upload_mb
    given = {
        "max_text_chars": arguments.max_chars,
        "max_upload_bytes": None if upload is None else int(upload * 1e6),
        "max_waiting": arguments.max_waiting,
        "timeout_s": arguments.timeout,
    }
    return Limits(**{name: value for name, value in given.items() if value is not None})


def read_token(name: str | None) -> str | None:
    """Return the token of a file, or else of the environment; None where neither gives one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: too short to be a secret, or of characters that no header can hold.
    """
    where, token = f"${TOKEN}", os.environ.get(TOKEN) or None
    if name is not None:
        path = Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"--token-file {name!r} does not exist; write the token into it.")
        where, token = f"--token-file {name!r}", path.read_text(encoding="utf-8", errors="replace").strip()
    if token is None:
        return None
    low, high = TOKEN_CHARS
    if not (low <= len(token) <= high and token.isascii() and token.isprintable() and " " not in token):
        raise ValueError(
            f"{where} must hold {low} to {high} ASCII characters without spaces; got {len(token)}. "
            "Make one with: openssl rand -hex 24."
        )
    return token


def check_origin(origin: str) -> str:
    """Return an origin as a browser sends it, such as https://example.org."""
    from urllib.parse import urlsplit

    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
        raise ValueError(f"--cors must be an origin such as https://example.org, without a path; got {origin!r:.80}.")
    return origin


def is_this_machine(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
