"""All corpora by name: a name comes in, the class of its loader goes out."""

from __future__ import annotations

from emotts.data.corpora.atthack import AttHACK
from emotts.data.corpora.cremad import CREMAD
from emotts.data.corpora.emns import EMNS
from emotts.data.corpora.emodb import EmoDB
from emotts.data.corpora.emonet import EmoNetVoice
from emotts.data.corpora.emotiontalk import EmotionTalk
from emotts.data.corpora.emovdb import EmoVDB
from emotts.data.corpora.esd import ESD
from emotts.data.corpora.expresso import Expresso
from emotts.data.corpora.folder import OwnFolder
from emotts.data.corpora.iemocap import IEMOCAP
from emotts.data.corpora.jl import JLCorpus
from emotts.data.corpora.libritts import LibriTTS
from emotts.data.corpora.ljspeech import LJSpeech
from emotts.data.corpora.mead import MEAD
from emotts.data.corpora.meld import MELD
from emotts.data.corpora.msp_improv import MSPImprov
from emotts.data.corpora.msp_podcast import MSPPodcast
from emotts.data.corpora.ravdess import RAVDESS
from emotts.data.corpora.rows import Corpus, CorpusFacts
from emotts.data.corpora.savee import SAVEE
from emotts.data.corpora.tess import TESS
from emotts.data.corpora.thaiser import THAISER
from emotts.data.corpora.vctk import VCTK

_CLASSES: tuple[type[Corpus], ...] = (
    ESD, RAVDESS, CREMAD, EmoDB, IEMOCAP, MSPPodcast, MSPImprov, EmoVDB, TESS, SAVEE, JLCorpus, EMNS, AttHACK, THAISER,
    EmotionTalk, MEAD, Expresso, EmoNetVoice, MELD, LJSpeech, LibriTTS, VCTK, OwnFolder,
)  # fmt: skip
CORPORA: dict[str, type[Corpus]] = {loader.facts.name: loader for loader in _CLASSES}


def corpus_class(name: str) -> type[Corpus]:
    """Return the loader of a corpus.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in CORPORA:
        raise ValueError(f"corpus must be one of {', '.join(CORPORA)}; got {name!r}. Example: corpus=esd")
    return CORPORA[name]


def corpus_facts() -> dict[str, CorpusFacts]:
    """Return what is published of every corpus, by name."""
    return {name: loader.facts for name, loader in CORPORA.items()}
