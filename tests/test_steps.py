"""Who takes the steps: the student where there is one that was taught what is asked, else the flows."""

from dataclasses import replace

import pytest

from emotts.emotion.spec import parse_emotion
from emotts.request import Request
from emotts.steps import FLOW, STUDENT, Steps, choose_sampler, flow_options, steps_of

PLAIN = Request(parse_emotion("happy"), "one", 1.0, 0.0, 3, 3, 1.0, 0.2, 0.5, 0)
UNTAUGHT = {
    "speaker_guidance": {"speaker_guidance": 1.5}, "content_guidance": {"content_guidance": 0.5},
    "classifier guidance": {"classifier": 0.2}, "mixing=velocity": {"mixing": "velocity"},
    "staying away": {"emotion": replace(parse_emotion("happy"), away=(("sad", 1.0),))}, "a schedule": {"schedule": "sway"},
    "a schedule or method": {"solver": "heun"},
}  # fmt: skip


def choose(request: Request = PLAIN, asked: str = "auto", given: tuple[str, ...] = (), student: Steps | None = STUDENT):
    return choose_sampler(request, asked, given, FLOW, student)


def test_the_student_is_taken_with_its_own_steps() -> None:
    found = choose()
    assert (found.sampler, found.steps, found.prosody_steps) == ("student", STUDENT.mel, STUDENT.prosody)
    guided = replace(PLAIN, guidance=2.5)
    assert choose(guided).sampler == "flow" and choose(guided, "student").sampler == "student"
    asked = choose(given=("steps",))
    assert (asked.sampler, asked.steps, asked.prosody_steps) == ("student", 3, STUDENT.prosody)


@pytest.mark.parametrize("name", UNTAUGHT)
def test_what_it_was_not_taught_is_left_to_the_flows(name: str) -> None:
    request = replace(PLAIN, **UNTAUGHT[name])
    found = choose(request)
    assert (found.sampler, found.steps, found.prosody_steps) == ("flow", FLOW.mel, FLOW.prosody)
    with pytest.raises(ValueError, match=f"not taught {name}"):
        choose(request, "student")


def test_many_steps_of_one_flow_are_its_own() -> None:
    many, student = replace(PLAIN, steps=16), object()
    found = choose(many, given=("steps",))
    assert (found.sampler, found.steps, found.prosody_steps) == ("student", 16, STUDENT.prosody)
    assert flow_options(found, found.steps, student)["student"] is None  # type: ignore[arg-type]
    assert flow_options(found, found.prosody_steps, student)["student"] is student  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 4 steps, and 16 are asked"):
        choose(many, "student", ("steps",))


def test_without_a_student_there_is_none() -> None:
    assert choose(student=None).sampler == "flow"
    with pytest.raises(ValueError, match="checkpoint has none"):
        choose(asked="student", student=None)
    with pytest.raises(ValueError, match="auto, flow, student"):
        choose(asked="both")


def test_the_flows_can_be_asked_for() -> None:
    found = choose(asked="flow")
    assert (found.sampler, found.steps) == ("flow", FLOW.mel)
    student = object()
    assert flow_options(found, 2, student)["student"] is None  # type: ignore[arg-type]
    assert flow_options(choose(), 2, student)["student"] is student  # type: ignore[arg-type]


def test_a_checkpoint_says_how_many() -> None:
    assert steps_of({}, False) == (FLOW, None)
    told = {"default_steps": 8, "student_steps": 1, "student_prosody_steps": 3}
    assert steps_of(told, True) == (Steps(8, FLOW.prosody), Steps(1, 3))
