"""Files of a take to keep: the same sound in three formats, each with its provenance, and everything known of it as JSON."""

import json

import gradio as gr

from emotts.speech import Result

from .engine import Engine
from .takes import Take

FORMATS = ("wav", "flac", "mp3")


def download_row(prefix: str) -> list[gr.DownloadButton]:
    """Build one button per file, in the order of `download_files`; they rest until there is something."""
    with gr.Row(elem_classes="emotts-downloads"):
        return [
            gr.DownloadButton(name.upper(), size="sm", interactive=False, elem_id=f"{prefix}-{name}", min_width=70)
            for name in (*FORMATS, "json")
        ]


def download_files(engine: Engine, take: Take, result: Result) -> list[str]:
    """Write the files of a take and return their paths; the WAV is there already."""
    paths = [take.path]
    for name in FORMATS[1:]:
        paths.append(engine.save(result, f"emotts.{name}"))
    facts = engine.new_file("emotts.json")
    told = take.facts | ({"provenance": result.provenance.to_dict()} if result.provenance else {})
    facts.write_text(json.dumps(told, indent=2, default=str), encoding="utf-8")
    return [*paths, str(facts)]


def ready(paths: list[str]) -> list[gr.DownloadButton]:
    """Return the buttons with their files."""
    return [gr.DownloadButton(value=path, interactive=True) for path in paths]
