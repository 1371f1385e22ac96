"""A sentence and the place of one of its words in, the pronunciation that its neighbours ask for out.

Rules are tried in order; the first whose neighbours or part of speech agree decides. Homographs without a rule, such as
``permit`` and ``conduct``, are left to the tagger and the lexicon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_HELPERS = "to will would can could should must may might shall do does did don't doesn't didn't won't can't couldn't \
let's please"
_PERFECT = "have has had having 've i've you've we've they've he'd she'd was were is are been be being never hadn't \
haven't hasn't"
_DETERMINERS = "the a an this that his her my our your their its any some no every each"
_BE = "is are was were be been being am i'm you're we're they're he's she's it's so too very how as quite got get \
gets came come comes"

# word: pronunciation | words before | words after | words near | tags; "*" marks what is left when nothing else fits
_RULES = f"""
read: ɹ ˈi d | {_HELPERS} | |
read: ɹ ˈɛ d | {_PERFECT} he she it | | yesterday ago last once finished suddenly |
read: ɹ ˈi d | | every | always usually often sometimes never |
read: ɹ ˈɛ d | | | | VBD VBN
read: ɹ ˈi d | * | |
lead: l ˈɛ d | of as like heavy molten | pipe pipes paint poisoning pencil weight weights balloon bullet bullets roof \
glass shot | poisonous zinc copper
lead: l ˈi d | * | |
live: l ˈɪ v | {_HELPERS} i you we they who people | in at there here on | |
live: l ˈaɪ v | | music concert show shows broadcast performance band audience wire wires album stream ammunition \
bait animals coverage recording television tv from | | JJ RB
live: l ˈɪ v | * | |
lives: l ˈaɪ v z | my our your their his her many of two three nine all these those several whose save saved saving \
lost | were are | | NNS
lives: l ˈɪ v z | * | |
wind: w ˈɪ n d | {_DETERMINERS} strong cold north south east west wild of | | |
wind: w ˈaɪ n d | {_HELPERS} and you | up down the around through it its back | | VB VBP
wind: w ˈɪ n d | * | |
wound: w ˈaʊ n d | | up down around through its tight tightly round along back | wool clock thread path road river \
scarf string |
wound: w ˈu n d | * | |
tear: t ˈɛ ɹ | {_HELPERS} i you we they not and | down apart up off it out open away them through | fabric jacket \
sleeve cloth paper shirt sail muscle page | VB VBP
tear: t ˈɪ ɹ | * | |
tears: t ˈɛ ɹ z | he she it who | down apart up off it out open away them through | fabric jacket cloth | VBZ
tears: t ˈɪ ɹ z | * | |
bow: b ˈoʊ | | tie ties and | arrow arrows violin cello ribbon hair archer string strings fiddle gift tied |
bow: b ˈaʊ | * | |
bows: b ˈoʊ z | | and | arrow arrows violin cello ribbon ribbons hair archers gift tied |
bows: b ˈaʊ z | * | |
bass: b ˈæ s | | fishing | fish caught lake river pond sea largemouth striped angler |
bass: b ˈeɪ s | * | |
close: k l ˈoʊ z | {_HELPERS} and you i we they | your the my his her our their it this that every all down | | VB VBP
close: k l ˈoʊ s | {_BE} a stay stand stood sat sit that | to by friend friends call up together enough range family \
relative behind | | JJ RB
close: k l ˈoʊ z | * | |
closer: k l ˈoʊ s ɚ | * | |
used: j ˈu s t | | to | |
used: j ˈu z d | * | |
use: j ˈu s | of no in any its make made good much little some | of | | NN
use: j ˈu z | * | |
uses: j ˈu s ɪ z | many of several its other the two three | of | | NNS
uses: j ˈu z ɪ z | * | |
house: h ˈaʊ z | {_HELPERS} | | | VB VBP
house: h ˈaʊ s | * | |
houses: h ˈaʊ z ɪ z | * | |
dove: d ˈoʊ v | he she i we they it and then | into in off under down deep from headfirst | |
dove: d ˈʌ v | * | |
sow: s ˈaʊ | | and her | pig piglets pigs farmyard |
sow: s ˈoʊ | * | |
row: ɹ ˈaʊ | | about over | quarrel argument furious shouting |
row: ɹ ˈoʊ | * | |
sewer: s ˈu ɚ | * | |
minute: m aɪ n ˈu t | very so most | amount amounts detail details particle particles quantity quantities | |
minute: m ˈɪ n ɪ t | * | |
resume: ɹ ˈɛ z ə m ˌeɪ | my your his her a | | job hire hired |
resume: ɹ ɪ z ˈu m | * | |
object: ə b d͡ʒ ˈɛ k t | {_HELPERS} i you we they strongly | to | | VB VBP
object: ˈɑ b d͡ʒ ɛ k t | * | |
present: p ɹ ɪ z ˈɛ n t | {_HELPERS} | her his the him them it my our your a | | VB VBP
present: p ɹ ˈɛ z ə n t | * | |
record: ɹ ɪ k ˈɔ ɹ d | {_HELPERS} i we they | | | VB VBP
record: ɹ ˈɛ k ɚ d | * | |
content: k ə n t ˈɛ n t | {_BE} perfectly felt feel | with to | | JJ
content: k ˈɑ n t ɛ n t | * | |
number: n ˈʌ m b ɚ | * | |
evening: ˈi v n ɪ ŋ | * | |
real: ɹ ˈi l | * | |
"""


@dataclass(frozen=True)
class _Rule:
    """One reading of a word and what must stand around it; all empty and ``is_default`` when it is what remains."""

    phonemes: tuple[str, ...]
    before: frozenset[str]
    after: frozenset[str]
    anywhere: frozenset[str]
    tags: frozenset[str]

    def agrees(self, words: Sequence[str], i: int, tag: str) -> bool:
        if "*" in self.before:
            return True
        previous = words[i - 1] if i else ""
        following = words[i + 1] if i + 1 < len(words) else ""
        near = words[max(0, i - 12) : i + 13]
        return (
            previous in self.before
            or following in self.after
            or tag in self.tags
            or any(word in self.anywhere for word in near)
        )


def choose_homograph(words: Sequence[str], i: int, tag: str) -> tuple[str, ...]:
    """Pronounce a homograph by its neighbours and part of speech.

    Args:
        words: the sentence in lower case, without punctuation.
        i: which word.
        tag: its Penn part of speech, or "".

    Returns:
        Phonemes, empty for a word without rules.
    """
    for rule in _rules().get(words[i], ()):
        if rule.agrees(words, i, tag):
            return rule.phonemes
    return ()


def has_rules(word: str) -> bool:
    """Say whether the word (lower case) is a homograph that this module decides."""
    return word in _rules()


@lru_cache(maxsize=1)
def _rules() -> dict[str, list[_Rule]]:
    rules: dict[str, list[_Rule]] = {}
    for line in _RULES.strip().splitlines():
        word, _, rest = line.partition(": ")
        fields = [part.split() for part in rest.split("|")] + [[], []]
        phonemes, before, after, anywhere, tags = fields[:5]
        rule = _Rule(tuple(phonemes), frozenset(before), frozenset(after), frozenset(anywhere), frozenset(tags))
        rules.setdefault(word, []).append(rule)
    return rules
