"""`emotts serve`: one line with the address, warnings and refusals in a sentence, and the examples of its documentation."""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emotts.cli import main
from emotts.cli import serve as command
from emotts.server.limits import Limits
from emotts.server.memory import CACHES, bound_caches

ROOT = Path(__file__).parent.parent
# a shell's background job ignores an interrupt
HEED = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
DOCS = (ROOT / "docs/server.md").read_text(encoding="utf-8")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("emotts: error: ") and "\n" not in told
    return told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "--port must be from 0 to 65535"),
        (["--host", "no.such.host.invalid"], "--host must be"),
        (["--host", "192.0.2.1"], "--host must be an address of this machine"),
        (["--token-file", "/nowhere"], "--token-file '/nowhere' does not exist"),
        (["--cors", "*"], "--cors must be an origin"),
        (["--cors", "https://example.org/x"], "--cors must be an origin"),
        (["--max-chars", "0"], "max_text_chars must be above 0"),
        (["--max-upload-mb", "0"], "max_upload_bytes must be above 0"),
        (["--max-waiting", "0"], "max_waiting must be above 0"),
        (["--timeout", "-1"], "timeout_s must be above 0"),
        (["--port", "0", "--checkpoint", "/nowhere"], "nowhere"),
    ],
)
def test_mistakes_cost_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert words in refused(capsys, *arguments)


def test_a_missing_extra_is_named_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert "pip install 'emotts[serve]'" in refused(capsys)


def test_a_port_that_is_taken_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err


def test_options_become_limits() -> None:
    given = argparse.Namespace(max_chars=9, max_upload_mb=1.5, max_waiting=2, timeout=3.0)
    assert command.asked_limits(given) == Limits(9, 1_500_000, max_waiting=2, timeout_s=3.0)
    assert (
        command.asked_limits(argparse.Namespace(max_chars=None, max_upload_mb=None, max_waiting=None, timeout=None))
        == Limits()
    )


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOTTS_TOKEN", raising=False)
    assert command.read_token(None) is None
    monkeypatch.setenv("EMOTTS_TOKEN", "of-the-environment")
    assert command.read_token(None) == "of-the-environment"
    path = tmp_path / "token"
    path.write_text("of-the-file\n")
    assert command.read_token(str(path)) == "of-the-file"
    for wrong in ("", "short", "with space", "ümlaut-ümlaut", "x" * 513):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="must hold 8 to 512 ASCII characters without spaces") as caught:
            command.read_token(str(path))
        assert not wrong or wrong not in str(caught.value)  # it may be a secret


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_addresses_of_this_machine_are_known(host: str, own: bool) -> None:
    assert command.is_this_machine(host) == own


@pytest.fixture(scope="module")
def served(tiny_checkpoint: Path) -> Iterator[tuple[str, str, Any]]:
    """A process of its own, open to other hosts; its address, what it said, and the process."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{HEED}; from emotts.cli import main; sys.exit(main())",
            "serve",
            "--host",
            "0.0.0.0",
            "--port",
            "0",
            "--checkpoint",
            str(tiny_checkpoint),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    lines = [process.stderr.readline(), process.stderr.readline()]
    found = re.search(r"http://0\.0\.0\.0:(\d+)/v1", lines[1])
    assert found, lines
    yield f"http://127.0.0.1:{found[1]}", "".join(lines), process
    process.kill()
    process.wait()


def test_it_says_where_it_is_and_warns_when_anybody_may_come(served: tuple[str, str, Any]) -> None:
    address, said, _ = served
    assert said.startswith("emotts: warning: 0.0.0.0 lets other machines in, and no token asks them who they are")
    assert said.splitlines()[1].startswith("emotts: serving on http://0.0.0.0:")
    assert httpx.get(f"{address}/healthz", timeout=60).json() == {"status": "alive"}


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_examples_of_the_documentation_run(served: tuple[str, str, Any], tmp_path: Path, language: str) -> None:
    address, _, _ = served
    snippets = [
        code for code in re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL) if "curl" in code or "openai" in code
    ]
    assert snippets
    (tmp_path / "talk.wav").write_bytes(
        httpx.post(
            f"{address}/v1/audio/speech", json={"input": "Hello there, you two.", "response_format": "wav"}, timeout=60
        ).content
    )
    for code in snippets:
        code = code.replace("http://127.0.0.1:8880", address)
        start = [sys.executable, "-c"] if language == "python" else ["bash", "-euc"]
        done = subprocess.run([*start, code], capture_output=True, text=True, cwd=tmp_path, timeout=600)
        assert done.returncode == 0, done.stderr
    made = {path.name for path in tmp_path.iterdir()} - {"talk.wav"}
    assert made and all((tmp_path / name).stat().st_size > 200 for name in made)


def test_caches_are_bounded_unless_the_user_has_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CACHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(next(iter(CACHES)), "7")
    bound_caches()
    first, *others = CACHES
    assert os.environ[first] == "7" and all(os.environ[name] == CACHES[name] for name in others)


def test_an_interrupt_ends_it(served: tuple[str, str, Any]) -> None:
    process = served[2]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert "Traceback" not in process.stderr.read()
