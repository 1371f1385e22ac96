"""POST /v1/audio/convert and /v1/audio/hear: an uploaded recording comes in; it goes out in another feeling or voice, or what a
judge hears in it does. An upload lives in a private folder for as long as its request.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import Response

from emotts.conversion.reading import chunks_of
from emotts.conversion.request import ConversionRequest
from emotts.conversion.result import Report
from emotts.provenance import is_of_person
from emotts.server.asking import asked_of_conversion, header
from emotts.server.encoding import STREAMED, Encoder, media_type
from emotts.server.errors import ApiError, about, about_first_word
from emotts.server.fields import ConvertForm, HearForm
from emotts.server.guard import RecordingFacts, check_recording
from emotts.server.replies import SoundStream, while_there
from emotts.server.service import Service
from emotts.server.speaking import encoded
from emotts.server.wiring import ERRORS, SOUND, the_service
from emotts.server.worker import Job, Piece

router = APIRouter()
MAX_NAME_CHARS = 80
NEEDS_CONSENT = (
    "consent must be true: the voice in this recording belongs to a person, who has to agree. "
    "Say that the result is synthetic."
)


@dataclass(frozen=True)
class Upload:
    """A recording in a private folder of its own."""

    path: Path
    facts: RecordingFacts


@dataclass(frozen=True)
class Prepared:
    """A checked conversion."""

    upload: Upload
    request: ConversionRequest
    consent: str | None
    headers: dict[str, str]


@router.post("/v1/audio/convert", responses={200: SOUND, **ERRORS}, response_class=Response)
async def convert(
    request: Request, form: Annotated[ConvertForm, Form()], service: Annotated[Service, Depends(the_service)]
) -> Response:
    """Convert a recording to another feeling, another voice, or both."""
    timeout_s = service.limits.timeout_s
    job = service.worker.admit()
    try:
        asked, reply = await while_there(request.receive, _begun(job, form, service), timeout_s)
        if isinstance(reply, Piece):
            return SoundStream(job, reply, media_type(form.response_format), asked.headers, timeout_s)
        job.close()
        return Response(reply, media_type=media_type(form.response_format), headers=asked.headers)
    except BaseException:
        job.close()
        raise


async def _begun(job: Job, form: ConvertForm, service: Service) -> tuple[Prepared, Piece | bytes]:
    """Return what is asked, and the first piece of a stream, or a whole file."""
    name, converter = form.response_format, service.tts.converter

    def begin() -> tuple[Prepared, Piece]:
        asked = prepare(form, service, job)
        provenance = converter.provenance(asked.request, asked.upload.path, asked.consent)
        encoder = Encoder(name, provenance.to_metadata(), name in STREAMED)
        report = Report()
        chunks = converter.pieces(asked.upload.path, asked.request, report=report)
        first = job.begin(encoded(chunks, encoder, service, "conversion"))
        if report.source is not None:
            asked.headers["X-Emotts-Source-Emotion"] = header(str(report.source.emotion))
        return asked, first

    asked, first = await job.run(begin)
    return asked, (first if name in STREAMED else await job.whole(first))


@router.post("/v1/audio/hear", responses=ERRORS)
async def hear(
    request: Request, form: Annotated[HearForm, Form()], service: Annotated[Service, Depends(the_service)]
) -> dict[str, Any]:
    """Say what the recogniser hears in a recording: labels, arousal, valence, dominance, of all and of every half second."""
    job = service.worker.admit()
    try:
        work = job.run(lambda: _heard(form, service, job))
        return await while_there(request.receive, work, service.limits.timeout_s)
    finally:
        job.close()


def prepare(form: ConvertForm, service: Service, job: Job) -> Prepared:
    """Check a conversion and its recording.

    Raises:
        ApiError: 400 or 413, the field that is wrong. ValueError: fields that do not go together.
    """
    asked = asked_of_conversion(form, service.voices)
    upload = received(form.file, service, job)
    with about_first_word(ConvertForm):
        request = service.tts.conversion(**asked.options)
    is_person = is_of_person(upload.path)
    if is_person and not form.consent:
        raise ApiError(400, NEEDS_CONSENT, "consent", "consent_required")
    told = {
        "X-Synthetic": "true",
        "X-Emotts-Seed": str(request.seed),
        "X-Emotts-Voice": header(request.voice),
        "X-Emotts-Emotion": header(str(request.asked) if request.asked else _moves(request)),
    }
    return Prepared(upload, request, "stated" if is_person else None, told | asked.headers)


def received(file: UploadFile, service: Service, job: Job) -> Upload:
    """Put an upload into a private folder, which is removed at the end of the job, and check what it holds.

    Raises:
        ApiError: 413, it is too large; 400, it is no recording, or too long.
    """
    limit = service.limits.max_upload_bytes
    if (file.size or 0) > limit:
        raise ApiError(413, f"file must have at most {limit / 1e6:g} MB; got {(file.size or 0) / 1e6:.1f} MB.", "file")
    folder = Path(tempfile.mkdtemp(prefix="emotts-upload-"))
    job.at_end(partial(shutil.rmtree, folder, ignore_errors=True))
    path = folder / safe_name(file.filename)
    with open(path, "wb") as copy:
        shutil.copyfileobj(file.file, copy)
    with about("file"):
        return Upload(path, check_recording(path, service.limits))


def safe_name(name: str | None) -> str:
    """Return the bare name of an upload, of harmless characters; a client may send anything as one."""
    bare = PurePosixPath(PureWindowsPath(name or "").name).name
    bare = re.sub(r"[^\w.-]", "_", bare).lstrip(".-")[-MAX_NAME_CHARS:].lstrip(".-")
    return bare if bare and not bare.lower().endswith((".raw", ".json")) else "recording"


def _heard(form: HearForm, service: Service, job: Job) -> dict[str, Any]:
    upload = received(form.file, service, job)
    rate = service.tts.sample_rate
    with about("file"):
        waveform = np.concatenate(list(chunks_of(upload.path)))
        judge = service.tts.resolver.recognizer
        heard = judge.hear(waveform, rate)
        windows = judge.windows(waveform, rate) if form.windows else []
    service.metrics.audio_s["heard"] += upload.facts.duration_s
    told = {"judge": judge.name, "duration_s": round(upload.facts.duration_s, 3), "heard": heard.to_dict()}
    return told | ({"windows": [window.to_dict() for window in windows]} if form.windows else {})


def _moves(request: ConversionRequest) -> str:
    return ",".join(f"{name}={value:g}" for name, value in request.moved) or "as it was"
