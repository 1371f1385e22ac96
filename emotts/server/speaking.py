"""POST /v1/audio/speech: a text comes in, speech goes out as soon as its first part is spoken."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import Response

from emotts.emotion.spans import read_span
from emotts.pipeline import FIRST_MAX_CHARS
from emotts.provenance import Provenance
from emotts.request import Request as SpeechRequest
from emotts.server.asking import Asked, asked_of_speech, header
from emotts.server.encoding import STREAMED, Encoder, media_type
from emotts.server.errors import about, about_first_word
from emotts.server.fields import SpeechBody
from emotts.server.guard import check_text
from emotts.server.replies import EventStream, SoundStream, while_there
from emotts.server.service import Service
from emotts.server.voices import check_model
from emotts.server.wiring import ERRORS, SOUND, the_service
from emotts.server.worker import Job, Piece
from emotts.speech import Chunk
from emotts.text import text_to_segments

router = APIRouter()


@dataclass(frozen=True)
class Prepared:
    """A checked request for speech.

    Attributes:
        n_segments: of the text, each of which becomes a piece.
    """

    text: str
    request: SpeechRequest
    provenance: Provenance
    headers: dict[str, str]
    n_segments: int


@router.post("/v1/audio/speech", responses={200: SOUND, **ERRORS}, response_class=Response)
async def speech(
    request: Request, body: Annotated[SpeechBody, Body()], service: Annotated[Service, Depends(the_service)]
) -> Response:
    """Speak a text with an emotion."""
    check_model(body.model)
    timeout_s, receive = service.limits.timeout_s, request.receive
    job = service.worker.admit()
    try:
        asked, reply = await while_there(receive, _begun(job, body, service), timeout_s)
        if isinstance(reply, bytes):
            job.close()
            return Response(reply, media_type=media_type(body.response_format), headers=asked.headers)
        if body.stream_format == "sse":
            return EventStream(job, reply, len(body.input), asked.headers, timeout_s)
        return SoundStream(job, reply, media_type(body.response_format), asked.headers, timeout_s)
    except BaseException:
        job.close()
        raise


async def _begun(job: Job, body: SpeechBody, service: Service) -> tuple[Prepared, Piece | bytes]:
    """Return what is asked, and the first piece of a stream, or a whole file."""
    name, is_sse = body.response_format, body.stream_format == "sse"

    def begin() -> tuple[Prepared, Piece]:
        asked = prepare(body, service)
        encoder = Encoder(name, asked.provenance.to_metadata(), name in STREAMED and asked.n_segments > 1)
        chunks = service.tts.speak(asked.text, asked.request)
        return asked, job.begin(encoded(chunks, encoder, service, "speech", asked.n_segments))

    asked, first = await job.run(begin)
    if is_sse or (name in STREAMED and asked.n_segments > 1):
        return asked, first
    return asked, await job.whole(first)


def prepare(body: SpeechBody, service: Service) -> Prepared:
    """Check everything that a request asks.

    Raises:
        ApiError: 400, the field that is wrong. ValueError: fields that do not go together.
    """
    with about("input"):
        text = check_text(body.input, service.limits)
    asked: Asked = asked_of_speech(body, service.voices, service.tts.resolver)
    with about_first_word(SpeechBody):
        request = service.tts.request(**asked.options)
    segments = text_to_segments(text, first_max_chars=FIRST_MAX_CHARS, read_span=read_span)
    told = {
        "X-Synthetic": "true",
        "X-Emotts-Seed": str(request.seed),
        "X-Emotts-Voice": header(request.voice),
        "X-Emotts-Emotion": header("timeline" if request.timeline else str(request.asked)),
    }
    n_segments = sum(1 for _ in segments)
    return Prepared(text, request, service.tts.provenance(text, request), told | asked.headers, n_segments)


def encoded(
    chunks: Iterator[Chunk], encoder: Encoder, service: Service, kind: str, n_chunks: int | None = None
) -> Iterator[Piece]:
    """Yield the bytes of a file whose sound comes in chunks.

    Args:
        kind: of the sound, as the metrics count its seconds. n_chunks: how many are expected, where that is known.
    """
    held = b""
    for number, chunk in enumerate(chunks, 1):
        service.metrics.audio_s[kind] += len(chunk.waveform) / service.tts.sample_rate
        held += encoder.add(chunk.waveform)
        if number != n_chunks:  # the last goes with the end of the file, which the iterator tells at once
            yield Piece(held)
            held = b""
    yield Piece(held + encoder.close(), is_last=True)
