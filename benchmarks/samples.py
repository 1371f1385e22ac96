"""Write a page to listen to: every category by two voices, arousal and valence in steps, with mel and F0 pictures.

    python benchmarks/samples.py                      # samples/index.html
    python benchmarks/samples.py --checkpoint runs/acoustic/last --output /tmp/page

The page is one file: clips (ogg, 1.5 MB at most) and pictures are inside, nothing is requested from elsewhere.
"""

import argparse
import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.labels import LABELS

ROOT = Path(__file__).resolve().parent.parent
TEXT = "I never thought that you would come back today."
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
VOICES = ("heart", "max")
MAX_CLIP_BYTES = 1_500_000
SEED = 1
MEL_FLOOR, MEL_CEILING = -7.0, 1.5  # natural log; one scale for all pictures
F0_FLOOR, F0_CEILING = 60.0, 600.0  # Hz, logarithmic
PX_PER_S, PICTURE_HEIGHT = 110.0, 100


@dataclass(frozen=True)
class Clip:
    """One card of the page: a title and what was said (a Result)."""

    title: str
    result: Any


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint folder; default: the bundled model")
    parser.add_argument("--output", type=Path, default=ROOT / "samples", help="folder of index.html")
    parser.add_argument("--text", default=TEXT)
    arguments = parser.parse_args()
    from emotts.pipeline import EmoTTS

    page, clip_bytes = build_page(EmoTTS.from_pretrained(arguments.checkpoint), arguments.text)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "index.html"
    path.write_text(page, encoding="utf-8")
    print(f"{path}: clips {clip_bytes / 1e6:.2f} MB, page {len(page) / 1e6:.2f} MB")
    return 0


def build_page(tts: Any, text: str) -> tuple[str, int]:
    """Return the page and the bytes of its clips.

    Raises:
        ValueError: the clips are larger than MAX_CLIP_BYTES.
    """
    available = [voice.name for voice in tts.voices]
    voices = ([v for v in VOICES if v in available] + [v for v in available if v not in VOICES])[: len(VOICES)]

    def speak(voice: str, **emotion: Any) -> Any:
        return tts.synthesize(text, voice=voice, seed=SEED, **emotion)

    def sweep(name: str) -> list[Clip]:
        still = {"arousal": 0.0, "valence": 0.0, "dominance": 0.0}
        return [Clip(f"{x:+.1f}" if x else "0", speak(voices[0], **{**still, name: x})) for x in STEPS]

    sections = [
        (f"Categories, {voice}", "Each at intensity 1.", [Clip(label, speak(voice, emotion=label)) for label in LABELS])
        for voice in voices
    ]
    sections.insert(1, ("Arousal", f"From calm to agitated, {voices[0]}; valence and dominance 0.", sweep("arousal")))
    sections.insert(
        2, ("Valence", f"From unpleasant to pleasant, {voices[0]}; arousal and dominance 0.", sweep("valence"))
    )
    cards, clip_bytes = [], 0
    for title, note, clips in sections:
        rendered = []
        for clip in clips:
            ogg = encode_ogg(clip.result.waveform)
            clip_bytes += len(ogg)
            rendered.append(card(clip, ogg))
        cards.append(
            f"<section><h2>{html.escape(title)}</h2><p>{html.escape(note)}</p>"
            f'<div class="grid">{"".join(rendered)}</div></section>'
        )
    if clip_bytes > MAX_CLIP_BYTES:
        raise ValueError(f"clips must take at most {MAX_CLIP_BYTES} bytes; they take {clip_bytes}. Shorten --text.")
    return PAGE.replace("%TEXT%", html.escape(text)).replace("%SECTIONS%", "\n".join(cards)), clip_bytes


def card(clip: Clip, ogg: bytes) -> str:
    """Return one card: title, F0 figures, picture, player."""
    result = clip.result
    voiced = result.f0[result.f0 > 0]
    figures = (f"{np.median(voiced):.0f} Hz, " if len(voiced) else "") + f"{result.duration_s:.1f} s"
    return (
        f"<figure><figcaption><b>{html.escape(clip.title)}</b> <span>{figures}</span></figcaption>"
        f'<div class="picture">{picture(result.mel, result.f0)}</div>'
        f'<audio controls preload="none" src="data:audio/ogg;base64,{base64.b64encode(ogg).decode()}"></audio></figure>'
    )


