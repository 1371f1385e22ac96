"""Whatever the description of the interface allows, and what it does not, is answered without a failure and as it says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import running

from emotts import EmoTTS
from emotts.server.app import create_app
from emotts.server.limits import Limits

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
N_EXAMPLES = {
    ("POST", "/v1/audio/speech"): 120,
    ("POST", "/v1/audio/convert"): 60,
    ("POST", "/v1/audio/hear"): 40,
    ("GET", "/v1/models/{model}"): 20,
    ("GET", "/v1/audio/voices"): 2,
    ("GET", "/v1/audio/emotions"): 2,
    ("GET", "/v1/models"): 2,
    ("GET", "/healthz"): 2,
    ("GET", "/readyz"): 2,
    ("GET", "/metrics"): 2,
}


@pytest.fixture(scope="module")
def interface(tiny_checkpoint: Path) -> Iterator[schemathesis.BaseSchema]:
    with running(create_app(EmoTTS.from_pretrained(tiny_checkpoint), Limits(max_text_chars=200))) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


def test_every_operation_is_tried(interface: schemathesis.BaseSchema) -> None:
    found = {(each.ok().method.upper(), each.ok().path) for each in interface.get_all_operations()}
    assert found == set(N_EXAMPLES)


@pytest.mark.parametrize(("method", "path"), N_EXAMPLES)
def test_every_request_is_answered_as_described(interface: schemathesis.BaseSchema, method: str, path: str) -> None:
    operation = interface[path][method]
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=N_EXAMPLES[method, path],
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.one_of(*modes) if path == "/v1/models/{model}" or method == "POST" else modes[0])
    def is_answered(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    is_answered()
