"""Measure what each language loses in the shared alphabet: marks, words that fall together, words that are refused.

    pip install wordfreq 'emotts[espeak,japanese,thai]'
    python benchmarks/languages.py [--words 5000] [--languages pl ru]

The most frequent words of a language (Speer, "wordfreq", 2022, doi:10.5281/zenodo.7199437) are read as `backend_of` says. Two words
that the reader says differently and that become the same tokens have fallen together; stress, but for the accent of Japanese, is
left out of account. The same is counted without the marks of length and quality. Words that espeak takes for another language are
left out. Results go to benchmarks/results/languages.json, .md.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

from tables import git_commit

from emotts.text.espeak import _SWITCH, _mnemonics, _wrapper
from emotts.text.languages import ESPEAK_NAMES, primary
from emotts.text.phonemize import backend_of, phonemize
from emotts.text.symbols import MARKS, encode, is_pause, nearest_mark

RESULTS = Path(__file__).resolve().parent / "results"
NAMES = {"nb": "nb", "sh": "hr"}  # of wordfreq and of espeak
LEFT_OUT = ("en", "he", "fil")  # wordfreq has them; espeak reads Hebrew without its vowels and does not know Filipino


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=5000, metavar="N", help="most frequent words of each language")
    parser.add_argument("--languages", nargs="+", metavar="TAG", help="only these")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="where the results go")
    arguments = parser.parse_args()
    try:
        import wordfreq
    except ImportError:
        sys.exit("languages: the lists of words are in wordfreq, which is not installed. Run: pip install wordfreq")
    known = sorted({*wordfreq.available_languages("small"), "th"} - set(LEFT_OUT))
    rows = []
    for language in arguments.languages or known:
        words = thai_list(arguments.words) if language == "th" else wordfreq.top_n_list(language, arguments.words)
        rows.append(measure(NAMES.get(language, language), [word for word in words if any(map(str.isalpha, word))]))
        print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    facts = {"commit": git_commit(), "words": arguments.words, "languages": rows}
    (arguments.output / "languages.json").write_text(
        json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    (arguments.output / "languages.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    return 0


def thai_list(count: int) -> list[str]:
    """Return the most frequent words of the Thai National Corpus, which PyThaiNLP brings; wordfreq has no Thai."""
    from pythainlp.corpus.tnc import unigram_word_freqs

    return [word for word, _ in sorted(unigram_word_freqs().items(), key=lambda item: -item[1])][:count]


def measure(language: str, words: list[str]) -> dict[str, object]:
    """Read the words of a language and count what they lose."""
    by_tokens: dict[str, dict[tuple[tuple[int, int], ...], dict[str, str]]] = {
        "with": defaultdict(dict),
        "without": defaultdict(dict),
    }
    refused: Counter[str] = Counter()
    n_words = n_tokens = n_marked = 0
    for word in words:
        said = pronounce(word, language)
        if said is None:
            continue
        n_words += 1
        try:
            tokens = [token for token in phonemize(word, language, backend_of(language)) if not is_pause(token)]
        except ValueError as error:
            refused[str(error)[:80]] += 1
            continue
        ids = [
            (phoneme, mark if language == "ja" else _without_stress(mark))
            for phoneme, mark in zip(*encode(tokens), strict=True)
        ]
        plain = [(phoneme, nearest_mark(mark)) for phoneme, mark in ids]
        n_tokens += len(ids)
        n_marked += sum(one != other for one, other in zip(ids, plain, strict=True))
        by_tokens["with"][tuple(ids)].setdefault(said, word)
        by_tokens["without"][tuple(plain)].setdefault(said, word)
    pairs = {
        name: [c for g in groups.values() for c in combinations(g.items(), 2)] for name, groups in by_tokens.items()
    }
    causes = Counter(cause(one[0], other[0]) for one, other in pairs["with"])
    return {
        "language": language,
        "read_by": backend_of(language),
        "words": n_words,
        "refused": sum(refused.values()),
        "refusals": dict(refused.most_common(3)),
        "tokens_with_a_mark": round(n_marked / max(n_tokens, 1), 4),
        "pairs_fallen_together": len(pairs["with"]),
        "pairs_without_marks": len(pairs["without"]),
        "causes": dict(causes.most_common(6)),
        "examples": [f"{one[1]} {other[1]}" for one, other in pairs["with"][:8]],
        "kept_by_marks": [f"{a[1]} {b[1]}" for a, b in pairs["without"] if (a, b) not in pairs["with"]][:8],
    }


def pronounce(word: str, language: str) -> str | None:
    """Return how the reader says a word, in its own signs and without stress; None if it takes it for another language."""
    backend = backend_of(language)
    if backend == "openjtalk":
        import pyopenjtalk

        nodes = pyopenjtalk.run_frontend(word)
        return " ".join(f"{node['pron']}{node['acc']}" for node in nodes if node["pron"] not in ("、", "？")) or None
    if backend == "thaiphon":
        import thaiphon

        from emotts.text.thai import split_words

        try:
            return " ".join(thaiphon.transcribe_word(part, "ipa") for part in split_words(word)) or None
        except ValueError:
            return None
    wrapper = _wrapper(ESPEAK_NAMES.get(primary(language), language))
    read = _mnemonics(wrapper, word) if primary(language) in ("cmn", "vi") else wrapper.text_to_phonemes(word)
    if _SWITCH.search(read):
        return None
    return "".join(sign for sign in read if sign not in "ˈˌ_',|") or None


def _without_stress(mark: int) -> int:
    return MARKS.index(MARKS[mark].lstrip("ˈˌ"))


def cause(one: str, other: str) -> str:
    """Name the first difference of two pronunciations."""
    for kind, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind != "equal":
            return "/".join(sorted((one[a:b] or "nothing", other[c:d] or "nothing")))
    return "nothing"


def table(rows: list[dict[str, object]]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| language | words | refused | sounds with a mark | pairs that fall together, without marks | with | which |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        causes = row["causes"]
        assert isinstance(causes, dict)
        told = ", ".join(f"{name} {count}" for name, count in list(causes.items())[:3])
        share = f"{100 * float(str(row['tokens_with_a_mark'])):.1f} %"
        counts = f"{row['words']} | {row['refused']} | {share} | {row['pairs_without_marks']} | {row['pairs_fallen_together']}"
        lines.append(f"| {row['language']} | {counts} | {told} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
