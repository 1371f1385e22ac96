"""The model card of a checkpoint: a folder comes in, and what lies beside it of its training; Markdown for people goes out.

What a recipe recorded is told, what nobody recorded is named as unknown, and nothing of it is guessed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emotts.checkpoint.described import METRICS, Described, corpora_in, corpora_text, describe_checkpoint, last_rows
from emotts.checkpoint.layout import MANIFEST, CheckpointError

UNKNOWN = "unknown"
NOT_RECORDED = "Of this nothing was recorded with the model:"
MOST_METRICS, MOST_SETTINGS, MOST_CHARS = 40, 60, 400
USE = {
    "acoustic": "Speech from text with an emotion that is asked for, in the voices below.",
    "student": "The flows of its acoustic model in few steps.",
    "vocoder": "Mel spectrograms and F0 to a waveform.",
    "recognizer": "Emotion in recordings, to measure and to steer speech; not to judge people.",
    "speech_encoder": "Phonemes and content of recordings, to convert and to align them.",
    "reference_voice": "Voices from recordings, with the consent of whoever speaks in them.",
    "judge": "Emotion in recordings, to measure speech that it did not steer; not to judge people.",
    "direction": "A feeling to be asked for, as direction=<file>:<strength>.",
}
WITHOUT_STEPS = ("train_judge",)  # recipes that solve and do not step
NOT_FOR = "To speak as a person who has not agreed, or to deceive about who spoke, is no intended use."
FACTS = (
    "recipe",
    "command",
    "commit",
    "steps",
    "minutes",
    "seed",
    "mode",
    "voices",
    "base",
)  # of a training, in this order
FINETUNE = re.compile(r"finetune(?:_\d+)?")  # what recipes/finetune.py calls its steps


def model_card_text(
    model: str | Path | Described, run: str | Path | None = None, evaluation: str | Path | None = None
) -> str:
    """Return the card as Markdown.

    Args:
        model: folder of a checkpoint, or what something else that a recipe saved says of itself.
        run: the recipe's output folder, with metrics.jsonl; by default the one that holds the checkpoint, if it is one.
        evaluation: report.json of `emotts evaluate`.

    Raises:
        CheckpointError: the folder is no checkpoint.
        ValueError, FileNotFoundError: the run or the evaluation is none.
    """
    told_of = model if isinstance(model, Described) else describe_checkpoint(model)
    configs, metadata = told_of.configs, told_of.metadata
    place = _run_folder(told_of.folder, run)
    trainings = dict(_trainings(metadata, configs))
    unknown: list[str] = []

    def told(name: str, value: Any) -> str:
        if value in (None, "", [], {}):
            unknown.append(name)
            return UNKNOWN
        return _plain(value)

    lines = [f"# {told('name', metadata.get('name') or '')}", ""]
    lines += [f"- Licence: {told('licence', metadata.get('licence'))}"]
    lines += [f"- Manifest (sha256): {told_of.identity[:16]}", f"- Format: {told_of.format}"]
    lines += ["", "## Parts", "", "| part | parameters | class |", "|---|---|---|"]
    counts = told_of.parameters
    lines += [f"| {name} | {counts.get(name, 0):,} | `{config.get('_target_')}` |" for name, config in configs.items()]
    lines += [
        "",
        "## Intended use",
        "",
        *(f"- {USE[n] if n in USE else told(f'use of {n}', None)}" for n in configs),
        f"- {NOT_FOR}",
    ]
    lines += ["", "## Voices", "", *_voices(metadata, configs, told)]
    lines += ["", "## Languages", "", *_languages(metadata, configs, trainings, told)]
    lines += ["", "## Data", "", *_data(metadata, trainings, told)]
    if steps := _steps(trainings):
        lines += ["", "## Steps", "", *steps]
    lines += ["", "## Training", ""]
    for part, facts in trainings.items():
        asked = [key for key in FACTS[:6] if key != "steps" or facts.get("recipe") not in WITHOUT_STEPS]
        lines += [f"### {part}", "", *(f"- {key}: {told(f'{key} of {part}', facts.get(key))}" for key in asked)]
        lines += [f"- {key}: {_plain(facts[key])}" for key in FACTS[6:] if _is_text(facts.get(key))]
        lines += _settings(part, facts.get("config"), told)
    if not trainings:
        lines += [told("training", None), ""]
    lines += ["## Figures", "", *_figures(place, metadata, trainings, evaluation, told)]
    lines += ["", "## Limits", "", *_limits(configs, trainings)]
    lines += ["", "## Not known", ""]
    lines += [NOT_RECORDED, ""] if unknown else []
    lines += [f"- {name}" for name in dict.fromkeys(unknown)] or ["Nothing that this card asks for."]
    return "\n".join(lines).rstrip() + "\n"


def _run_folder(folder: Path, run: str | Path | None) -> Path | None:
    if run is None:
        return folder.parent if (folder.parent / METRICS).is_file() else None
    if not (Path(run) / METRICS).is_file():
        raise FileNotFoundError(f"run {str(run)!r} must be a recipe's output folder; it has no metrics.jsonl.")
    return Path(run)


def _trainings(metadata: Mapping[str, Any], configs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give each training that is recorded, by part; a part that a recipe saved alone says it at the top."""
    recorded = metadata.get("training")
    if isinstance(recorded, dict):
        yield from ((str(name), facts) for name, facts in recorded.items() if isinstance(facts, dict))
    elif "recipe" in metadata or "steps" in metadata:
        yield " and ".join(configs), metadata


