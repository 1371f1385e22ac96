"""What can be asked for, and how the server is: voices, emotions, models; alive, ready, counts."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from emotts.emotion.dyads import DYADS
from emotts.emotion.labels import ALIASES, AVD_MEANS, DIMENSIONS, MAX_INTENSITY
from emotts.emotion.timeline import PRESETS
from emotts.server.service import Service
from emotts.server.voices import MODEL, OPENAI_MODELS, aliases, check_model
from emotts.server.wiring import errors, the_service

router = APIRouter()
The = Annotated[Service, Depends(the_service)]
REFUSED = errors(401)


@router.get("/v1/audio/voices", responses=REFUSED)
async def voices(service: The) -> dict[str, Any]:
    """List the voices, and which of them answers to each of OpenAI's names."""
    rows = [
        {"id": card.name, "name": card.name, "gender": card.gender, "accent": card.accent, "licence": card.licence,
         "description": card.description}
        for card in service.tts.voices
    ]  # fmt: skip
    return {"voices": rows, "default": service.tts.default_voice, "aliases": aliases(service.voices)}


@router.get("/v1/audio/emotions", responses=REFUSED)
async def emotions() -> dict[str, Any]:
    """List the labels with their place in arousal, valence and dominance, and what else `emotion` and `timeline` may name."""
    rows = [
        {"id": label, **dict(zip(DIMENSIONS, place, strict=True)),
         "also": sorted(alias for alias, name in ALIASES.items() if name == label)}
        for label, place in AVD_MEANS.items()
    ]  # fmt: skip
    return {"emotions": rows, "max_intensity": MAX_INTENSITY, "blends": sorted(DYADS), "timelines": sorted(PRESETS)}


@router.get("/v1/models", responses=REFUSED)
async def models() -> dict[str, Any]:
    """List the names of the one model, OpenAI's among them."""
    return {"object": "list", "data": [_model(name) for name in (MODEL, *OPENAI_MODELS)]}


@router.get("/v1/models/{model}", responses=errors(401, 404))
async def model(model: str) -> dict[str, Any]:
    """Describe one of the names."""
    check_model(model)
    return _model(model)


@router.get("/healthz")
async def health() -> dict[str, str]:
    """Say that the server is alive."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "the model is not ready"}})
async def readiness(service: The) -> Response:
    """Say whether the model speaks."""
    return JSONResponse({"status": "ready" if service.is_ready else "loading"}, 200 if service.is_ready else 503)


@router.get("/metrics", response_class=PlainTextResponse, responses=REFUSED)
async def metrics(service: The) -> Response:
    """Give the counts as Prometheus reads them."""
    return PlainTextResponse(service.metrics.text(service.worker.queue_length), media_type="text/plain; version=0.0.4")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "emotts"}
