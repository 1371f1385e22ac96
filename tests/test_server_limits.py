"""What is too much, too slow or none of a stranger's business is refused in OpenAI's shape, and costs the others nothing."""

import io
import json
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile
from fastapi import FastAPI
from serving import connect, get, options, post, request, running

from emotts import EmoTTS
from emotts.server import run
from emotts.server.app import create_app
from emotts.server.guard import UNSAID
from emotts.server.limits import Limits
from emotts.server.recordings import safe_name
from emotts.server.run import LOOPBACK
from emotts.server.worker import Worker

SPEECH, CONVERT, HEAR = "/v1/audio/speech", "/v1/audio/convert", "/v1/audio/hear"
LONG = "One is here. Two is there. Three is gone. Four is left. Five is done. Six is all we have for now. " * 3
LIMITS = Limits(max_upload_bytes=400_000, max_recording_s=2.0, max_waiting=2, timeout_s=60.0)
STALL_S = 4.0


@pytest.fixture(scope="module")
def tts(tiny_checkpoint: Path) -> EmoTTS:
    return EmoTTS.from_pretrained(tiny_checkpoint)


@pytest.fixture
def app(tts: EmoTTS) -> FastAPI:
    return create_app(tts, LIMITS)


@pytest.fixture(scope="module")
def address(tts: EmoTTS) -> Iterator[str]:
    with running(create_app(tts, LIMITS)) as address:
        yield address


@pytest.fixture
def impatient(tts: EmoTTS) -> Iterator[str]:
    """A server that gives a body up after a short pause."""
    with running(create_app(tts, LIMITS, stall_s=STALL_S)) as address:
        yield address