def picture(mel: np.ndarray, f0: np.ndarray) -> str:
    """Return an SVG: the mel [T, M] as an image in one ink of varying opacity, F0 [T] as lines over it."""
    width = len(f0) / SPEC.frame_rate * PX_PER_S
    image = base64.b64encode(mel_png(mel)).decode()
    octaves = np.log2(F0_CEILING / F0_FLOOR)
    lines = []
    for run in voiced_runs(f0):
        points = " ".join(
            f"{(t + 0.5) / SPEC.frame_rate * PX_PER_S:.1f},"
            f"{PICTURE_HEIGHT * (1.0 - np.log2(f0[t] / F0_FLOOR) / octaves):.1f}"
            for t in run
        )
        lines.append(f'<polyline points="{points}"/>')
    return (
        f'<svg viewBox="0 0 {width:.0f} {PICTURE_HEIGHT}" width="{width:.0f}" height="{PICTURE_HEIGHT}" role="img" '
        'aria-label="mel spectrogram with F0">'
        f'<image href="data:image/png;base64,{image}" width="{width:.0f}" height="{PICTURE_HEIGHT}" '
        f'preserveAspectRatio="none"/>{"".join(lines)}</svg>'
    )


def mel_png(mel: np.ndarray) -> bytes:
    """Return a PNG of half the frames, low bands at the bottom: one colour, the level as its opacity in 16 steps."""
    from PIL import Image

    level = np.clip((mel - MEL_FLOOR) / (MEL_CEILING - MEL_FLOOR), 0.0, 1.0)
    level = level[: len(level) // 2 * 2].reshape(-1, 2, level.shape[1]).mean(axis=1)  # [T, M] -> [T / 2, M]
    steps = np.rint(level.T[::-1] * 15).astype(np.uint8)
    image = Image.fromarray(steps, mode="P")
    image.putpalette([channel for _ in range(16) for channel in (47, 111, 143)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, bits=4, transparency=bytes(17 * i for i in range(16)))
    return buffer.getvalue()


def voiced_runs(f0: np.ndarray) -> list[np.ndarray]:
    """Return the frames of each voiced stretch of two frames or more."""
    frames = np.flatnonzero(f0 > 0)
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return [run for run in runs if len(run) > 1]


def encode_ogg(waveform: np.ndarray) -> bytes:
    """Return the waveform [L] as Ogg Vorbis."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1.0, 1.0), SPEC.sample_rate, format="OGG", subtype="VORBIS")
    return buffer.getvalue()


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>emotts: samples</title>
<style>
:root { color-scheme: light dark; --ground: #fbfaf8; --card: #fff; --ink: #20282e; --faint: #6b7780; --line: #e3e0da;
  --f0: #c8432b; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --card: #1c2226; --ink: #e8ebec; --faint: #97a3ab;
  --line: #2c343a; --f0: #ff8a6b; } .picture image { filter: brightness(1.7); } }
body { margin: 0 auto; max-width: 1180px; padding: 2.5rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 0; }
p { margin: .25rem 0 1rem; color: var(--faint); }
blockquote { margin: .75rem 0 0; font-size: 1.15rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: .9rem; }
figure { margin: 0; padding: .75rem .9rem .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; min-width: 0; }
figcaption { display: flex; justify-content: space-between; } figcaption span { color: var(--faint); font-size: .85rem;
  font-variant-numeric: tabular-nums; }
.picture { overflow: hidden; margin: .4rem 0; } svg { display: block; max-width: 100%; }
polyline { fill: none; stroke: var(--f0); stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
audio { width: 100%; height: 34px; }
</style></head><body>
<h1>emotts: samples</h1>
<blockquote>&ldquo;%TEXT%&rdquo;</blockquote>
<p>One sentence, one seed; only the emotion and the voice change. Pictures: mel spectrogram with F0
(60 to 600 Hz, logarithmic), all on one scale of time and level.</p>
%SECTIONS%
</body></html>
"""

if __name__ == "__main__":
    raise SystemExit(main())
