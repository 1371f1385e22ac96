"""Files that come by the named endpoints: what a client sent comes in, the path of a file that it uploaded goes out.

Gradio checks what its own components are given; what an endpoint is given it hands on as it came.
"""

from pathlib import Path

from gradio.data_classes import FileData, FileDataDict
from gradio.utils import get_upload_folder


def uploaded(sent: object, what: str) -> str:
    """Return the path of an uploaded file.

    Args:
        sent: as `gradio_client.handle_file` sends it. what: its name in messages.

    Raises:
        ValueError: it is no file, or none that was uploaded.
    """
    path = sent.get("path") if isinstance(sent, dict) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{what} must be a file; got {type(sent).__name__}. Send it by gradio_client's handle_file.")
    place = Path(path).resolve()
    if not place.is_relative_to(Path(get_upload_folder()).resolve()) or not place.is_file():
        raise ValueError(
            f"{what} must be a file that was uploaded; got another. Send it by gradio_client's handle_file."
        )
    return str(place)


def sent_back(path: str) -> FileDataDict:
    """Return a file as clients fetch it."""
    told: FileDataDict = FileData(path=path, orig_name=Path(path).name).model_dump()
    return told