def post_head(path: str, kind: str, n_bytes: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {n_bytes}\r\n\r\n".encode()


def error(reply: httpx.Response, status: int) -> dict[str, Any]:
    """Return what an error says, which has OpenAI's shape, and neither a path nor a traceback."""
    assert reply.status_code == status, reply.text
    assert set(reply.json()) == {"error"}
    told = reply.json()["error"]
    assert set(told) == {"message", "type", "param", "code"}
    assert not re.search(r"/(work|tmp|home|usr|etc|root)\b|Traceback|\.py\b|site-packages", reply.text)
    return told


def ask(address: str, **body: Any) -> httpx.Response:
    return post(f"{address}{SPEECH}", json={"input": "Hello there.", **body})


def upload(address: str, data: bytes, name: str = "a.wav", route: str = HEAR, **fields: str) -> httpx.Response:
    return post(f"{address}{route}", files={"file": (name, data)}, data=fields)


def wav(seconds: float = 0.5, rate: int = 24_000, kind: str = "PCM_16", value: float | None = None) -> bytes:
    waveform = 0.3 * np.sin(2 * np.pi * 150 * np.arange(int(seconds * rate)) / rate)
    file = io.BytesIO()
    soundfile.write(file, waveform if value is None else np.full(len(waveform), value), rate, kind, format="WAV")
    return file.getvalue()


def test_texts_are_spoken_up_to_their_limit(tts: EmoTTS, address: str) -> None:
    assert ask(address, input=("word " * 900)[:4_096], response_format="pcm", steps=0).status_code == 200
    told = error(ask(address, input=("word " * 900)[:4_097]), 400)
    assert (
        told["message"] == "text must have at most 4096 characters; got 4097. Send it in parts."
        and told["param"] == "input"
    )
    with running(create_app(tts, replace(LIMITS, max_text_chars=10))) as other:
        assert "at most 10 characters" in error(ask(other), 400)["message"]
        assert (
            get(f"{other}/openapi.json").json()["components"]["schemas"]["SpeechBody"]["properties"]["input"][
                "maxLength"
            ]
            == 10
        )


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"input": ""}, "must not be empty", "input"),
        ({"input": "…"}, "speakable", "input"),
        ({"input": None}, "valid string", "input"),
        ({"input": "a " + "[pause 10s]" * 31}, "pauses", "input"),
        ({"input": "[hapy:0.5]Hi.[/]"}, "happy", "input"),
        ({"response_format": "aac"}, "response_format aac has no encoder here", "response_format"),
        ({"response_format": "ogg"}, "'mp3', 'opus'", "response_format"),
        ({"stream_format": "ws"}, "'audio' or 'sse'", "stream_format"),
        ({"speed": 0.25}, "from 0.4 to 2.5; got 0.25", "speed"),
        ({"speed": 4}, "from 0.4 to 2.5", "speed"),
        ({"speed": "1"}, "valid number", "speed"),
        ({"pitch": 13}, "from -12 to 12", "pitch"),
        ({"guidance": 6}, "from 0 to 5", "guidance"),
        ({"steps": 33}, "equal to 32", "steps"),
        ({"steps": 1.5}, "valid integer", "steps"),
        ({"seed": -1}, "equal to 0", "seed"),
        ({"seed": 2**63}, "less than", "seed"),
        ({"seed": True}, "valid integer", "seed"),
        ({"duration": 601}, "600", "duration"),
        ({"duration": 0.01}, "duration", "duration"),
        ({"duration": 500}, "", None),
        ({"voice": "maxx"}, 'Did you mean "max"', "voice"),
        ({"voice": "x" * 200}, "128", "voice"),
        ({"emotion": "hapy"}, 'Did you mean "happy"', "emotion"),
        ({"emotion": "happy:9"}, "from 0 to 1.5", "emotion"),
        ({"emotion": {}}, "at least one part", "emotion"),
        ({"emotion": {"lable": "happy"}}, 'Did you mean "label"', "emotion"),
        ({"emotion": {"label": "hapy"}}, 'Did you mean "happy"', "emotion"),
        ({"emotion": {"intensity": 1.0}}, "needs a label", "emotion"),
        ({"emotion": {"arousal": 2.0}}, "less than or equal to 1", "emotion"),
        ({"emotion": ["happy"]}, "emotion", "emotion"),
        ({"emotion": {"mixture": {"happy": 0.5}}}, "two or more", "emotion"),
        ({"emotion": {"label": "sad", "auto": 1.0}}, "auto", "emotion"),
        ({"timeline": "rise"}, "must name an emotion|must be a text|position", "timeline"),
        ({"timeline": []}, "at least 1", "timeline"),
        ({"timeline": [{"t": 0}]}, "keyframe 1", "timeline"),
        ({"timeline": [{"word": 99, "emotion": "sad"}]}, "word of a keyframe", None),
        ({"timeline": "rise:sad", "emotion": "sad"}, "give one of", "timeline"),
        ({"instructions": "sad", "emotion": "sad"}, "give one of", "emotion"),
        ({"instructions": "x" * 4_097}, "4096", "instructions"),
        ({"emotoin": "sad"}, 'Did you mean "emotion"', None),
        ({"model": "whisper"}, None, "model"),
    ],
)
def test_a_request_that_cannot_be_meant_so_is_refused_by_name(
    address: str, body: dict, message: str | None, param: str
) -> None:
    told = error(ask(address, **body), 400 if message is not None else 404)
    assert re.search(message or "", told["message"]) and (param is None or told["param"] == param), told


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"input": "Hi.", "speed": NaN}',
        b'{"input": "Hi.", "speed": 1e400}',
        b'{"input": "Hi.", "pitch": -Infinity}',
        b'{"input": "Hi.", "seed": ' + b"9" * 5_000 + b"}",
        b'{"input": "\\ud800"}',
        b'{"input": "Hi.", "duration": ' + b"9" * 400 + b"}",
        b'{"input": "Hi.", "emotion": "\\udfff"}',
        b'{"input": "Hi.", "\\ud800": 1, "sed": 1}',
        b'{"input": "Hi.", "timeline": [{"t": ' + b"9" * 400 + b', "emotion": "sad"}]}',
        b'{"input": "Hi.", "emotion": {"arousal": NaN}}',
        b'{"input": "Hi.", "timeline": [{"t": NaN, "emotion": "sad"}]}',
        b'{"input": "Hi.", "voice": "\\ud800\\u0000"}',
    ],
)
def test_what_is_no_json_of_numbers_is_refused(address: str, raw: bytes) -> None:
    error(post(f"{address}{SPEECH}", content=raw, headers={"Content-Type": "application/json"}), 400)


