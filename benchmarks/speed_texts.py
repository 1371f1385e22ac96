"""The texts that speed is measured on: test sentences that no model has seen, and long texts made of them.

Where the front end is not installed (a GPU machine that has torch and this repository only), tokens come from
speed_tokens.json, which `python benchmarks/rtf.py --write-tokens` writes.
"""

import json
from pathlib import Path

SENTENCES = Path(__file__).resolve().parent.parent / "recipes" / "sentences" / "test.txt"
TOKENS = Path(__file__).resolve().parent / "speed_tokens.json"
SENTENCES_OF_A_LONG_TEXT = 12
SHORTEST = 30  # characters; what is shorter is an exclamation, whose fixed costs would weigh as much as a sentence's


def sentences(count: int) -> list[str]:
    """Return `count` test sentences, spread over the whole list.

    Raises:
        ValueError: there are not so many.
    """
    lines = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if len(line) >= SHORTEST]
    if count > len(lines):
        raise ValueError(f"sentences must be at most {len(lines)}; got {count}. See {SENTENCES}.")
    return [lines[i * len(lines) // count] for i in range(count)]


def long_texts(count: int) -> list[str]:
    """Return `count` texts of about 800 characters, each beginning with another sentence."""
    found = sentences(count * SENTENCES_OF_A_LONG_TEXT)
    return [" ".join(found[i::count]) for i in range(count)]


def write_tokens(texts: list[str], first_max_chars: int) -> None:
    """Keep the tokens of texts, segment by segment, for machines without the front end."""
    from emotts.text import text_to_segments

    kept = {
        text: [[part.text, part.tokens, part.words] for part in text_to_segments(text, first_max_chars=first_max_chars)]
        for text in texts
    }
    lines = [f" {json.dumps(text)}: {json.dumps(parts, ensure_ascii=False)}" for text, parts in kept.items()]
    TOKENS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_tokens() -> dict[str, list[tuple[str, list[str], list[int]]]]:
    """Return what `write_tokens` kept: the segments of each text, with its tokens and the number of the word of each."""
    kept = json.loads(TOKENS.read_text(encoding="utf-8"))
    return {text: [(part, tokens, words) for part, tokens, words in parts] for text, parts in kept.items()}
