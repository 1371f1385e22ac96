"""Properties that a component's script can rely on: the script and their first values come in, a script that knows them goes out.

A page forgets the properties of a component that is updated before it is shown, but those in the update (seen with Gradio 6.31).
"""

import json
from collections.abc import Mapping
from typing import Any


def with_given(script: str, properties: Mapping[str, Any]) -> str:
    """Return a `js_on_load` in which `given(name)` is the property as it is now, or as it was first where the page has lost it."""
    first = json.dumps(dict(properties))
    return (
        f"const GIVEN = {first};\n"
        "const given = (name) => (props[name] === undefined ? GIVEN[name] : props[name]);\n"
        f"{script}"
    )
