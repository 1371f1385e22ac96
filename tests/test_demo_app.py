"""The whole page: what it offers to programs, what it refuses to strangers, and what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import FunctionType
from urllib.parse import quote

import httpx
import pytest
from browser import assert_clean, open_page, shot  # before gradio

from demo.app import TABS, build_app
from demo.engine import Engine
from demo.serving import HEADERS, serve
from emotts import EmoTTS
from emotts.cli import main
from emotts.cli.demo import load_demo, read_auth
from emotts.emotion.labels import LABELS
from emotts.server.limits import Limits

ENDPOINTS = {"/speak", "/convert", "/compare", "/listen", "/batch", "/about"}
USER = [("ada", "a long password")]
TIMEOUT_S = 60.0  # httpx has 5 s of its own

get, post = partial(httpx.get, timeout=TIMEOUT_S), partial(httpx.post, timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def tts() -> EmoTTS:
    return EmoTTS.from_pretrained()


@pytest.fixture(scope="module")
def engine(tts: EmoTTS) -> Engine:
    return Engine(tts, replace(Limits(), max_upload_bytes=1_000_000))


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    page = serve(build_app(engine), engine)
    yield page.url
    page.close()


def test_every_tab_opens_clean_on_a_desk_and_on_a_phone(url: str) -> None:
    for phone in (False, True):
        with open_page(url, phone=phone) as page:
            page.get_by_role("tab", name="Speak", exact=True).wait_for()
            for name in TABS:
                tab = page.get_by_role("tab", name=name.capitalize(), exact=True)
                if tab.is_visible():
                    tab.click()
                else:  # a narrow page keeps the last tabs in a menu
                    page.locator(".overflow-menu > button").click()
                    page.locator(".overflow-dropdown").get_by_text(name.capitalize(), exact=True).click()
                page.locator(f"#tab-{name}").wait_for()
                assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], name
                shot(page, f"{name}-empty{'-phone' if phone else ''}")
            assert_clean(page)


def test_the_endpoints_are_those_that_are_documented(url: str) -> None:
    info = get(f"{url}gradio_api/info").json()
    assert set(info["named_endpoints"]) == ENDPOINTS
    documented = (Path(__file__).parent.parent / "docs/demo.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in documented for name in ENDPOINTS)
    assert not info["unnamed_endpoints"]


def test_the_example_of_the_documentation_runs(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documented = (Path(__file__).parent.parent / "docs/demo.md").read_text(encoding="utf-8")
    lines = documented.split("```python\n")[1].split("```")[0].replace("http://127.0.0.1:7860/", url)
    exec(lines, {})
    label, rtf = capsys.readouterr().out.split()[-2:]
    assert label in (*LABELS, "uncertain") and float(rtf) > 0.0


def test_the_page_names_no_other_host(url: str) -> None:
    """Gradio's own page would ask two hosts for fonts and one for a script, were it not told otherwise."""
    with open_page(url) as page:
        page.wait_for_timeout(1_000)
        assert_clean(page)


