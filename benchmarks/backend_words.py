"""Count whether a backend loses words, on many more sentences than benchmarks/backends.py: python benchmarks/backend_words.py [N].

Sentences, voices and emotions take turns; plain and the others speak the same with the same seeds. Prints word error rates and the
difference to plain with a paired bootstrap over sentences. A quarter of an hour for 160 sentences on one core.
"""

import sys

import numpy as np
from speak_plan import count_errors, count_words
from speak_systems import ROOT

from emotts.emotion.labels import LABELS
from emotts.metrics.asr import Recogniser
from emotts.metrics.statistics import bootstrap_ratio
from emotts.pipeline import EmoTTS

BACKENDS = ("plain", "onnx", "int8")
SENTENCES = ROOT / "recipes" / "sentences" / "test.txt"
STRIDE, FIRST = 7, 3  # through the sentences, other ones than those of the other benchmarks


def main() -> int:
    n_sentences = int(sys.argv[1]) if len(sys.argv) > 1 else 160
    texts = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line.strip()]
    speakers, recogniser = {name: EmoTTS.from_pretrained(backend=name) for name in BACKENDS}, Recogniser(1)
    errors: dict[str, list[int]] = {name: [] for name in BACKENDS}
    words: list[int] = []
    for i in range(n_sentences):
        text = texts[(i * STRIDE + FIRST) % len(texts)]
        for name, tts in speakers.items():
            voice, label = tts.voices[i % len(tts.voices)].name, LABELS[(i // len(tts.voices)) % len(LABELS)]
            waveform = tts.synthesize(text, voice=voice, emotion=label, seed=i).waveform
            heard = recogniser.word_errors([waveform], [text])[0].to_dict()
            errors[name].append(count_errors(heard))
            if name == BACKENDS[0]:
                words.append(count_words(heard))
    for name in BACKENDS:
        change = bootstrap_ratio(np.subtract(errors[name], errors[BACKENDS[0]]).tolist(), words)
        told = " ".join(f"{100.0 * value:+.2f}" for value in (change.value, change.low, change.high))
        print(f"{name}: {100.0 * sum(errors[name]) / sum(words):.2f} % of {sum(words)} words; against plain {told}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
