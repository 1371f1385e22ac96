"""The registered controls in a report: the verdicts of a verification come in, a section of the page goes out."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from emotts.evaluation.charts import rising


def controls_section(controls: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of all controls: promise, change against what is needed, and a small curve over the values.

    Args:
        controls: `emotts.evaluation.verify.Verdict` as dictionaries, as report.json holds them under `controls`.
    """
    return "".join(_row(control) for control in controls)


def _row(control: Mapping[str, Any]) -> str:
    state = "bad" if control["problems"] else "good"
    values = [str(value) for value in control["values"]]
    name, promise = html.escape(str(control["name"])), html.escape(str(control["promise"]))
    curve = rising(control["means"], values, f"{name} over {', '.join(values)}") if control["means"] else ""
    moved = f"moves by {control['change']:.2f}, needs {control['needed']:g}"
    asked = html.escape(f"{values[0]} to {values[-1]}" if values else "")
    return (
        f'<div class="tile"><span>{promise}</span><b class="{state}">{name}</b>'
        f"<span>{moved}<br>{asked}</span>{curve}</div>"
    )
