"""The server with the bundled model, as OpenAI's client and others use it."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile
from serving import get, running

from emotts import EmoTTS
from emotts.provenance import read_provenance
from emotts.server.app import create_app
from emotts.server.encoding import FORMATS
from emotts.server.limits import Limits
from emotts.speech import Chunk

SHORT = "I can't believe you came."
LONG = "I waited at the station. Nobody came to see me. Then the rain began, and I walked home."
RATE = 24_000


@pytest.fixture(scope="module")
def tts() -> EmoTTS:
    return EmoTTS.from_pretrained()


@pytest.fixture(scope="module")
def address(tts: EmoTTS) -> Iterator[str]:
    with running(create_app(tts, Limits(timeout_s=60))) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def spoken(tts: EmoTTS, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence that says of itself that a model spoke it."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    tts.synthesize("I never wanted to see this house again.", voice="max", seed=4).save(path, sidecar=False)
    return path


def samples(data: bytes, name: str) -> tuple[np.ndarray, int]:
    if name == "pcm":
        return np.frombuffer(data, "<i2") / 32_768, RATE
    with soundfile.SoundFile(io.BytesIO(data)) as file:  # a stream's header does not know its length
        return file.read(600 * RATE), file.samplerate


@pytest.mark.parametrize("name", FORMATS)
def test_openai_clients_get_every_format(client: openai.OpenAI, tts: EmoTTS, name: str) -> None:
    reply = client.audio.speech.create(
        model="tts-1", voice="alloy", input=SHORT, response_format=name, extra_body={"emotion": "happy:0.8", "seed": 3}
    )
    waveform, rate = samples(reply.read(), name)
    expected = tts.synthesize(SHORT, voice="ada", emotion="happy:0.8", seed=3).waveform
    assert rate == RATE
    assert len(waveform) == pytest.approx(len(expected), abs=0.1 * RATE if name == "mp3" else 0)
    if name in ("wav", "flac", "pcm"):
        assert np.abs(waveform - np.clip(expected, -1, 1)).max() < 2 / 32_768  # rounding to 16 bits


@pytest.mark.parametrize("name", FORMATS)
def test_long_texts_come_piece_by_piece_and_are_whole(client: openai.OpenAI, tts: EmoTTS, name: str) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="onyx", input=LONG, response_format=name, speed=1.2, extra_body={"seed": 5}
    ) as reply:
        pieces = list(reply.iter_bytes())
        headers = reply.headers
    waveform, rate = samples(b"".join(pieces), name)
    expected = tts.synthesize(LONG, voice="leo", speed=1.2, seed=5).duration_s
    assert rate == RATE and len(waveform) / rate == pytest.approx(expected, abs=0.1 if name == "mp3" else 1e-3)
    assert (len(pieces) > 2) == (name != "flac") and ("content-length" in headers) == (name == "flac")
    assert headers["x-synthetic"] == "true" and headers["x-emotts-seed"] == "5" and headers["x-emotts-voice"] == "leo"


def test_a_piece_is_sent_before_the_next_is_spoken(tts: EmoTTS, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock is asked: after each piece the model waits until the client says that it has heard it."""
    speak, heard, came = tts.speak, threading.Semaphore(0), []

    def waiting(text: str, request: Any) -> Iterator[Chunk]:
        for chunk in speak(text, request):
            yield chunk
            came.append(heard.acquire(timeout=60))

    monkeypatch.setattr(tts, "speak", waiting)
    body = {"input": LONG, "response_format": "pcm", "seed": 1}
    with httpx.stream("POST", f"{address}/v1/audio/speech", json=body, timeout=60) as reply:
        for _ in reply.iter_raw():
            heard.release()
    assert len(came) > 2 and all(came[:-1])  # the last piece goes with the end of the file, after the model is done


