"""Speak from exported networks with numpy and ONNX Runtime alone: phonemes and an emotion come in, a WAV file goes out.

`emotts export --onnx FOLDER` puts this file beside the networks. It shows the whole way in one place; what `emotts synthesize` has
besides (markup, time lines, guidance, conversion) is not here.

  python FOLDER/speak.py "h ə l ˈoʊ | ð ˈɛ ɹ" --emotion happy:0.8 -o hello.wav
"""

import argparse
import json
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Noise = Callable[[tuple[int, ...]], np.ndarray]


class Voice:
    """The exported networks of one folder."""

    def __init__(self, folder: str | Path, number_format: str = "float32") -> None:
        """Open a folder; `number_format` "int8" takes 8-bit graphs where there are any.

        Raises:
            FileNotFoundError: no export there.
        """
        import onnxruntime

        self.folder = Path(folder)
        if not (self.folder / "emotts.json").is_file():
            raise FileNotFoundError(f"{str(folder)!r} holds no emotts.json; make it with `emotts export --onnx`.")
        self.index = json.loads((self.folder / "emotts.json").read_text(encoding="utf-8"))
        self.constants = {name: np.array(value, np.float32) for name, value in self.index["constants"].items()}
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._graphs: dict[str, Any] = {}
        for graph in self.index["graphs"]:
            files = graph["files"]
            path = self.folder / files.get(number_format, files["float32"])["file"]
            self._graphs[graph["name"]] = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )

    def run(self, graph: str, **inputs: np.ndarray) -> list[np.ndarray]:
        """Run a graph; inputs are those that emotts.json names."""
        return self._graphs[graph].run(None, inputs)

    def tokens_of(self, phonemes: str) -> list[str]:
        """Split IPA, sounds by blanks and words by |, into tokens with silence at both ends.

        Raises:
            ValueError: a sound is not in the alphabet.
        """
        words = [word.split() for word in phonemes.split("|")]
        tokens = ["<sil>", *(token for i, word in enumerate(words) for token in ([" "] if i else []) + word)]
        known = set(self.index["phonemes"])
        for token in tokens:
            if token.lstrip("ˈˌ") not in known:
                raise ValueError(f"{token!r} is no sound of the model; it knows {' '.join(sorted(known))}.")
        return [*tokens, "<sil>"]

    def asked(self, label: str, intensity: float, n_tokens: int) -> dict[str, np.ndarray]:
        """Return the inputs of the graph `emotion` for one label, which brings its arousal, valence and dominance."""
        names = list(self.index["labels"])
        if label not in names:
            raise ValueError(f"the emotion must be one of {', '.join(names)}; got {label!r}.")
        curve = np.array(self.index["intensity_curves"].get(label, [[0.0, 0.0], [2.0, 2.0]])).T
        weight = 0.0 if label == "neutral" else float(np.interp(intensity, *curve))
        labels = np.zeros((1, n_tokens, len(names)), np.float32)
        labels[:, :, names.index(label)] = weight
        avd = np.clip(weight * np.array(self.index["labels"][label]), -1.0, 1.0)
        return {
            "labels": labels,
            "label_known": np.ones((1, n_tokens), bool),
            "avd": np.broadcast_to(avd.astype(np.float32), (1, n_tokens, 3)).copy(),
            "avd_known": np.ones((1, n_tokens, 3), bool),
        }

    def speak(
        self,
        tokens: Sequence[str],
        voice: str,
        emotion: dict[str, np.ndarray],
        seed: int = 0,
        noise: Noise | None = None,
        vocoder_seed: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Speak tokens [N]; return the waveform [L] and the mel [T, M].

        Args:
            voice: a name of emotts.json. emotion: inputs of the graph `emotion`.
            seed: draws the noise; the numbers are not those that emotts draws from it.
            noise: draws standard normal noise of a shape in its place. vocoder_seed: in place of what `seed` gives.
        """
        chance = np.random.default_rng(seed)
        draw: Noise = noise or chance.standard_normal
        index, c, defaults = self.index, self.constants, self.index["defaults"]
        names = [card["name"] for card in index["voices"]]
        n = len(tokens)
        token_mask = np.ones((1, n), bool)
        ids = [split_stress(token) for token in tokens]
        text = {
            "phonemes": np.array([[index["phonemes"].index(sound) for _, sound in ids]]),
            "stresses": np.array([[index["stresses"].index(stress) for stress, _ in ids]]),
            "token_mask": token_mask,
            **({"language": np.zeros(1, np.int64)} if index["languages"] else {}),
        }
        (content,) = self.run("text_encoder", **text)
        speaker, register = self.run("voice", voice=np.array([names.index(voice)]))
        (feeling,) = self.run("emotion", **emotion)
        told = {"speaker": speaker, "emotion": feeling}

        mean, hidden = self.run("prosody_prior", content=content, **told, token_mask=token_mask)
        x = self._flow(
            "prosody_step", draw(mean.shape) * defaults["prosody_temperature"], defaults["prosody_steps"],
            hidden=hidden, **told, token_mask=token_mask,
        )  # fmt: skip
        raw = (mean + c["feature_residual_std"] * x) * c["feature_std"] + c["feature_mean"]
        raw[..., 1:3] += register[:, None, None]
        least = np.array([token not in index["pauses"] for token in tokens])
        frames = np.maximum(np.exp(raw[0, :, 0]) - c["duration_offset"], least)
        borders = np.round(np.cumsum(frames.astype(np.float32), dtype=np.float32))
        durations = np.maximum(np.diff(borders, prepend=0.0), least).astype(np.int64)[None]
        n_frames = int(durations.sum())
        frame_mask = np.ones((1, n_frames), bool)
        contour = contour_of(raw[0, :, 1:3], durations[0], n_frames)[None]
        relative = (contour - register[:, None]).astype(np.float32)
        (fine,) = self.run(
            "frames", hidden=hidden, speaker=speaker, durations=durations, contour=relative, frame_mask=frame_mask
        )
        log_f0 = contour + 0.1 * np.clip(fine[..., 1], -3.0, 3.0)
        f0 = np.where(fine[..., 0] > 0.0, np.clip(np.exp2(log_f0), c["f0_min"], c["f0_max"]), 0.0).astype(np.float32)
        energy = ((raw[..., 3] - c["feature_mean"][3]) / c["feature_std"][3]).astype(np.float32)

        rows, prior, summary = self.run(
            "trunk", content=content, **told, durations=durations, f0=f0, energy=energy, mean_log_f0=register,
            token_mask=token_mask, frame_mask=frame_mask,
        )  # fmt: skip
        x = self._flow(
            "mel_step", draw(prior.shape) * defaults["temperature"], defaults["steps"],
            prior=prior, rows=rows, condition=summary, frame_mask=frame_mask,
        )  # fmt: skip
        mel = (prior + c["mel_residual_std"] * x) * c["mel_std"] + c["mel_mean"]
        mel = (mel + index["voices"][names.index(voice)]["level_db"] * np.log(10.0) / 20.0).astype(np.float32)
        drawn = int(chance.integers(2**31)) if vocoder_seed is None else vocoder_seed
        (waveform,) = self.run("vocoder", mel=mel, f0=f0, seed=np.array([drawn]))
        return waveform[0], mel[0]

    def _flow(self, graph: str, noise: np.ndarray, steps: int, **inputs: np.ndarray) -> np.ndarray:
        """Integrate a flow from noise by Euler's method in equal steps."""
        x: Any = noise.astype(np.float32)
        for step in range(steps):
            t = np.full(len(x), step / steps, np.float32)
            x = x + self.run(graph, x_t=x, t=t, **inputs)[0] / np.float32(steps)
        return x


def split_stress(token: str) -> tuple[str, str]:
    """Return the stress mark and the sound of a token."""
    return (token[0], token[1:]) if token[0] in "ˈˌ" else ("", token)


def contour_of(anchors: np.ndarray, durations: np.ndarray, n_frames: int) -> np.ndarray:
    """Join the F0 anchors of tokens [N, 2], at a quarter and three quarters of each, into a line [T]."""
    spoken = durations > 0
    start = np.cumsum(durations) - durations
    times = np.stack([start + 0.25 * durations, start + 0.75 * durations], axis=-1)[spoken].ravel()
    return np.interp(np.arange(n_frames) + 0.5, times, anchors[spoken].ravel())


def main() -> None:
    """Speak to a file."""
    parser = argparse.ArgumentParser(description="Speak from exported networks, without torch.")
    parser.add_argument("phonemes", help='IPA: sounds apart by blanks, words by "|", such as "h ə l ˈoʊ"')
    parser.add_argument("--voice", help="a name of emotts.json")
    parser.add_argument("--emotion", default="neutral", help="LABEL or LABEL:INTENSITY, such as happy:0.8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--int8", action="store_true", help="take 8-bit graphs where there are any")
    parser.add_argument("-o", "--output", default="out.wav")
    arguments = parser.parse_args()
    voice = Voice(Path(__file__).resolve().parent, "int8" if arguments.int8 else "float32")
    tokens = voice.tokens_of(arguments.phonemes)
    label, _, intensity = arguments.emotion.partition(":")
    asked = voice.asked(label, float(intensity or 1.0), len(tokens))
    waveform, _ = voice.speak(tokens, arguments.voice or voice.index["defaults"]["voice"], asked, arguments.seed)
    with wave.open(arguments.output, "wb") as file:
        file.setparams((1, 2, voice.index["audio"]["sample_rate"], 0, "NONE", ""))
        file.writeframes((np.clip(waveform, -1.0, 1.0) * 32_767).astype("<i2").tobytes())
    print(f"{arguments.output}: {len(waveform) / voice.index['audio']['sample_rate']:.2f} s")


if __name__ == "__main__":
    main()
