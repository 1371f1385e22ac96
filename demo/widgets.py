"""What several tabs are made of: players, error messages, and the settings of everything that computes."""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from emotts.server.guard import sentence

from .stopping import StoppedError

MAX_SEED = 2**31 - 1
MODEL = "model"  # concurrency group of all that computes; one at a time
HEAVY: dict[str, Any] = {"concurrency_id": MODEL, "concurrency_limit": 1, "api_visibility": "private"}
LIGHT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
_log = logging.getLogger("emotts.demo")


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its errors turned into sentences that the page shows; the log keeps those that are ours."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def speaking_generator(*args: Any, **kwargs: Any) -> Any:
            try:
                yield from function(*args, **kwargs)
            except StoppedError:
                gr.Info("Stopped.", duration=4)
            except Exception as error:
                raise _as_told(error) from None

        return speaking_generator

    @functools.wraps(function)
    def speaking(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise _as_told(error) from None

    return speaking


def _as_told(error: Exception) -> gr.Error:
    if isinstance(error, gr.Error):
        return error
    if not isinstance(error, ValueError | FileNotFoundError):
        _log.error("a request failed", exc_info=error)
    return gr.Error(sentence(error), duration=12, print_exception=False)


def player(label: str, **options: Any) -> gr.Audio:
    """Return a player of a file; files keep their loudness, which arrays of floats would lose."""
    given = {"type": "filepath", "interactive": False, "buttons": ["download"], "format": None} | options
    return gr.Audio(label=label, **given)


def recorder(label: str, **options: Any) -> gr.Audio:
    """Return a field for a recording, from a file or the microphone, which writes WAV; it gives the path of the file as it came.

    With a format Gradio would decode what comes, through ffmpeg and whatever its length, before anybody can check it.
    """
    given: dict[str, Any] = {"sources": ["upload", "microphone"], "type": "filepath", "format": None, "buttons": []}
    return gr.Audio(label=label, **(given | options))