def test_a_body_of_another_type_is_refused(address: str) -> None:
    """A page of another origin may send plain text without being asked; it is not read as JSON."""
    error(post(f"{address}{SPEECH}", content=b'{"input": "Hi."}', headers={"Content-Type": "text/plain"}), 400)
    error(post(f"{address}{HEAR}", json={"file": "x"}), 400)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/audio/speech", 405), ("GET", "/etc/passwd", 404), ("PUT", "/x", 404)]
)
def test_other_addresses_and_methods_are_errors_of_the_same_shape(
    address: str, method: str, path: str, status: int
) -> None:
    error(request(method, f"{address}{path}"), status)


@pytest.mark.parametrize("spec", ["like={}", "happy,like={}:0.5", "direction={}", "sad,erase={}"])
def test_no_request_reads_a_file_or_tells_whether_there_is_one(address: str, tmp_path: Path, spec: str) -> None:
    there = tmp_path / "there.wav"
    there.write_bytes(wav())
    messages = set()
    for path in (there, tmp_path / "none.wav"):
        named = spec.format(path)
        messages |= {
            error(ask(address, **body), 400)["message"]
            for body in ({"emotion": named}, {"timeline": f"rise:{named}"}, {"timeline": [{"t": 0, "emotion": named}]})
        }
        tagged = error(ask(address, input=f"[{named}]Hi.[/]"), 400)["message"]
        messages |= {tagged}
        for field in ("emotion", "source_emotion"):
            messages.add(
                error(upload(address, wav(), route=CONVERT, **{"emotion": "sad", field: named}), 400)["message"]
            )
    assert all("must not name files here" in message and path.name not in message for message in messages)
    for voice in (str(there), f"file://{there}", str(tmp_path / "none.wav")):
        for reply in (ask(address, voice=voice), upload(address, wav(), route=CONVERT, voice=voice)):
            told = error(reply, 400)
            assert told["message"].startswith("voice must be one of ada, max") and str(tmp_path) not in told["message"]
    for path in (str(there), "moods.csv"):
        assert "timeline must be a preset" in error(ask(address, timeline=path), 400)["message"]


@pytest.mark.parametrize("name", ["word_times", "prosody", "norms", "intonation", "like_neutral", "checkpoint"])
def test_options_that_name_files_do_not_exist_here(address: str, tmp_path: Path, name: str) -> None:
    reply = ask(address, **{name: str(tmp_path / "none.csv")})
    assert reply.status_code == 200 and reply.headers["x-emotts-ignored"] == name