def test_a_wav_stream_says_that_its_length_is_not_known_and_a_short_file_knows_it(client: openai.OpenAI) -> None:
    stream = client.audio.speech.create(model="emotts", voice="heart", input=LONG, response_format="wav").read()
    whole = client.audio.speech.create(model="emotts", voice="heart", input=SHORT, response_format="wav").read()
    assert stream[4:8] == b"\xff" * 4 and int.from_bytes(whole[4:8], "little") == len(whole) - 8


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "opus"])
@pytest.mark.parametrize("text", [SHORT, LONG])
def test_files_say_that_they_are_synthetic(client: openai.OpenAI, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / f"a.{'ogg' if name == 'opus' else name}"
    reply = client.audio.speech.create(
        model="emotts", voice="heart", input=text, response_format=name, extra_body={"seed": 9, "emotion": "sad"}
    )
    path.write_bytes(reply.read())
    found = read_provenance(path)
    assert found is not None and found.kind == "speech" and found.seed == 9
    assert found.settings["voice"] == "heart" and found.settings["emotion"] == "sad"
    assert found.text is None  # it may be personal


def events(address: str, **body: object) -> list[dict]:
    reply = httpx.post(f"{address}/v1/audio/speech", json={"stream_format": "sse", **body}, timeout=60)
    assert reply.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in reply.text.split("\n\n") if line]


