"""`emotts voices`: the voices of the model and those kept from recordings are listed; `add` keeps one, `remove` forgets it."""

import argparse
import json
import re
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.arguments import add_consent_option
from emotts.cli.listing import print_table

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS
    from emotts.speaker.profile import VoiceProfile

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)
KEPT = "kept"  # in the column of the teachers
SENTENCE = "The train to the coast leaves from platform four."  # in which a kept voice is compared with its recordings
SEED = 1

EXAMPLES = """examples:
  emotts voices
  emotts voices add mira mira.wav more-of-mira.wav --i-have-consent
  emotts synthesize "Good morning." --voice mira -o morning.wav
  emotts voices remove mira
"""


def add_parser(commands: Any, add_model_options: Any) -> None:
    """Add the command to the sub-parsers of `emotts`; `add_model_options` adds those of every command with a model."""
    parser = commands.add_parser(
        "voices",
        help="list the voices, keep one from recordings, or forget it",
        description="List the voices of the model and those kept from recordings; keep one, or forget it.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(command="voices", action="list")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_options(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=type(parser))
    listing = actions.add_parser("list", help="list the voices (default)", description="List the voices.")
    adding = actions.add_parser(
        "add", help="keep a voice from recordings", description="Keep a voice from recordings, by a name of its own."
    )
    adding.add_argument("name", metavar="NAME", help="letters, digits, - and _")
    adding.add_argument("recordings", nargs="+", metavar="REF", help="1 to 30 s of one person speaking, in all")
    add_consent_option(adding)
    adding.add_argument("--force", action="store_true", help="replace a kept voice of this name")
    removing = actions.add_parser("remove", help="forget a kept voice", description="Forget a kept voice.")
    removing.add_argument("name", metavar="NAME", help="a kept voice")
    for action, one in (("list", listing), ("add", adding), ("remove", removing)):
        one.set_defaults(action=action)
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if action != "remove":
            one.add_argument("--checkpoint", metavar="DIR", default=argparse.SUPPRESS, help="a checkpoint folder")


def voices(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: a name that cannot be used, a voice that exists or does not, or recordings that will not do.
        FileNotFoundError: a recording, the model or the converter does not exist.
        OSError: the voice cannot be written.
    """
    {"list": _list, "add": _add, "remove": _remove}[arguments.action](arguments)


def check_name(name: str) -> None:
    """Raise a ValueError unless a voice can be kept by this name: it is a file's name everywhere, and no option."""
    from emotts.conversion.request import SOURCE

    if not NAME.fullmatch(name):
        raise ValueError(
            f"a voice's name must be 1 to 64 letters of English, digits, - and _, and not begin with -; got {name[:80]!r}."
        )
    if name.casefold() == SOURCE:
        raise ValueError(f"{name!r} is the voice of the recording itself in a conversion; choose another name.")


def kept_path(name: str) -> Path:
    """Return the file of a kept voice, which need not exist; errors are those of `check_name`."""
    from emotts.speaker.profile import SUFFIX, voices_folder

    check_name(name)
    return voices_folder() / f"{name}{SUFFIX}"


def _list(arguments: argparse.Namespace) -> None:
    from emotts.pipeline import EmoTTS
    from emotts.speaker.profile import kept_voices

    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    rows = [asdict(card) for card in tts.voices]
    print_table(rows + [_row_of(name) for name in kept_voices()], arguments.json)


def _row_of(name: str) -> dict[str, Any]:
    """Return the row of a kept voice; one that cannot be read says so."""
    from emotts.request import VoiceCard
    from emotts.speaker.profile import SUFFIX, load_profile, voices_folder

    try:
        facts = load_profile(voices_folder() / f"{name}{SUFFIX}").facts
    except (ValueError, OSError) as error:
        return asdict(VoiceCard(name, teacher=KEPT, description=f"cannot be read: {error}"))
    description = f"{facts.get('seconds', 0):g} s of speech in {facts.get('recordings', '?')} recordings"
    if facts.get("consent"):
        description += f", consent {facts['consent']}"
    return asdict(VoiceCard(name, teacher=KEPT, description=description))


def _add(arguments: argparse.Namespace) -> None:
    from emotts.cli.consent import consent_line
    from emotts.pipeline import EmoTTS
    from emotts.recordings import duration_of
    from emotts.speaker.profile import kept_voices, voices_folder

    path = kept_path(arguments.name)
    taken = [name for name in kept_voices() if name.casefold() == arguments.name.casefold()]
    if taken and not (arguments.force and taken == [arguments.name]):
        raise ValueError(f"voice {taken[0]!r} is kept already; give another name, or --force to replace it.")
    for recording in arguments.recordings:
        duration_of(Path(recording))
    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    bundled = {card.name.casefold() for card in tts.voices}
    if arguments.name.casefold() in bundled:
        raise ValueError(f"{arguments.name!r} is a voice of the model; choose another name.")
    consent = consent_line(arguments.recordings, arguments.i_have_consent)
    profile = tts.voice_of(arguments.recordings, arguments.name)
    profile = replace(profile, facts={**profile.facts, "consent": consent})
    voices_folder().mkdir(parents=True, exist_ok=True)
    profile.save(path)
    _report(profile, path, similarity_of(tts, profile, arguments.recordings), arguments.json)


def _report(profile: "VoiceProfile", path: Path, similarity: float | None, as_json: bool) -> None:
    from emotts.cli import say

    facts = profile.facts
    rows = {
        "voice": profile.name,
        "speech": f"{facts['seconds']:.1f} s in {facts['recordings']} recordings",
        "mean pitch": f"{2.0**profile.mean_log_f0:.0f} Hz",
        "consent": facts["consent"] or "not needed: a model spoke the recordings",
        "speaker similarity": "needs resemblyzer" if similarity is None else f"{similarity:.2f}, of a new sentence",
        "kept in": str(path),
    }
    for title, value in rows.items():
        say(f"{title:<20}{value}")
    if as_json:
        print(json.dumps({"name": profile.name, "path": str(path), "speaker_sim": similarity, **facts}))


def similarity_of(tts: "EmoTTS", profile: "VoiceProfile", recordings: list[str]) -> float | None:
    """Return how near a sentence spoken in a voice is to the recordings it comes from; None without the weights for it."""
    if find_spec("resemblyzer") is None:
        return None
    from emotts.conversion.voices import REFERENCE_S
    from emotts.loop.conversion import similarity_to
    from emotts.metrics.speaker import load_speaker_encoder
    from emotts.recordings import read_pieces

    speech = [next(read_pieces(Path(name), tts.sample_rate, REFERENCE_S[1])) for name in recordings]
    spoken = tts.synthesize(SENTENCE, voice=profile, seed=SEED)
    return similarity_to(speech, load_speaker_encoder().embed)(spoken)


def _remove(arguments: argparse.Namespace) -> None:
    from emotts.cli import say
    from emotts.request import unknown_voice
    from emotts.speaker.profile import kept_voices

    path, kept = kept_path(arguments.name), kept_voices()
    if arguments.name not in kept:
        if not kept:
            raise ValueError(
                f"no voice is kept, so {arguments.name!r} cannot be removed; see `emotts voices add --help`."
            )
        raise ValueError(unknown_voice(arguments.name, kept))
    path.unlink()
    say(f"voice {arguments.name!r} is removed: {path}")
