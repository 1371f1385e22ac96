"""What a client is told when something is wrong: any error comes in, OpenAI's {"error": {...}} goes out, without paths."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from emotts.server.guard import UNSAID, sentence

LOG = logging.getLogger("emotts.server")
NOT_FIELDS = ("body", "query", "path", "as text", "in parts")
STOCK = {  # messages of the frameworks
    "Not Found": "there is nothing at this address; /openapi.json lists what there is.",
    "Method Not Allowed": "this address takes another method; /openapi.json lists what there is.",
    "There was an error parsing the body": "the body cannot be read; send JSON in UTF-8, or a form with a file.",
}
CLIENT_GONE = 499  # as nginx writes it down; nobody is there to read it
CODES = {
    400: "bad_request", 401: "invalid_api_key", 404: "not_found", 405: "method_not_allowed", 408: "request_timeout",
    413: "too_large", 429: "queue_full", 500: "server_error", 504: "timeout",
}  # fmt: skip


class ApiError(HTTPException):
    """A refusal or a failure with all that OpenAI's clients are told of it."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers) if headers else None)
        self.param, self.code = param, code


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


@contextmanager
def about(param: str) -> Iterator[None]:
    """Turn a ValueError into a refusal that names the field."""
    try:
        yield
    except ValueError as error:
        raise ApiError(400, sentence(error), param) from error


@contextmanager
def about_first_word(body: type[BaseModel]) -> Iterator[None]:
    """Turn a ValueError into a refusal that names the field with which its message begins, if one does."""
    try:
        yield
    except ValueError as error:
        word = str(error).split(" ", 1)[0].rstrip(":")
        raise ApiError(400, sentence(error), word if word in body.model_fields else None) from error


def error_reply(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the reply of an error."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    told = {"message": message, "type": kind, "param": param, "code": code or CODES.get(status, "error")}
    return JSONResponse({"error": told}, status, dict(headers) if headers else None)


def add_handlers(app: FastAPI) -> None:
    """Let an app answer every error in the same shape."""

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> Response:
        param, code = getattr(error, "param", None), getattr(error, "code", None)
        message = STOCK.get(str(error.detail), str(error.detail))
        return error_reply(error.status_code, message, param, code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        message, param = first_problem(error.errors())
        return error_reply(400, message, param)

    @app.exception_handler(ValueError)
    async def mistake(_: Request, error: ValueError) -> Response:
        return error_reply(400, sentence(error))

    @app.exception_handler(ClientGoneError)
    async def gone(_: Request, error: ClientGoneError) -> Response:
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return error_reply(500, UNSAID)


def first_problem(problems: Any) -> tuple[str, str | None]:
    """Return one sentence on the first thing that is wrong with a body, and the name of the field."""
    problem = problems[0]
    place = [str(part) for part in problem["loc"] if part not in NOT_FIELDS]
    is_json = problem["type"] == "json_invalid"
    param = None if is_json or not place else place[0][:64]
    said = str(problem["msg"]).removeprefix("Value error, ")
    if is_json:
        said = f"the body must be JSON; {problem.get('ctx', {}).get('error', 'it is not')}."
    elif problem["type"] == "missing":
        said = f"{'.'.join(place) or 'the body'} must be given."
    elif problem["type"] != "value_error":
        said = f"{'.'.join(place) or 'the body'}: {said[:1].lower()}{said[1:]}; got {problem.get('input')!r:.60}."
    return sentence(ValueError(said)), None if param is None else sentence(ValueError(param))
