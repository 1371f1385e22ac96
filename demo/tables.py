"""Small pieces of HTML that several tabs show; every text that comes in is escaped."""

import html


def row(first: str, *values: str, why: str = "") -> str:
    """Return a row of a table; the first value is its heading, `why` a remark at its end."""
    cells = "".join(f"<td>{html.escape(value)}</td>" for value in values)
    remark = f'<td class="why">{html.escape(why)}</td>' if why else ""
    return f'<tr><th scope="row">{html.escape(first)}</th>{cells}{remark}</tr>'


def signed(value: float | None) -> str:
    """Return a coordinate with its sign; what is open by a dash."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def quiet(text: str) -> str:
    """Return a line of small print."""
    return f'<p class="emotts-quiet">{html.escape(text)}</p>' if text else ""