def chunked(n_bytes: int) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    for _ in range(n_bytes // 10_000):
        yield b" " * 10_000


def test_bodies_over_their_limit_are_refused_while_they_come(address: str) -> None:
    for content in (b" " * 300_000, chunked(300_000)):  # with and without a length told beforehand
        reply = post(f"{address}{SPEECH}", content=content, headers={"Content-Type": "application/json"})
        assert error(reply, 413)["code"] == "too_large"
    assert error(upload(address, bytes(600_000)), 413)["code"] == "too_large"
    assert error(upload(address, bytes(410_000)), 413)["param"] == "file"  # the body has room for it, the limit has not
    head = "multipart/form-data; boundary=x"
    reply = post(f"{address}{HEAR}", content=chunked(600_000), headers={"Content-Type": head})
    error(reply, 413)


def test_an_endless_body_is_cut_off(address: str) -> None:
    with connect(address) as connection:
        connection.sendall(
            f"POST {SPEECH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        piece, sent = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0
        with pytest.raises(OSError):
            while sent < 100_000_000:
                connection.sendall(piece)
                sent += len(piece)
    assert sent < 20_000_000


def answer(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(4_096):
        data += piece
    return data


SLOW = post_head(HEAR, "multipart/form-data; boundary=x", 9_999) + b"--x\r\n"


def test_slow_bodies_take_nobodys_place(tts: EmoTTS) -> None:
    """No clock is asked: they hang until all is over."""
    app = create_app(tts, replace(LIMITS, timeout_s=600.0), stall_s=600.0)
    with running(app) as address, ExitStack() as stack:
        for connection in [stack.enter_context(connect(address)) for _ in range(50)]:
            connection.sendall(SLOW)
        n_refused = 50 - LIMITS.max_waiting
        until(lambda: re.search(rf'requests_total{{[^}}]*status="429"}} {n_refused}\n', get(f"{address}/metrics").text))
        assert get(f"{address}/healthz").status_code == 200
        assert app.state.service.worker.n_jobs == 0
        assert ask(address).status_code == 200


def test_slow_bodies_are_given_up(impatient: str) -> None:
    connections = [connect(impatient) for _ in range(50)]
    for connection in connections:
        connection.sendall(SLOW)
    answers = [answer(connection) for connection in connections]
    n_late, n_refused = (sum(code in each for each in answers) for code in (b" 408 ", b" 429 "))
    assert n_late >= LIMITS.max_waiting and n_late + n_refused == 50
    for connection in connections:
        connection.close()
    assert upload(impatient, wav()).status_code == 200


def test_connections_that_say_nothing_are_closed(tts: EmoTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HEAD_S", 2.0)
    with ExitStack() as stack:
        address = stack.enter_context(running(create_app(tts, LIMITS)))
        silent, half, second = (stack.enter_context(connect(address)) for _ in range(3))
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
        start = time.perf_counter()
        assert answer(silent) == b"" and answer(half) == b"" and b"alive" in answer(second)
        assert time.perf_counter() - start < 8.0  # HEAD_S is 10 where it is not asked


MALFORMED = {
    "empty.wav": b"",
    "text.wav": b"hello",
    "cut.wav": wav()[:30],
    "header.wav": wav()[:44],
    "zip.flac": b"PK\x03\x04" * 99,
    "null.flac": b"fLaC" + bytes(60),
    "mp3.mp3": b"\xff\xfb\x90\x00" * 3,
    "nan.wav": wav(kind="FLOAT", value=float("nan")),
    "inf.wav": wav(kind="FLOAT", value=float("inf")),
    "long.wav": wav(2.5),
    "rate.wav": wav(1.0, 300),
    "none.wav": wav(0.0),
    "raw.raw": bytes(999),
    "ogg.ogg": b"OggS" + bytes(99),
    "silent.wav": wav(value=0.0),
    "short.wav": wav(0.1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_recording_is_refused(address: str, name: str) -> None:
    told = error(upload(address, MALFORMED[name], name), 400)
    assert told["param"] == "file" and told["message"].endswith(".")


def test_hours_of_silence_in_a_small_file_cost_nothing(tts: EmoTTS) -> None:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, "PCM_16", format="FLAC") as sound:
        for _ in range(4 * 60):
            sound.write(np.zeros(60 * 8_000, np.int16))
    with running(create_app(tts, Limits())) as address:
        start = time.process_time()
        assert "lasts 14400 s" in error(upload(address, file.getvalue(), "a.flac"), 400)["message"]
        assert time.process_time() - start < 1.0  # decoding it takes seconds


def test_forms_without_a_file_or_with_nothing_to_do_are_refused(address: str) -> None:
    assert error(post(f"{address}{HEAR}", data={"file": "x"}), 400)["param"] == "file"
    assert error(post(f"{address}{HEAR}", files={"other": b"x"}), 400)["param"] == "file"
    assert error(upload(address, wav(), route=CONVERT), 400)["message"].startswith("nothing to change")
    assert error(upload(address, wav(), route=CONVERT, emotion="sad", strength="nan"), 400)["param"] == "strength"
    assert error(upload(address, wav(), route=CONVERT, emotion="sad", arousal="1e400"), 400)
    assert 'Did you mean "emotion"' in error(upload(address, wav(), route=CONVERT, emotoin="sad"), 400)["message"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        (r"C:\x\..\a.wav", "a.wav"),
        ("a\0b.wav", "a_b.wav"),
        (".bashrc", "bashrc"),
        ("", "recording"),
        (None, "recording"),
        ("..", "recording"),
        ("x.raw", "recording"),
        ("x.wav.json", "recording"),
        ("a" * 300 + ".wav", "a" * 76 + ".wav"),
        ("-rf", "rf"),
        ("naïve voice.wav", "naïve_voice.wav"),
        ("a/b/", "b"),
    ],
)
def test_names_of_uploads_are_bare_and_harmless(name: str | None, kept: str) -> None:
    assert safe_name(name) == kept


def test_uploads_are_gone_after_their_request(tts: EmoTTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[Path] = []
    with running(create_app(tts, LIMITS)) as address:
        judge = SimpleNamespace(name="echo", hear=lambda *_: seen.extend(tmp_path.rglob("*.wav")) or _fail())
        monkeypatch.setitem(tts.resolver.__dict__, "recognizer", judge)
        error(upload(address, wav(), "../../../evil.wav"), 500)
        error(upload(address, b"x", "b.wav"), 400)
        get(f"{address}/healthz")
    assert [path.name for path in seen] == ["evil.wav"] and seen[0].parent.parent == tmp_path
    assert not list(tmp_path.iterdir())


def _fail() -> None:
    raise RuntimeError("the judge at /usr/lib/x.py broke")


class Stage:
    """A model whose segments come one by one when they are let."""

    def __init__(self, tts: EmoTTS, monkeypatch: pytest.MonkeyPatch, app: FastAPI) -> None:
        self.let, self.n_spoken, self.n_closed, self.worker = threading.Semaphore(0), 0, 0, app.state.service.worker
        speak = tts.speak

        def staged(text: str, request: Any) -> Iterator[Any]:
            try:
                for chunk in speak(text, request):
                    assert self.let.acquire(timeout=60)
                    self.n_spoken += 1
                    if "Six" in chunk.text and self.breaks:
                        raise RuntimeError("broken at /usr/lib/x.py")
                    yield chunk
            finally:
                self.n_closed += 1

        self.breaks = False
        self.let.release()  # for the warming up
        monkeypatch.setattr(tts, "speak", staged)

    def begin(self, n: int = 0) -> None:
        self.n_spoken = self.n_closed = 0
        for _ in range(n):
            self.let.release()


@pytest.fixture
def stage(tts: EmoTTS, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tts, monkeypatch, app)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)


def test_a_full_queue_answers_429_and_says_when_to_come_again(app: FastAPI, stage: Stage) -> None:
    with running(app) as address:
        stage.begin()
        replies: list[int] = []
        threads = [threading.Thread(target=lambda: replies.append(ask(address).status_code)) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: stage.worker.n_jobs == 3)
        reply = ask(address)
        assert error(reply, 429)["type"] == "rate_limit_error" and int(reply.headers["retry-after"]) >= 1
        assert error(upload(address, wav()), 429)["code"] == "queue_full"
        assert "emotts_queue_length 2\n" in get(f"{address}/metrics").text
        assert get(f"{address}/healthz").status_code == 200
        stage.begin(20)
        for thread in threads:
            thread.join()
        assert replies == [200] * 3 and ask(address).status_code == 200
    assert stage.worker.n_jobs == 0


@pytest.mark.parametrize("body", [{}, {"response_format": "flac"}, {"stream_format": "sse"}, {"input": LONG}])
def test_what_takes_too_long_is_504(tts: EmoTTS, monkeypatch: pytest.MonkeyPatch, body: dict) -> None:
    app = create_app(tts, replace(LIMITS, timeout_s=0.4))
    stage = Stage(tts, monkeypatch, app)
    with running(app) as address:
        stage.begin()
        start = time.perf_counter()
        assert error(ask(address, **body), 504)["code"] == "timeout"
        assert time.perf_counter() - start < 40.0  # the stage would hold it for 60
        until(lambda: stage.worker.n_jobs == 0)
        stage.begin(50)
        until(lambda: stage.n_closed == 1)


def test_a_stream_that_stalls_is_broken_off(tts: EmoTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(tts, replace(LIMITS, timeout_s=4.0))
    stage = Stage(tts, monkeypatch, app)
    with running(app) as address:
        stage.begin(1)
        with pytest.raises(httpx.RemoteProtocolError):
            ask(address, input=LONG, response_format="pcm")
        until(lambda: stage.worker.n_jobs == 0)
        stage.begin(50)


@pytest.mark.parametrize("waits_for_first", [True, False])
def test_nothing_more_is_computed_for_a_client_that_left(app: FastAPI, stage: Stage, waits_for_first: bool) -> None:
    body = json.dumps({"input": LONG, "response_format": "pcm"})
    head = post_head(SPEECH, "application/json", len(body))
    with running(app) as address:
        stage.begin(0 if waits_for_first else 2)
        with connect(address) as connection:
            connection.sendall(head + body.encode())
            until(lambda: stage.worker.n_jobs == 1)
            if not waits_for_first:
                until(lambda: stage.n_spoken == 2)
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
        until(lambda: stage.worker.n_jobs == 0)
        for _ in range(10):
            stage.let.release()
        until(lambda: stage.n_closed == 1)
        assert stage.n_spoken <= (1 if waits_for_first else 3)  # the segment that was being spoken
        assert 'status="499"' in get(f"{address}/metrics").text or not waits_for_first


def test_a_client_that_does_not_read_is_given_up(tts: EmoTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WRITE_S", 3.0)
    app = create_app(tts, LIMITS)
    speak = tts.speak

    def loud(text: str, request: Any) -> Iterator[Any]:
        for chunk in speak(text, request):
            yield replace(chunk, waveform=np.zeros(10_000_000, np.float32))  # more than sockets hold

    with running(app) as address:
        monkeypatch.setattr(tts, "speak", loud)
        body = json.dumps({"input": LONG, "response_format": "pcm"})
        with connect(address) as connection:
            connection.sendall(post_head(SPEECH, "application/json", len(body)) + body.encode())
            worker = app.state.service.worker
            until(lambda: worker.n_jobs == 1)
            until(lambda: worker.n_jobs == 0)
            data = answer(connection)
    assert data.startswith(b"HTTP/1.1 200") and len(data) < 15_000_000  # what the server still held is dropped


def test_failures_say_nothing_of_the_inside(app: FastAPI, stage: Stage) -> None:
    stage.breaks = True
    with running(app) as address:
        stage.begin(40)
        told = error(ask(address, input="Six.", emotion="sad"), 500)
        assert told == {"message": UNSAID, "type": "server_error", "param": None, "code": "server_error"}
        with pytest.raises(httpx.RemoteProtocolError):  # the status is out: the reply breaks off
            ask(address, input=LONG, response_format="pcm")
        last = ask(address, input=LONG, stream_format="sse").text.strip().split("\n\n")[-1]
        assert json.loads(last.removeprefix("data: "))["error"]["message"] == UNSAID
        until(lambda: stage.worker.n_jobs == 0)


def test_who_has_no_token_is_not_let_in(tts: EmoTTS) -> None:
    with running(create_app(tts, LIMITS, token="let-me-in-please")) as address:
        for path in (SPEECH, CONVERT, HEAR, "/v1/audio/voices", "/v1/models", "/metrics", "/openapi.json", "/nowhere"):
            for headers in (
                {},
                {"Authorization": "Bearer let-me-in-pleas"},
                {"Authorization": "Bearer ü"},
                {"Authorization": "let-me-in-please"},
            ):
                encoded = {name: value.encode() for name, value in headers.items()}
                reply = get(f"{address}{path}", headers=encoded)
                assert error(reply, 401)["code"] == "invalid_api_key" and reply.headers["www-authenticate"] == "Bearer"
        assert get(f"{address}/healthz").status_code == get(f"{address}/readyz").status_code == 200
        with openai.OpenAI(base_url=f"{address}/v1", api_key="let-me-in-please") as client:
            assert (
                client.audio.speech.create(model="tts-1", voice="ada", input="Hi.", response_format="wav").read()[:4]
                == b"RIFF"
            )
        with (
            openai.OpenAI(base_url=f"{address}/v1", api_key="wrong") as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.audio.speech.create(model="tts-1", voice="ada", input="Hi.")


def test_pages_of_other_origins_may_call_only_if_they_are_named(tts: EmoTTS, address: str) -> None:
    origin = {"Origin": "https://example.org"}
    assert "access-control-allow-origin" not in get(f"{address}/v1/models", headers=origin).headers
    with running(create_app(tts, LIMITS, token="let-me-in-please", cors=["https://example.org"])) as other:
        asked = {
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        assert (
            options(f"{other}{SPEECH}", headers=asked).headers["access-control-allow-origin"] == "https://example.org"
        )
        known = {**origin, "Authorization": "Bearer let-me-in-please"}
        assert get(f"{other}/v1/models", headers=known).headers["access-control-allow-origin"] == "https://example.org"
        elsewhere = {**known, "Origin": "https://example.com"}
        assert "access-control-allow-origin" not in get(f"{other}/v1/models", headers=elsewhere).headers


def test_short_texts_do_not_wait_for_long_ones(app: FastAPI, stage: Stage) -> None:
    """The steps of all requests wait in one row."""
    with running(app) as address:
        stage.begin(0)
        slow = threading.Thread(target=ask, args=(address,), kwargs={"input": LONG, "response_format": "flac"})
        slow.start()
        until(lambda: stage.worker.n_jobs == 1)
        quick = threading.Thread(target=ask, args=(address,))
        quick.start()
        until(lambda: stage.worker.n_jobs == 2)
        for _ in range(4):
            stage.let.release()
        quick.join(timeout=60)
        assert not quick.is_alive() and slow.is_alive()
        for _ in range(40):
            stage.let.release()
        slow.join()


def test_the_wait_that_is_told_follows_the_length_of_requests() -> None:
    worker = Worker(Limits(max_waiting=1))
    jobs = [worker.admit(), worker.admit()]
    worker.mean_s = 30.0
    with pytest.raises(Exception) as caught:
        worker.admit()
    assert caught.value.headers == {"Retry-After": "30"}  # type: ignore[attr-defined]
    for job in jobs:
        job.close()
        job.close()
    assert worker.n_jobs == 0 and worker.mean_s < 30.0
    worker.close()


def test_other_names_of_this_machine_are_not_answered(tts: EmoTTS) -> None:
    """A page elsewhere whose name was bent to this machine would bring its own name."""
    with running(create_app(tts, LIMITS, hosts=LOOPBACK)) as address:
        for name, status in {"evil.example": 400, "localhost": 200, "127.0.0.1": 200}.items():
            assert get(f"{address}/healthz", headers={"host": name}).status_code == status, name
