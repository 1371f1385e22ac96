"""Where audio comes from: what a request and a model led to goes into audio files and beside them, and is read back from there.

It is a statement, not a proof: anybody can remove it. docs/provenance.md says what is stored where.
"""

from emotts.provenance.build import joined_provenance, model_card, of_request, settings_of
from emotts.provenance.files import is_of_person, read_provenance, sidecar_path, source_of, write_sidecar
from emotts.provenance.parse import parse
from emotts.provenance.record import ModelCard, Provenance, Source

__all__ = [
    "ModelCard", "Provenance", "Source", "is_of_person", "joined_provenance", "model_card", "of_request", "parse",
    "read_provenance", "settings_of", "sidecar_path", "source_of", "write_sidecar",
]  # fmt: skip