@pytest.mark.parametrize("name", ["pcm", "mp3", "flac"])
def test_events_carry_the_same_sound(address: str, tts: EmoTTS, name: str) -> None:
    found = events(address, input=LONG, response_format=name, seed=2)
    assert [event["type"] for event in found[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    data = b"".join(base64.b64decode(event["audio"]) for event in found[:-1])
    waveform, _ = samples(data, name)
    assert len(waveform) / RATE == pytest.approx(tts.synthesize(LONG, seed=2).duration_s, abs=0.1)
    assert found[-1]["usage"] == {
        "input_tokens": len(LONG), "output_tokens": len(data), "total_tokens": len(LONG) + len(data),
    }  # fmt: skip


def told(address: str, **body: object) -> httpx.Response:
    reply = httpx.post(f"{address}/v1/audio/speech", json={"input": "Yes.", **body}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply


@pytest.mark.parametrize(
    ("asked", "spec"),
    [
        ({"emotion": "happy:0.6+sad:0.4"}, "happy:0.6+sad:0.4"),
        ({"emotion": {"label": "joy", "intensity": 0.5}}, "happy:0.5"),
        ({"emotion": {"arousal": 0.5, "valence": -0.25}}, "arousal=0.5,valence=-0.25"),
        ({"emotion": {"mixture": {"happy": 0.6, "sad": 0.4}}}, "happy:0.6+sad:0.4"),
        ({"emotion": {"label": "angry", "away": {"fear": 0.5}}}, "angry-fearful:0.5"),
        ({"emotion": {"away": {"sad": 1.0}}}, "neutral-sad"),
        ({"emotion": {"words": "relieved, but still shaking"}}, '"relieved, but still shaking"'),
        ({"emotion": {"auto": 0.5}}, "auto:0.5"),
        ({"timeline": "rise:angry"}, "timeline"),
        ({"timeline": [{"t": 0, "emotion": "calm"}, {"t": 0.2, "arousal": 0.5}]}, "timeline"),
        ({"instructions": ""}, "neutral"),
        ({}, "neutral"),
        ({"emotion": None, "instructions": None, "seed": None, "duration": None, "steps": None}, "neutral"),
    ],
)
def test_every_way_of_asking_for_an_emotion(address: str, asked: dict, spec: str) -> None:
    assert told(address, **asked).headers["x-emotts-emotion"] == spec


def test_instructions_are_understood_or_said_not_to_be(address: str) -> None:
    warm = told(address, instructions="Speak in a cheerful, warm voice — like a friend.")
    assert warm.headers["x-emotts-instructions"].startswith("understood cheerful")
    assert "valence=0." in warm.headers["x-emotts-emotion"]
    nothing = told(address, instructions="Zxqv brmpf.")
    assert nothing.headers["x-emotts-instructions"] == "no word is known; spoken neutrally"
    assert nothing.headers["x-emotts-emotion"] == "neutral"


def test_other_options_have_their_effect(address: str) -> None:
    def seconds(**asked: object) -> float:
        return len(told(address, response_format="pcm", seed=1, **{"input": SHORT, **asked}).content) / 2 / RATE

    plain = seconds()
    assert seconds(speed=2.0) < 0.7 * plain
    assert seconds(duration=2.5) == pytest.approx(2.5, abs=0.05)
    assert seconds(input=f"{SHORT} [pause 1s] Yes.") > plain + 1.0
    pcm = {
        key: told(address, response_format="pcm", seed=1, **asked).content
        for key, asked in {
            "plain": {}, "pitch": {"pitch": 3.0}, "steps": {"steps": 1}, "guidance": {"emotion": "sad", "guidance": 2.0},
            "sad": {"emotion": "sad"}, "markup": {"input": "[sad]Yes.[/]"}, "voice": {"voice": "max"},
        }.items()
    }  # fmt: skip
    assert len(set(pcm.values())) == len(pcm) - 1 and pcm["sad"] == pcm["markup"]


def test_fields_of_other_servers_are_passed_over_and_named(address: str) -> None:
    reply = told(address, lang_code="a", volume_multiplier=1.0, user="ü")
    assert reply.headers["x-emotts-ignored"] == "lang_code, user, volume_multiplier"
    assert "x-emotts-ignored" not in told(address).headers


def test_voices_and_models_are_listed_and_openais_names_work(address: str, client: openai.OpenAI) -> None:
    listed = get(f"{address}/v1/audio/voices").json()
    names = {voice["id"] for voice in listed["voices"]}
    assert listed["default"] in names and set(listed["aliases"].values()) <= names
    assert set(listed["aliases"]) == {
        "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
    }  # fmt: skip
    for alias, voice in listed["aliases"].items():
        assert told(address, voice=alias).headers["x-emotts-voice"] == voice
    assert {model.id for model in client.models.list()} >= {"emotts", "tts-1"}
    assert client.models.retrieve("tts-1").owned_by == "emotts"
    with pytest.raises(openai.NotFoundError, match="model must be one of"):
        client.audio.speech.create(model="whisper-1", voice="heart", input=SHORT)


def test_emotions_are_listed(address: str) -> None:
    listed = get(f"{address}/v1/audio/emotions").json()
    assert {"id": "sad", "arousal": -0.27, "valence": -0.63, "dominance": -0.33, "also": ["sadness"]} in listed[
        "emotions"
    ]
    assert "delight" in listed["blends"] and "rise" in listed["timelines"]


def test_openai_clients_get_errors_as_openai_sends_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="heart", input=SHORT, speed=4.0)
    assert caught.value.body == {
        "message": "speed must be a number from 0.4 to 2.5; got 4.0.", "type": "invalid_request_error",
        "param": "speed", "code": "bad_request",
    }  # fmt: skip


def post(address: str, route: str, path: Path, **fields: object) -> httpx.Response:
    return httpx.post(
        f"{address}/v1/audio/{route}", files={"file": (path.name, path.read_bytes())}, data=fields, timeout=60
    )


def test_a_recording_is_heard(address: str, spoken: Path) -> None:
    told = post(address, "hear", spoken).json()
    assert told["judge"] == "recognizer" and told["duration_s"] == pytest.approx(
        soundfile.info(spoken).duration, abs=1e-3
    )
    assert sum(told["heard"]["labels"].values()) == pytest.approx(1.0, abs=1e-2)
    assert all(-1 <= told["heard"][name] <= 1 for name in ("arousal", "valence", "dominance"))
    assert len(told["windows"]) >= 2 and "windows" not in post(address, "hear", spoken, windows="false").json()


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_is_converted(address: str, tts: EmoTTS, spoken: Path, tmp_path: Path, name: str) -> None:
    reply = post(address, "convert", spoken, emotion="angry:0.8", seed=3, response_format=name)
    assert reply.status_code == 200, reply.text
    waveform, rate = samples(reply.content, name)
    assert rate == RATE and len(waveform) / rate == pytest.approx(soundfile.info(spoken).duration, abs=0.1)
    assert reply.headers["x-emotts-emotion"] == "angry:0.8" and reply.headers["x-emotts-seed"] == "3"
    assert "x-emotts-source-emotion" in reply.headers and reply.headers["x-synthetic"] == "true"
    if name == "flac":
        path = tmp_path / "a.flac"
        path.write_bytes(reply.content)
        found = read_provenance(path)
        assert found is not None and found.kind == "conversion" and found.consent is None
        assert found.source is not None and found.source.name == "spoken.wav"
        expected = tts.convert(spoken, emotion="angry:0.8", seed=3).waveform
        assert np.abs(waveform - np.clip(expected, -1, 1)).max() < 2 / 32_768


def test_conversions_options_have_their_effect(address: str, spoken: Path) -> None:
    def pcm(**fields: object) -> bytes:
        reply = post(address, "convert", spoken, seed=1, response_format="pcm", **fields)
        assert reply.status_code == 200, reply.text
        return reply.content

    found = [
        pcm(emotion="sad"), pcm(emotion="sad", strength=0.5), pcm(emotion="sad", pitch=2), pcm(emotion="sad", voice="nova"),
        pcm(arousal=0.8), pcm(emotion="sad", retime="true"), pcm(emotion="sad", source_emotion="angry"),
    ]  # fmt: skip
    assert len(set(found)) == len(found) and len(found[5]) != len(found[0])


def test_a_persons_voice_needs_consent_and_the_file_says_so(address: str, spoken: Path, tmp_path: Path) -> None:
    waveform, rate = soundfile.read(spoken)
    person = tmp_path / "person.wav"
    soundfile.write(person, waveform, rate)  # without the metadata, nobody knows that a model spoke
    refused = post(address, "convert", person, emotion="sad")
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "consent_required"
    done = tmp_path / "done.wav"
    done.write_bytes(post(address, "convert", person, emotion="sad", consent="true", response_format="wav").content)
    found = read_provenance(done)
    assert found is not None and found.consent == "stated"


def test_the_server_answers_while_the_model_speaks(tts: EmoTTS, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock is asked: the model does not go on before the server has answered others."""
    speak, begun, answered = tts.speak, threading.Event(), threading.Event()

    def held(text: str, request: Any) -> Iterator[Chunk]:
        begun.set()
        assert answered.wait(300)
        yield from speak(text, request)

    monkeypatch.setattr(tts, "speak", held)
    replies: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: replies.append(told(address)))
    asking.start()
    try:
        assert begun.wait(60)
        assert get(f"{address}/healthz").json() == {"status": "alive"}
        assert get(f"{address}/v1/audio/voices").status_code == 200
    finally:
        answered.set()
        asking.join()
    assert len(replies) == 1


def test_the_server_answers_under_load(address: str) -> None:
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            httpx.post(f"{address}/v1/audio/speech", json={"input": LONG}, timeout=60)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    times = []
    try:
        with httpx.Client(timeout=60) as probe:
            for _ in range(20):
                start = time.perf_counter()
                assert probe.get(f"{address}/healthz").json() == {"status": "alive"}
                times.append(time.perf_counter() - start)
                time.sleep(0.1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert float(np.median(times)) < 2.0  # milliseconds where nobody else computes


def test_metrics_are_text_of_prometheus(address: str) -> None:
    before = get(f"{address}/metrics").text
    told(address)
    reply = get(f"{address}/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")

    def value(text: str, name: str) -> float:
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)), 0.0)

    ok, spoken = (
        'emotts_requests_total{route="/v1/audio/speech",status="200"}',
        'emotts_audio_seconds_total{kind="speech"}',
    )
    assert value(reply.text, ok) == value(before, ok) + 1
    assert value(reply.text, spoken) > value(before, spoken)
    assert value(reply.text, "emotts_queue_length") == 0
    seconds = 'emotts_request_seconds_{}{{route="/v1/audio/speech"{}}}'
    assert (
        value(reply.text, seconds.format("count", "")) == value(reply.text, seconds.format("bucket", ',le="+Inf"')) > 0
    )


def test_the_description_asks_nothing_of_other_machines(address: str) -> None:
    described = get(f"{address}/openapi.json")
    assert set(described.json()["paths"]) == {
        "/v1/audio/speech", "/v1/audio/convert", "/v1/audio/hear", "/v1/audio/voices", "/v1/audio/emotions",
        "/v1/models", "/v1/models/{model}", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    assert "http" not in described.text.replace("HTTPValidationError", "")
    for page in ("/docs", "/redoc", "/"):
        assert get(f"{address}{page}").status_code == 404
