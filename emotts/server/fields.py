"""The bodies of requests: OpenAI's fields and ours, with their types; what they mean together is said in asking.py.

A field that is unknown is passed over, as clients made for other servers send some, and named in a header; one that looks like a
misspelling of ours is refused, and so is every unknown field of an emotion.
"""

import difflib
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from emotts.conversion.request import STRENGTH_RANGE
from emotts.emotion.labels import LABELS, MAX_INTENSITY
from emotts.request import GUIDANCE_RANGE, PITCH_RANGE_ST, SPEED_RANGE
from emotts.server.encoding import FORMATS
from emotts.server.guard import MAX_EMOTION_CHARS, MAX_KEYFRAMES
from emotts.server.limits import Limits

MAX_NAME_CHARS = 128
MAX_INSTRUCTIONS_CHARS = 4_096
MAX_FIELDS = 64
MAX_STEPS = 32  # more costs time and changes nothing that is heard
MAX_DURATION_S = 600.0
TEXT, PARTS = "as text", "in parts"  # how an emotion and a time line may be given
MISSPELT = 0.8  # how alike an unknown name and one of ours must be
NOT_A_MISTAKE = {"lang", "language", "lang_code", "volume", "format", "prompt"}  # of other servers' extensions


def _check_format(name: Any) -> Any:
    if name == "aac":
        raise ValueError("response_format aac has no encoder here; ask for mp3, opus, flac, wav or pcm.")
    return name


def _bounds(low: float, high: float) -> dict[str, Any]:
    return {"minimum": low, "maximum": high}


Format = Annotated[Literal["mp3", "opus", "flac", "wav", "pcm"], BeforeValidator(_check_format)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Dimension = Annotated[float, Field(strict=True, ge=-1.0, le=1.0, allow_inf_nan=False)]
Weight = Annotated[float, Field(strict=True, ge=0.0, le=MAX_INTENSITY, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=MAX_NAME_CHARS)]
SpecText = Annotated[str, Field(max_length=MAX_EMOTION_CHARS)]
Keyframes = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_KEYFRAMES)]
BY_KIND = Discriminator(
    lambda value: TEXT if isinstance(value, str) else PARTS
)  # so that errors speak of what was meant
assert set(FORMATS) == {"mp3", "opus", "flac", "wav", "pcm"}


class Emotion(BaseModel):
    """An emotion in parts; `away` and `mixture` give labels their weights."""

    model_config = ConfigDict(extra="forbid")

    label: Name | None = Field(None, examples=["happy"], description=f"one of {', '.join(LABELS)}")
    intensity: Weight | None = None
    arousal: Dimension | None = None
    valence: Dimension | None = None
    dominance: Dimension | None = None
    mixture: dict[Name, Weight] | None = Field(None, max_length=len(LABELS), examples=[{"happy": 0.6, "sad": 0.4}])
    away: dict[Name, Weight] | None = Field(None, max_length=len(LABELS), examples=[{"angry": 1.0}])
    words: SpecText | None = None
    auto: Weight | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest(cls, given: Any) -> Any:
        for key in given if isinstance(given, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                hint = f' Did you mean "{near[0]}"?' if near else ""
                raise ValueError(f"emotion.{str(key)[:40]} is unknown; it has {', '.join(cls.model_fields)}.{hint}")
        return given


class _Open(BaseModel):
    """A body that may hold fields of other servers."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _refuse_misspellings(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > MAX_FIELDS:
            raise ValueError(f"a request must have at most {MAX_FIELDS} fields; got {len(given)}.")
        for key in given if isinstance(given, dict) else ():
            if key in cls.model_fields or key in NOT_A_MISTAKE:
                continue
            near = difflib.get_close_matches(str(key)[:64], cls.model_fields, n=1, cutoff=MISSPELT)
            if near:
                raise ValueError(f'{str(key)[:40]} is no field of this request. Did you mean "{near[0]}"?')
        return given

    @property
    def ignored(self) -> list[str]:
        """Names of the fields that were passed over."""
        return sorted(self.model_extra or {})


class SpeechBody(_Open):
    """What is to be spoken, and how: OpenAI's request, and what else can be asked of emotts."""

    model: Name = "emotts"
    input: str = Field(json_schema_extra={"minLength": 1, "maxLength": Limits.max_text_chars})
    voice: Name | None = Field(None, examples=["heart"])
    instructions: Annotated[str, Field(max_length=MAX_INSTRUCTIONS_CHARS)] | None = Field(
        None, examples=["warm and cheerful"]
    )
    response_format: Format = "mp3"
    speed: float = Field(1.0, strict=True, json_schema_extra=_bounds(*SPEED_RANGE))
    stream_format: Literal["audio", "sse"] = "audio"
    emotion: Annotated[Annotated[SpecText, Tag(TEXT)] | Annotated[Emotion, Tag(PARTS)], BY_KIND] | None = Field(
        None, examples=["happy:0.8"]
    )
    timeline: Annotated[Annotated[SpecText, Tag(TEXT)] | Annotated[Keyframes, Tag(PARTS)], BY_KIND] | None = Field(
        None, examples=["rise:angry"]
    )
    seed: Seed | None = None
    steps: Annotated[int, Field(strict=True, ge=0, le=MAX_STEPS)] | None = None
    guidance: float = Field(1.0, strict=True, json_schema_extra=_bounds(*GUIDANCE_RANGE))
    pitch: float = Field(0.0, strict=True, json_schema_extra=_bounds(*PITCH_RANGE_ST))
    duration: Annotated[float, Field(strict=True, gt=0.0, le=MAX_DURATION_S)] | None = None


class ConvertForm(_Open):
    """A recording, and how it shall sound."""

    file: UploadFile
    consent: bool = Field(False, description="the speaker agreed; without it no person's voice is converted")
    emotion: SpecText | None = None
    source_emotion: SpecText | None = None
    arousal: float | None = Field(None, json_schema_extra=_bounds(-1.0, 1.0))
    valence: float | None = Field(None, json_schema_extra=_bounds(-1.0, 1.0))
    dominance: float | None = Field(None, json_schema_extra=_bounds(-1.0, 1.0))
    voice: Name | None = None
    strength: float = Field(1.0, json_schema_extra=_bounds(*STRENGTH_RANGE))
    retime: bool = False
    pitch: float = Field(0.0, json_schema_extra=_bounds(*PITCH_RANGE_ST))
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    response_format: Format = "mp3"


class HearForm(_Open):
    """A recording that a judge shall hear."""

    file: UploadFile
    windows: bool = Field(True, description="judge every half second too")
