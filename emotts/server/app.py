"""The app as a whole: a model and limits come in, an ASGI app goes out that speaks OpenAI's language."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from emotts import __version__
from emotts.pipeline import EmoTTS
from emotts.server import listing, recordings, speaking
from emotts.server.errors import add_handlers
from emotts.server.limits import Limits
from emotts.server.middleware import BodyGuard, Counted, TokenGuard
from emotts.server.service import Service
from emotts.server.voices import MODEL, OPENAI_MODELS, aliases
from emotts.server.worker import Worker

STALL_S = 10.0  # within the body of a request


def create_app(
    tts: EmoTTS,
    limits: Limits | None = None,
    token: str | None = None,
    cors: Sequence[str] = (),
    stall_s: float = STALL_S,
    hosts: Sequence[str] = ("*",),
) -> FastAPI:
    """Return the app; it warms the model up when it is started.

    Args:
        tts: the model that speaks, on any device.
        token: that a client must bring; None lets everybody in.
        cors: origins whose pages may call, such as "https://example.org"; none by default.
        stall_s: longest pause within the body of a request.
        hosts: names by which it may be asked; on a loopback address those of this machine, so that no page elsewhere whose name
            was bent to it is answered.
    """
    service = Service(tts, limits or Limits(), worker := Worker(limits or Limits()))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        worker.submit(service.warm_up)
        yield
        worker.close()

    app = FastAPI(
        title="emotts", version=__version__, description="Emotional speech behind OpenAI's interface.", lifespan=life,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    for part in (speaking, recordings, listing):
        app.include_router(part.router)
    add_handlers(app)
    app.add_middleware(BodyGuard, worker=worker, stall_s=stall_s)
    if token is not None:
        app.add_middleware(TokenGuard, token=token)
    if cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(cors), allow_methods=["GET", "POST"], allow_headers=["*"],
            expose_headers=["*"],
        )  # fmt: skip
    if "*" not in hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(Counted, metrics=service.metrics)
    app.openapi = lambda: _described(app, service)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI, service: Service) -> dict[str, Any]:
    """Describe the interface: a bad request is 400, never FastAPI's 422; lengths, models and voices are those of here."""
    described = FastAPI.openapi(app)
    speech, form = (described["components"]["schemas"][name]["properties"] for name in ("SpeechBody", "ConvertForm"))
    speech["input"]["maxLength"] = service.limits.max_text_chars
    speech["model"]["enum"] = [MODEL, *OPENAI_MODELS]
    for voice in (speech["voice"], form["voice"]):
        voice["anyOf"][0]["enum"] = sorted({*service.voices, *aliases(service.voices)})
    for operations in described["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    return described
