"""Who takes the steps of a request: the flows of the acoustic model, or their student, which needs fewer.

Comes in: a `Request` and what was asked. Goes out: the request with a sampler and its numbers of steps filled in.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from emotts.acoustic.flow import PLAIN
from emotts.acoustic.student import MAX_STEPS, SCALES, FlowStudent
from emotts.request import Request

SAMPLERS = ("auto", "flow", "student")


@dataclass(frozen=True)
class Steps:
    """Numbers of steps where none are asked: of the mel and of the reading."""

    mel: int
    prosody: int


FLOW, STUDENT = Steps(4, 6), Steps(2, 2)  # where a checkpoint says nothing


def steps_of(metadata: Mapping[str, Any], has_student: bool) -> tuple[Steps, Steps | None]:
    """Return the steps of the flows and of the student, None where there is none, from a checkpoint's metadata."""
    flow = Steps(int(metadata.get("default_steps", FLOW.mel)), FLOW.prosody)
    student = int(metadata.get("student_steps", STUDENT.mel))
    return flow, Steps(student, int(metadata.get("student_prosody_steps", STUDENT.prosody))) if has_student else None


def choose_sampler(request: Request, asked: str, given: Collection[str], flow: Steps, student: Steps | None) -> Request:
    """Return the request with its sampler.

    Args:
        request: checked; its numbers of steps count where `given` names them.
        asked: one of SAMPLERS; "auto" takes the student wherever it does as well, for each flow that asks for no more steps than
            it takes: not for guidance, which it knows and does only if it is asked for by name.
        given: the options that were given.
        flow: steps of the flows where none are asked. student: of the student; None where the checkpoint has none.

    Raises:
        ValueError: no such sampler, or the student cannot do what is asked.
    """
    if asked not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}; got {asked!r:.60}.")
    counts = {name: getattr(request, name) for name in ("steps", "prosody_steps") if name in given}
    reason = "this checkpoint has none" if student is None else _untaught(request)
    many = [f"it takes at most {MAX_STEPS} {name}, and {n} are asked" for name, n in counts.items() if n > MAX_STEPS]
    if asked == "student" and (reason := reason or "".join(many[:1])):
        raise ValueError(f"the student cannot sample this: {reason}. Leave sampler out, or take sampler=flow.")
    guided = (
        asked == "auto" and request.guidance != 1.0
    )  # it learnt that less well; benchmarks/student.py says by how much
    found = flow if student is None or reason or guided or asked == "flow" else student
    return replace(
        request,
        sampler="flow" if found is flow else "student",
        steps=counts.get("steps", found.mel),
        prosody_steps=counts.get("prosody_steps", found.prosody),
    )


def flow_options(request: Request, steps: int, student: FlowStudent | None) -> dict[str, Any]:
    """Return what a flow is told of a request; more `steps` than the student takes are its own."""
    by_student = request.sampler == "student" and steps <= MAX_STEPS
    return {"steps": steps, "sampling": request.sampling, "student": student if by_student else None}


def _untaught(request: Request) -> str:
    """Say what of a request the student was not taught; "" where nothing is."""
    if not SCALES[0] <= request.guidance <= SCALES[1]:
        return f"it knows guidance from {SCALES[0]:g} to {SCALES[1]:g}, and {request.guidance:g} is asked"
    wishes = {
        "speaker_guidance": request.speaker_guidance != 1.0,
        "content_guidance": request.content_guidance != 1.0,
        "classifier guidance": bool(request.classifier or request.classifier_away),
        f"mixing={request.mixing}": request.mixing in ("velocity", "schedule"),
        "staying away from an emotion": bool(request.emotion.away),
        "a schedule or method of steps": request.sampling != PLAIN,
    }
    wanted = [name for name, is_asked in wishes.items() if is_asked]
    return f"it was not taught {' and '.join(wanted)}" if wanted else ""
