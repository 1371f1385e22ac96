"""How a route comes by the service, and what the description of the interface says of replies."""

from typing import Any

from fastapi import Request

from emotts.server.service import Service

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_TEXTS = {
    400: "the request cannot be meant so", 401: "the token is missing or wrong", 404: "there is no such model",
    408: "the body came too slowly", 413: "the body is too large", 429: "too many requests wait; see Retry-After",
    500: "something went wrong here", 504: "it took too long",
}  # fmt: skip
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
    for status, text in _TEXTS.items()
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
SOUND: dict[str, Any] = {
    "description": "sound, or events that carry it",
    "content": {
        "audio/mpeg": _BINARY, "audio/ogg": _BINARY, "audio/flac": _BINARY, "audio/wav": _BINARY, "audio/pcm": _BINARY,
        "text/event-stream": {"schema": {"type": "object", "properties": {"data": {"type": "string"}}}},
    },
}  # fmt: skip


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of some of the errors."""
    return {status: ERRORS[status] for status in statuses}


async def the_service(request: Request) -> Service:
    """Return the service of the app that a request came to."""
    service: Service = request.app.state.service
    return service
