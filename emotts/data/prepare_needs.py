"""What a corpus needs of the machine, asked once before its shards: a program that decodes, a reader of each language.

Comes in: the clips that were listed and how they are to be prepared. Goes out: nothing, or a fault that says what to install.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from emotts.data.corpora.rows import SourceRow
from emotts.data.faults import MachineFault, fault_at
from emotts.data.prepare_audio import check_ffmpeg, is_for_ffmpeg
from emotts.data.prepare_clip import Settings, reader_of
from emotts.text.languages import NotInstalled
from emotts.text.phonemize import phonemize_marked

TRIED = 20  # texts of a language, until one is read


def check_needs(rows: Sequence[SourceRow], settings: Settings) -> list[str]:
    """Check that programs and readers are there; return what is to be said where texts may do without a reader.

    Raises:
        MachineFault: something must be installed.
    """
    foreign = [row.audio for row in rows if is_for_ffmpeg(row.audio)]
    if foreign:
        check_ffmpeg(f"{len(foreign)} clips such as {foreign[0]!r}")
    told = []
    for language, reason in missing_readers(rows, settings).items():
        if settings.needs_text:
            raise MachineFault(
                f"{language}: {reason.rstrip('.')}; then run the same command again. "
                "settings.needs_text=false does without, for recognisers and vocoders only."
            )
        told.append(
            f"{language}: {reason.rstrip('.')}. Until then its clips have silence for phonemes, for recognisers and vocoders only; "
            "the same command makes them anew once it is read."
        )
    return told


def missing_readers(rows: Sequence[SourceRow], settings: Settings) -> dict[str, str]:
    """Return languages of texts whose reader is not installed here, with what it says.

    Raises:
        MachineFault: a reader is installed and cannot be loaded.
    """
    tried: dict[str, int] = {}
    found: dict[str, str] = {}
    for row in rows:
        if row.text is None or tried.get(row.language, 0) >= TRIED:
            continue
        tried[row.language] = tried.get(row.language, 0) + 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if phonemize_marked(row.text, (), row.language, reader_of(row, settings))[0]:
                    tried[row.language] = TRIED
        except NotInstalled as error:
            found[row.language], tried[row.language] = str(error), TRIED
        except OSError as error:
            raise fault_at(f"the reader of {row.language}", error) from error
        except ValueError:  # of this text, or a reader of other languages: told of the clips
            continue
    return found
