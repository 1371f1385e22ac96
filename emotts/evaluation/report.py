"""Write report.html: the contents of report.json, the rows and some clips come in, one page that loads nothing else goes out."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.evaluation.charts import confusion_matrix, curves, scatter
from emotts.evaluation.controls import controls_section
from emotts.evaluation.conversion_page import Pair, conversion_section
from emotts.evaluation.grid import Cell
from emotts.evaluation.page import page
from emotts.evaluation.rows import Row, has_judge, is_emotional, is_neutral, is_placed
from emotts.evaluation.summary import SYSTEMS

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS

N_FURTHEST = 4
NOT_MEASURED = "not measured"
KEY = (
    '<p class="key"><i style="background:var(--a)"></i>arousal<i style="background:var(--v)"></i>valence'
    '<i style="background:var(--d)"></i>dominance</p>'
)


def render(
    report: Mapping[str, Any],
    rows: Sequence[Row],
    clips: Mapping[str, Sequence[tuple[Row, bytes]]],
    pairs: Sequence[Pair] = (),
) -> str:
    """Return the page.

    Args:
        report: what report.json holds.
        rows: those of results.jsonl.
        clips: heading to rows and their mp3 bytes, as `make_clips` returns them.
        pairs: conversions with the sound before and after.
    """
    judges = list(report["judges"])
    model = [row for row in rows if row["system"] == "emotts" and "error" not in row]
    sections = [
        _head(report),
        _tiles(report["table"]),
        _section(
            "Asked and heard",
            "Every utterance but the conflicts: what was asked against what a judge heard. Dashes: as asked; line: fitted. "
            "Blue: asked by a label; red: by numbers.",
            *(_scatters(model, judge) for judge in judges),
        ),
        _section(
            "Control curves",
            "One dimension is swept, the others stay at 0. Bold: the swept one with its interval; thin: what the two others do.",
            KEY,
            *(_curves(report["curves"][judge], judge) for judge in judges),
        ),
        _section(
            "Leak",
            "What one unit of an asked dimension (row) adds to each heard one (column), all fitted at once within text and voice. "
            "1 on the diagonal and 0 beside it is perfect.",
            *(_leak(report["leak"][judge], judge) for judge in judges),
        ),
        _section(
            "Categories",
            "Asked in rows, heard in columns, at the label's usual intensity.",
            '<div class="wide">' + "".join(_confusion(report["confusion"][j], j) for j in judges) + "</div>",
            _labels(report["labels"], judges),
        ),
        _controls(report.get("controls", ())),
        _section("Listen", "Asked, and what each judge heard: arousal, valence, dominance.", _clips(clips, judges)),
        _conversions(pairs, judges),
        _section(
            "All measures",
            "Value with its 95 % interval, bootstrapped over texts. Teacher: recordings of the corpus that the model learnt from, "
            "the ceiling; copy synthesis: the same through the vocoder. Small numbers: utterances.",
            _table(report["table"]),
        ),
        _failed(report["failed"]),
    ]
    title = _escape(f"emotts: evaluation, {report['suite']}")
    return page(title, "\n".join(sections))


def make_clips(tts: "EmoTTS", rows: Sequence[Row], judge: str) -> dict[str, list[tuple[Row, bytes]]]:
    """Speak some rows again and return them with their mp3 bytes, by heading.

    Args:
        tts: the model that made the rows.
        rows: those of results.jsonl.
        judge: whose answer says which utterances miss most.
    """
    chosen = choose_clips([row for row in rows if row["system"] == "emotts" and has_judge(row, judge)], judge)
    return {
        heading: [(row, encode_mp3(_speak_again(tts, row), tts.sample_rate)) for row in group]
        for heading, group in chosen.items()
    }


def choose_clips(rows: Sequence[Row], judge: str) -> dict[str, list[Row]]:
    """Choose rows to listen to: one per label, a sweep of arousal, the conflicts, and those furthest from what was asked."""
    labels: dict[str, Row] = {}
    for row in rows:
        if is_neutral(row) or is_emotional(row):
            labels.setdefault(row["label_asked"], row)
    swept = [row for row in rows if row["part"] == "sweep" and row["dimension"] in ("arousal", None)]
    place = (swept[0]["text"], swept[0]["voice"]) if swept else ()
    sweep = [row for row in swept if (row["text"], row["voice"]) == place]
    placed = [row for row in rows if is_placed(row)]
    furthest = sorted(placed, key=lambda row: -_distance(row, judge))[:N_FURTHEST]
    groups = {
        "Every label": [labels[name] for name in LABELS if name in labels],
        "Arousal in steps": sorted(sweep, key=lambda row: row["arousal_asked"]),
        "Words against voice": [row for row in rows if row["part"] == "conflict"][:6],
        f"Furthest from what was asked, by {judge}": furthest,
    }
    return {heading: group for heading, group in groups.items() if group}


def encode_mp3(waveform: np.ndarray, sample_rate: int) -> bytes:
    """Return a waveform [L] as mp3, which every browser plays."""
    import soundfile

    buffer = io.BytesIO()
    samples = np.clip(waveform, -1.0, 1.0)
    soundfile.write(buffer, samples, sample_rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.6)
    return buffer.getvalue()


def _speak_again(tts: "EmoTTS", row: Row) -> np.ndarray:
    avd = (row["arousal_asked"], row["valence_asked"], row["dominance_asked"])
    cell = Cell(row["part"], row["text"], row["voice"], row["seed"], row["label_asked"], row["intensity_asked"], avd)
    return tts.synthesize(cell.text, **cell.options()).waveform


def _distance(row: Row, judge: str) -> float:
    return float(np.linalg.norm([row[f"{name}_asked"] - row[f"{name}_{judge}"] for name in DIMENSIONS]))


def _escape(text: object) -> str:
    return html.escape(str(text), quote=True)


def _section(title: str, note: str, *parts: str) -> str:
    return f"<section><h2>{_escape(title)}</h2><p>{_escape(note)}</p>{''.join(parts)}</section>"


def _head(report: Mapping[str, Any]) -> str:
    counts = report["n_utterances"]
    facts = [
        f"checkpoint {report['checkpoint']}",
        f"suite {report['suite']}",
        f"seed {report['seed']}",
        f"{counts['emotts']} utterances of the model",
        f"{counts['teacher']} recordings" if counts["teacher"] else "no corpus given, so the ceiling is not measured",
        f"{report['seconds']:.0f} s",
        report["date"],
        f"judges: {', '.join(report['judges'])} (the last is independent: it never steers and never selects)",
    ]
    return f"<h1>emotts: what was asked, what was heard</h1><p>{_escape('; '.join(facts))}</p>"


def _controls(controls: Sequence[Mapping[str, Any]]) -> str:
    if not controls:
        return ""
    return _section(
        "Every control",
        "Each registered control turned through its values, others at rest: what it promises, whether it did, by the judge that "
        "never steers or by the signal itself.",
        f'<div class="tiles">{controls_section(controls)}</div>',
    )


def _conversions(pairs: Sequence[Pair], judges: Sequence[str]) -> str:
    if not pairs:
        return ""
    note = (
        "Recordings, and sentences that the model spoke, in another emotion or another voice; timing kept. Their measures stand "
        "below, with copy synthesis as the ceiling."
    )
    return _section("Conversion, before and after", note, conversion_section(pairs, judges))


def _tiles(table: Sequence[Mapping[str, Any]]) -> str:
    """Show the lines that have a target."""
    tiles = []
    for line in table:
        if line["at_least"] is None:
            continue
        value = line["values"]["emotts"]
        state = {True: "good", False: "bad", None: "none"}[line["is_met"]]
        shown = NOT_MEASURED if value is None else f"{value['value']:.2f}"
        interval = "" if value is None else f", {_interval(value)}"
        tiles.append(
            f'<div class="tile"><span>{_escape(line["name"])}</span><b class="{state}">{shown}</b>'
            f"<span>at least {line['at_least']:g}{interval}</span></div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _scatters(rows: Sequence[Row], judge: str) -> str:
    placed = [row for row in rows if is_placed(row) and has_judge(row, judge)]
    plots = []
    for name in DIMENSIONS:
        kinds = ["numeric" if row["label_asked"] is None else "labelled" for row in placed]
        notes = [f"{_request_of(row)}, {row['voice']}: {row['text']}" for row in placed]
        asked = [row[f"{name}_asked"] for row in placed]
        heard = [row[f"{name}_{judge}"] for row in placed]
        picture = scatter(asked, heard, kinds, notes, f"{name}: asked against heard by {judge}")
        plots.append(f"<figure><figcaption><b>{name}</b><span>{_escape(judge)}</span></figcaption>{picture}</figure>")
    return f'<h3>{_escape(judge)}</h3><div class="plots">{"".join(plots)}</div>'


def _curves(swept: Mapping[str, Sequence[dict[str, Any]]], judge: str) -> str:
    plots = [
        f"<figure><figcaption><b>{name}</b><span>{_escape(judge)}</span></figcaption>{curves(points, name)}</figure>"
        for name, points in swept.items()
        if points
    ]
    return f'<h3>{_escape(judge)}</h3><div class="plots">{"".join(plots)}</div>'


def _leak(matrix: Sequence[Sequence[dict[str, Any]]] | None, judge: str) -> str:
    if matrix is None:
        return f"<h3>{_escape(judge)}</h3><p>{NOT_MEASURED}</p>"
    lines = []
    for i, name in enumerate(DIMENSIONS):
        cells = []
        for j, cell in enumerate(matrix[i]):
            strength = min(1.0, abs(cell["value"])) * 45
            colour = "var(--v)" if i == j else "var(--a)"
            cells.append(
                f'<td style="background:color-mix(in srgb, {colour} {strength:.0f}%, transparent)">'
                f"{cell['value']:+.2f}<br><small>{_interval(cell)}</small></td>"
            )
        lines.append(f"<tr><th>{name} asked</th>{''.join(cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in DIMENSIONS)
    table = f'<table class="leak"><thead><tr><th>heard</th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<h3>{_escape(judge)}</h3><div class="scroll">{table}</div>'


def _confusion(counts: Sequence[Sequence[int]], judge: str) -> str:
    picture = confusion_matrix(counts, LABELS, f"confusion matrix of {judge}")
    return f"<figure><figcaption><b>{_escape(judge)}</b></figcaption>{picture}</figure>"


def _labels(lines: Sequence[Mapping[str, Any]], judges: Sequence[str]) -> str:
    names = {
        "label": "label", "n": "n", **{f"recall_{j}": f"recall, {j}" for j in judges}, "spk_similarity": "same voice",
        "f0_mean_st_shift": "F0 mean (st)", "f0_sd_st_shift": "F0 spread (st)", "level_db_shift": "level (dB)",
        "dns_overall_shift": "DNSMOS",
    }  # fmt: skip
    head = "".join(f"<th>{_escape(name)}</th>" for name in names.values())
    body = "".join(
        f"<tr><th>{_escape(line['label'])}</th>"
        + "".join(f'<td class="n">{_number(line[k], k.endswith("shift"))}</td>' for k in list(names)[1:])
        + "</tr>"
        for line in lines
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h3>Each label against neutral of the same text and voice</h3><div class="scroll">{table}</div>'


def _clips(clips: Mapping[str, Sequence[tuple[Row, bytes]]], judges: Sequence[str]) -> str:
    parts = []
    for heading, group in clips.items():
        cards = []
        for row, audio in group:
            heard = "<br>".join(
                f"{_escape(j)}: {_escape(row[f'label_{j}'])} " + _place(row[f"{name}_{j}"] for name in DIMENSIONS)
                for j in judges
                if has_judge(row, j)
            )
            asked = _place(row[f"{name}_asked"] for name in DIMENSIONS)
            cards.append(
                f"<figure><figcaption><b>{_escape(_request_of(row))}</b><span>{_escape(row['voice'])}<br>"
                f"{_escape(row['text'])}<br>asked {asked}<br>{heard}</span></figcaption>"
                f'<audio controls preload="none" src="data:audio/mpeg;base64,{base64.b64encode(audio).decode()}"></audio></figure>'
            )
        parts.append(f'<h3>{_escape(heading)}</h3><div class="clips">{"".join(cards)}</div>')
    return "".join(parts)


def _table(table: Sequence[Mapping[str, Any]]) -> str:
    lines, group = [], None
    for line in table:
        if line["group"] != group:
            group = line["group"]
            lines.append(f'<tr class="group"><th colspan="{2 + len(SYSTEMS)}">{_escape(group)}</th></tr>')
        cells = []
        for system in SYSTEMS:
            value = line["values"][system]
            if value is None:
                cells.append(f'<td class="none">{NOT_MEASURED}</td>')
            else:
                cells.append(
                    f'<td class="n">{value["value"]:.3f}<br><small>{_interval(value)}, {value["n"]}</small></td>'
                )
        lines.append(
            f"<tr><th>{_escape(line['name'])}<br><small>{_escape(line['definition'])}</small></th>"
            f"<td>{_escape(line['judge'])}</td>{''.join(cells)}</tr>"
        )
    head = "".join(f"<th>{_escape(name)}</th>" for name in ("measure", "judge", *SYSTEMS))
    table_ = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll">{table_}</div>'


def _failed(failed: Sequence[Mapping[str, Any]]) -> str:
    if not failed:
        return ""
    items = "".join(f"<li>{_escape(f['voice'])}: {_escape(f['text'])} ({_escape(f['error'])})</li>" for f in failed)
    return f"<section><h2>Could not be judged</h2><ul>{items}</ul></section>"


def _request_of(row: Row) -> str:
    if row["label_asked"] is None:
        return " ".join(f"{name[0].upper()} {row[f'{name}_asked']:+.2f}" for name in DIMENSIONS)
    return (
        str(row["label_asked"])
        if row["intensity_asked"] in (0.0, 1.0)
        else f"{row['label_asked']}:{row['intensity_asked']:g}"
    )


def _place(values: Any) -> str:
    return " ".join(f"{value:+.2f}" for value in values)


def _interval(value: Mapping[str, Any]) -> str:
    return "no interval" if value["low"] is None else f"{value['low']:.2f} to {value['high']:.2f}"


def _number(value: float | None, is_signed: bool) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:+.2f}" if is_signed else f"{value:.2f}"