def _steps(trainings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Tell what a fine-tuned model was made from, the base first, a row for every step."""
    made = [facts for name, facts in trainings.items() if FINETUNE.fullmatch(name)]
    if not made:
        return []
    lines = ["| step | model or voices | mode | data | licences | minutes | command |", "|---|---|---|---|---|---|---|"]
    base = _base(made[0])
    cells = [base.get(key) for key in ("name", "data", "licence")]
    lines.append(_row("base", cells[0], "", *cells[1:], base.get("minutes", ""), base.get("command", "")))
    for number, facts in enumerate(made, start=1):
        data = f"{facts.get('utterances', UNKNOWN)} utterances, {facts.get('hours', UNKNOWN)} hours"
        cells = [facts.get(key) for key in ("voices", "mode", "licences", "minutes", "command")]
        lines.append(_row(f"fine-tuning {number}", cells[0], cells[1], data, *cells[2:]))
    return lines


def _row(*cells: Any) -> str:
    return f"| {' | '.join(UNKNOWN if cell is None else _plain(cell) for cell in cells)} |"


def _base(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a step of fine-tuning says of the model that it began with."""
    base = facts.get("base")
    return base if isinstance(base, dict) else {}


def _voices(metadata: Mapping[str, Any], configs: Mapping[str, Any], told: Any) -> list[str]:
    names = configs.get("acoustic", {}).get("voices", [])
    if not names:
        return ["This part has no voices."]
    cards = {card.get("name"): card for card in metadata.get("voices", []) if isinstance(card, dict)}
    lines = ["| voice | gender | accent | licence | description |", "|---|---|---|---|---|"]
    for name in names:
        card = cards.get(name, {})
        licence = told(f"licence of the voice {name}", card.get("licence"))
        about = [_plain(card.get(key) or "") for key in ("gender", "accent", "description")]
        lines.append(f"| {_plain(name)} | {about[0]} | {about[1]} | {licence} | {about[2]} |")
    return lines


def _languages(
    metadata: Mapping[str, Any], configs: Mapping[str, Any], trainings: Mapping[str, Mapping[str, Any]], told: Any
) -> list[str]:
    known = configs.get("acoustic", {}).get("text_encoder", {}).get("languages")
    if known:
        return [f"It tells apart {', '.join(map(_plain, known))}."]
    accents = sorted(
        {str(c.get("accent")) for c in metadata.get("voices", []) if isinstance(c, dict) and c.get("accent")}
    )
    if accents:
        return [f"One language, that of its voices: {', '.join(map(_plain, accents))}."]
    lists = [some for facts in trainings.values() if isinstance(some := facts.get("languages"), list)]
    heard = sorted({str(one) for some in lists for one in some})
    return [f"It learnt from {', '.join(map(_plain, heard))}."] if heard else [told("languages", None)]


def _data(metadata: Mapping[str, Any], trainings: Mapping[str, Mapping[str, Any]], told: Any) -> list[str]:
    said = metadata.get("data") or corpora_text(corpora_in(trainings.values()))
    lines = [f"- Corpora: {told('data', said)}"]
    for part, facts in trainings.items():
        hours = facts.get("hours")
        lines.append(f"- {part}: hours {told(f'hours of {part}', hours)}, "
                     f"licences {told(f'licences of the data of {part}', facts.get('licences'))}")  # fmt: skip
    return lines


def _settings(part: str, config: Any, told: Any) -> list[str]:
    if not isinstance(config, dict):
        return [f"- configuration: {told(f'configuration of {part}', None)}", ""]
    flat = list(_flat(config))
    lines = ["", "```yaml", *(f"{key}: {_plain(value)}" for key, value in flat[:MOST_SETTINGS])]
    if len(flat) > MOST_SETTINGS:
        lines.append(f"# and {len(flat) - MOST_SETTINGS} more, in {MANIFEST}")
    return [*lines, "```", ""]


def _figures(
    place: Path | None,
    metadata: Mapping[str, Any],
    trainings: Mapping[str, Mapping[str, Any]],
    evaluation: str | Path | None,
    told: Any,
) -> list[str]:
    lines: list[str] = []
    if place is not None:
        lines += _rows_told("", last_rows(place / METRICS))
    for part, facts in trainings.items():
        lines += _rows_told(f"{part},", facts.get("metrics"))
    if isinstance(metadata.get("figures"), dict):
        lines += [f"- {_plain(key)}: {value:.4g}" for key, value in _numbers(metadata["figures"])]
    for facts in trainings.values():
        base = _base(facts)
        whose = f"of the base {_plain(base.get('name') or UNKNOWN)}, not measured of this model"
        lines += [f"- {_plain(key)} {whose}: {value:.4g}" for key, value in _numbers(base.get("figures"))]
    lines = lines or [f"- of the training: {told('metrics of the training', None)}"]
    if evaluation is None:
        return [*lines, f"- of `emotts evaluate`: {told('evaluation', None)}"]
    return [*lines, "", *_evaluation(Path(evaluation))]


def _rows_told(whose: str, rows: Any) -> list[str]:
    """Tell the last row of metrics.jsonl of each split."""
    lines = []
    for split, row in rows.items() if isinstance(rows, dict) else ():
        told_row = ", ".join(f"{_plain(key)} {value:.6g}" for key, value in _numbers(row))
        lines.append(f"- {_plain(f'{whose} {split}')}, last row of metrics.jsonl: {told_row}")
    return lines


def _evaluation(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"evaluation {str(path)!r} does not exist; give the report.json of `emotts evaluate`.")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        rows = [(r["group"], r["name"], r.get("judge") or "", r["values"]["emotts"]) for r in report["table"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of `emotts evaluate` ({type(error).__name__}).") from None
    lines = [f"`emotts evaluate --suite {_plain(report.get('suite'))}`, {_plain(report.get('date'))}:", ""]
    lines += ["| group | measure | judge | value | 95 % |", "|---|---|---|---|---|"]
    for group, name, judge, value in rows:
        if isinstance(value, dict) and _is_number(value.get("value")):
            between = [value.get(key) for key in ("low", "high")]
            interval = f"{between[0]:.4g} to {between[1]:.4g}" if all(map(_is_number, between)) else ""
            lines.append(f"| {_plain(group)} | {_plain(name)} | {_plain(judge)} | {value['value']:.4g} | {interval} |")
    return lines


def _limits(configs: Mapping[str, Any], trainings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "- What it was not measured on it may do badly; the figures above are of the data and judges that they name."
    ]
    if "acoustic" in configs and "vocoder" not in configs:
        lines.append("- It speaks through a vocoder that learnt nothing. recipes/bundle.py joins it with one that has.")
    elif "vocoder" in configs and "acoustic" not in configs:
        lines.append("- It is a part only and does not speak: acoustic is missing. recipes/bundle.py joins both.")
    if "finetune" in trainings:
        lines.append(
            "- Voices that were fine-tuned sound in feelings that nobody recorded as the other voices taught it."
        )
    return lines


def _numbers(figures: Any) -> list[tuple[str, float]]:
    return [(key, value) for key, value in _flat(figures) if _is_number(value)][:MOST_METRICS]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _plain(value: Any) -> str:
    """Return text that stays in its cell: one line, no markup of tables or code, not endless."""
    said = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    said = " ".join(said.split()).replace("|", "/").replace("`", "'").replace("<", "‹").replace(">", "›")
    return said if len(said) <= MOST_CHARS else f"{said[:MOST_CHARS]}…"


__all__ = ["CheckpointError", "model_card_text"]