PATHS = [
    "/etc/passwd", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/proc/self/environ", "file:///etc/passwd", "~/.bashrc",
    "http://127.0.0.1:9/x", "//etc/passwd", "..%5c..%5cetc%5cpasswd", str(Path(__file__)), "/etc/passwd%00.wav", "/dev/zero",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_file_of_this_machine_is_given_away(url: str, path: str) -> None:
    for form in (path, quote(path, safe="")):
        for route in ("gradio_api/file=", "file=", "static/", "assets/", "gradio_api/stream/"):
            answer = get(f"{url}{route}{form}")
            assert answer.status_code in (400, 403, 404, 405, 422), (route, form, answer.status_code)
            assert "root:" not in answer.text and "PATH=" not in answer.text


def test_uploads_are_limited_and_keep_no_folders_in_their_names(url: str, engine: Engine) -> None:
    large = post(f"{url}gradio_api/upload", files={"files": ("a.wav", b"x" * 1_500_000)})
    assert large.status_code == 413
    small = post(f"{url}gradio_api/upload", files={"files": ("../../../tmp/evil.wav", b"x" * 100)})
    stored = Path(small.json()[0])
    assert stored.name == "evil.wav" and stored.is_relative_to(engine.folder)


@pytest.fixture(scope="module")
def secrets(tts: EmoTTS, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of this machine that every tab could read, were they uploaded."""
    folder = tmp_path_factory.mktemp("private")
    tts.synthesize("This is between you and me, and nobody else.", seed=1).save(folder / "secret.wav", sidecar=False)
    (folder / "secret.txt").write_text("ANNA: This is between you and me.", encoding="utf-8")
    (folder / "secret.csv").write_text("text\nThis is between you and me.\n", encoding="utf-8")
    return sorted(folder.iterdir())


def taken_in(engine: Engine, secrets: list[Path]) -> list[Path]:
    """Return copies of the secrets that the page has made."""
    names = {path.name for path in secrets}
    return [path for path in engine.folder.rglob("*") if path.name in names]


@pytest.mark.parametrize("endpoint", ["convert", "listen"])
@pytest.mark.parametrize("meta", [{"meta": {"_type": "gradio.FileData"}}, {}])
def test_a_forged_file_is_not_read(
    url: str, endpoint: str, meta: dict[str, object], engine: Engine, secrets: list[Path]
) -> None:
    options = {"convert": ["sad", "", 1.0, True, True, 1], "listen": [None, "features"]}[endpoint]
    file = {"path": str(secrets[-1]), **meta}
    assert secrets[-1].suffix == ".wav"
    started = post(f"{url}gradio_api/call/{endpoint}", json={"data": [file, *options]})
    if started.status_code == 200:
        text = get(f"{url}gradio_api/call/{endpoint}/{started.json()['event_id']}").text
        assert "event: error" in text and "heard" not in text
    else:
        assert started.status_code in (400, 403, 422)
    assert not taken_in(engine, secrets)


def test_no_event_of_the_page_takes_a_forged_file(url: str, engine: Engine, secrets: list[Path]) -> None:
    """Every component that takes files is given those of somebody else, one event after the other, by raw HTTP."""
    config = get(f"{url}config").json()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    taking = ("audio", "uploadbutton", "file")
    events = [e for e in config["dependencies"] if e["backend_fn"] and any(kinds.get(i) in taking for i in e["inputs"])]
    assert len(events) >= 6
    for event in events:
        for secret in secrets:
            file = {"path": str(secret), "orig_name": secret.name, "meta": {"_type": "gradio.FileData"}}
            body = {
                "data": [file if kinds.get(i) in taking else None for i in event["inputs"]], "fn_index": event["id"],
                "session_hash": "raw",
            }  # fmt: skip
            answer = post(f"{url}gradio_api/run/predict", json=body)
            assert answer.status_code >= 400 or "between you and me" not in answer.text
            assert not taken_in(engine, secrets), (event["id"], secret.name)


def test_a_page_is_cheap_to_describe(engine: Engine) -> None:
    """Each visit copies the description of all components: what is no plain data there costs seconds and memory."""
    described = build_app(engine).get_config_file()
    alive = [
        (component["type"], name, type(value))
        for component in described["components"]
        for name, value in component["props"].items()
        if not isinstance(value, dict | list | tuple | str | int | float | bool | None | FunctionType)
    ]
    assert not alive


def test_other_names_of_this_machine_are_not_answered(url: str) -> None:
    assert get(url, headers={"host": "evil.example"}).status_code == 400
    assert get(f"{url}config", headers={"host": "localhost"}).status_code == 200


def test_its_files_go_with_it_however_it_ends(tmp_path: Path) -> None:
    program = [str(Path(sys.executable).with_name("emotts")), "demo"]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert process.stderr is not None
    try:
        assert any("http://127.0.0.1:" in line for line in islice(process.stderr, 50))
        assert list(tmp_path.glob("emotts-demo-*/*"))  # it has spoken a word to warm up
        process.terminate()
        assert process.wait(120) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert not list(tmp_path.glob("emotts-demo-*"))


@pytest.mark.parametrize("meta", [{"_type": "gradio.FileData"}, None])
def test_an_address_in_place_of_a_file_is_not_fetched(url: str, meta: dict[str, str] | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1.0)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/secret.wav"
        file = {"path": address, "url": address} | ({"meta": meta} if meta else {})
        started = post(f"{url}gradio_api/call/listen", json={"data": [file, None, "features"]})
        if started.status_code == 200:
            told = get(f"{url}gradio_api/call/listen/{started.json()['event_id']}").text
            assert "event: error" in told
        with pytest.raises(TimeoutError):
            trap.accept()


def test_private_events_check_what_the_page_would(url: str) -> None:
    """Events of the page can be called by raw HTTP: none may answer a wrong value with a result."""
    config = get(f"{url}config").json()
    for event in config["dependencies"]:
        if not event["inputs"] or not event["backend_fn"]:
            continue
        body = {
            "data": [{"path": "/etc/passwd"}] * len(event["inputs"]),
            "fn_index": event["id"],
            "session_hash": "raw",
        }
        answer = post(f"{url}gradio_api/run/predict", json=body)
        assert "root:" not in answer.text
        assert answer.status_code < 500 or set(json.loads(answer.text)) <= {
            "error",
            "detail",
            "duration",
            "title",
            "visible",
        }
        assert "Traceback" not in answer.text and "/work" not in answer.text.replace("/etc/passwd", "")


def test_with_passwords_nobody_else_comes_in(tts: EmoTTS) -> None:
    engine = Engine(tts)
    page = serve(build_app(engine, ("about",)), engine, auth=USER)
    url = page.url
    try:
        for route in (
            "config",
            "gradio_api/info",
            "gradio_api/upload",
            "gradio_api/call/about",
            "gradio_api/queue/data",
        ):
            kind = post if route.endswith(("upload", "about")) else get
            assert kind(f"{url}{route}").status_code in (401, 405, 422), route
        assert post(f"{url}gradio_api/call/about", json={"data": []}).status_code == 401
        with httpx.Client(timeout=TIMEOUT_S) as client:
            wrong = client.post(f"{url}login", data={"username": "ada", "password": "guess"})
            assert wrong.status_code == 400
            assert client.post(f"{url}login", data={"username": "ada", "password": USER[0][1]}).status_code == 200
            assert client.get(f"{url}gradio_api/info").status_code == 200
    finally:
        page.close()


def test_it_answers_this_machine_only_and_names_no_other_host(url: str) -> None:
    assert url.startswith("http://127.0.0.1:")
    answer = get(url)
    assert HEADERS.items() <= dict(answer.headers).items()
    assert get(f"{url}config").json()["analytics_enabled"] is False


def test_a_taken_port_is_told(url: str, engine: Engine) -> None:
    with pytest.raises(OSError, match="cannot be used"):
        serve(build_app(engine, ("about",)), engine, port=int(url.rstrip("/").rpartition(":")[2]))


def test_the_command_reads_passwords_and_refuses_weak_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "users"
    file.write_text("ada:correct horse\n\nmax:battery:staple\n")
    assert read_auth(file) == [("ada", "correct horse"), ("max", "battery:staple")]
    for content in ("ada:short\n", "ada\n", ":password1\n", "\n"):
        file.write_text(content)
        with pytest.raises(ValueError, match="password"):
            read_auth(file)
    assert main(["demo", "--auth-file", str(tmp_path / "none")]) == 2
    assert main(["demo", "--port", "99999"]) == 2
    assert "--port must be from 1 to 65535" in capsys.readouterr().err


def test_the_command_finds_the_page_of_this_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    package = load_demo()
    assert Path(str(package.__file__)).parent == Path(__file__).resolve().parent.parent / "demo"
