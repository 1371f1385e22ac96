"""Take the voice out of content: python recipes/erase_voice.py corpora='[runs/corpus,runs/crowd]' folder=runs/content/export.

The speech encoder hears utterances of many voices; what tells them apart, on average over an utterance, is projected out of its
content. Prints by how much frames change. Run it once, after recipes/train_content.py.
"""

from pathlib import Path

import numpy as np
import torch
import yaml
from omegaconf import DictConfig

from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.content.erasure import voice_projection
from emotts.content.listener import Listener
from emotts.content.speech_encoder import SpeechEncoder
from emotts.data.dataset import load_corpora
from emotts.text.symbols import is_pause


def heard(model: SpeechEncoder, config: DictConfig) -> tuple[list[np.ndarray], list[str]]:
    """Return the content of the spoken frames of utterances, each [T, C] in the network's units, and their voices."""
    listener, generator = Listener(model), np.random.default_rng(config.seed)
    rows, voices = [], []
    for corpus in load_corpora(config.corpora, "train", config.longest):
        taken: dict[str, int] = {}
        for i in generator.permutation(len(corpus)):
            row = corpus.rows[i]
            if taken.get(row.voice, 0) >= config.per_voice:
                continue
            taken[row.voice] = taken.get(row.voice, 0) + 1
            content = listener.hear_mel(torch.from_numpy(corpus.raw[i]["mel"].astype(np.float32))[None]).content[0]
            said = np.repeat([not is_pause(token) for token in row.phonemes], row.durations)
            content = (content - model.content_mean) / model.content_scale
            rows.append(content.numpy()[said[: len(content)]].astype(np.float64))
            voices.append(row.voice)
    return rows, voices


def main(config: DictConfig) -> None:
    folder = Path(config.folder)
    modules, metadata = load_checkpoint(folder)
    model = modules["speech_encoder"]
    assert isinstance(model, SpeechEncoder)
    model.kept.copy_(torch.eye(len(model.kept)))
    rows, voices = heard(model, config)
    frames = np.concatenate(rows)
    frames = frames[:: max(1, len(frames) // config.n_frames)]
    means = np.stack([row.mean(axis=0) for row in rows])
    projection = voice_projection(frames, means, voices, config.rank)
    centre = frames.mean(axis=0)
    taken = (frames - centre) @ (np.eye(len(projection)) - projection)
    share = float((taken**2).sum() / ((frames - centre) ** 2).sum())
    model.kept.copy_(torch.from_numpy(projection))
    model.centre.copy_(torch.from_numpy(centre))
    own = yaml.safe_load((folder / "config.yaml").read_text())["speech_encoder"]
    facts = metadata | {
        "erased": {"rank": config.rank, "voices": len(set(voices)), "share_of_variance": round(share, 4)}
    }
    save_checkpoint(folder, {"speech_encoder": (own, model)}, facts)
    print(
        f"{len(rows)} utterances of {len(set(voices))} voices; {100 * share:.1f} % of the variance of content taken out"
    )


if __name__ == "__main__":
    from start import run

    run("erase_voice")
