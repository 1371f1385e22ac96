"""Imports point downwards only, heavy libraries stay in their rooms, and importing emotts is fast and has no effect."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 350  # lines

# docs/design.md, section 3, from the bottom up. A room may import rooms of lower layers and itself.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("audio", "text", "durable", "strict_json", "workers"),
    ("kernels", "depthwise", "provenance", "compiled"),
    ("layers",),
    ("content", "prosody", "emotion", "speaker", "acoustic.flow", "vocoder"),
    ("acoustic.model", "checkpoint", "data", "metrics"),
    ("judges", "listeners", "reference", "timing"),
    ("request",),
    ("speech", "resolve"),
    ("plan",),
    ("conversion", "batched"),
    ("acceleration",),
    ("pipeline", "training", "simulation"),
    ("loop", "batch", "loading"),
    ("evaluation",),
    ("plotting",),
    ("server",),
    ("cli", "demo", "recipes", "benchmarks", "tests"),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# files of their own in the room of another: the F0 tracker, the pictures of what was heard
ONE_ROOM = {
    "pitch": "audio", "recordings": "audio", "recognition": "judges", "plotting_heard": "plotting",
    "prosody_edit": "timing", "word_times": "timing", "intonation": "timing",
    "telling": "plan", "steps": "plan", "prosody_flow": "prosody", "plotting_conversion": "plotting",
}  # fmt: skip

# library -> where it may be imported (paths from the root)
CONFINED = {
    "hydra": ("recipes/", "tests/", "benchmarks/reproduction.py"),
    "omegaconf": ("recipes/", "tests/", "benchmarks/reproduction.py"),
    "gradio": ("demo/", "tests/"),
    **dict.fromkeys(("fastapi", "uvicorn", "pydantic", "starlette"), ("emotts/server/", "demo/", "tests/")),
    "matplotlib": ("emotts/plotting", "recipes/", "benchmarks/", "tests/"),
    "accelerate": ("emotts/training/", "recipes/", "tests/"),
    "babel": ("emotts/text/cldr.py", "tests/"),
    "pyarrow": ("emotts/data/packed.py", "tests/"),
    "pickle": (),
}
NOT_FOR_SPEAKING = (
    "torchaudio", "hydra", "accelerate", "diffusers", "tensorboard", "matplotlib", "librosa", "scipy", "pyworld",
    "onnxruntime", "faster_whisper", "sklearn",
)  # fmt: skip


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room_of(module: str) -> str | None:
    """Return the room of a dotted module name, None outside emotts and for the package itself."""
    parts = module.split(".")
    if parts[0] != "emotts":
        return parts[0] if parts[0] in LEVEL else None
    if len(parts) == 1 or parts[1] == "__version__":
        return None
    if parts[1] in ("EmoTTS", "Result", "load"):  # public names that the package takes from there
        return "loading" if parts[1] == "load" else "pipeline"
    if parts[1] == "acoustic":
        return (
            "acoustic.model"
            if parts[2:3]
            and parts[2]
            in ("model", "objective", "condition", "blend", "stacked", "sampler", "captured", "student", "distillation")
            else "acoustic.flow"
        )
    return ONE_ROOM.get(parts[1], parts[1])


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return what a file imports, inside functions too; what only the type checker sees does not count."""

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            is_own = node.level > 0 and path.is_relative_to(ROOT / "demo")  # a room of its own, at any depth
            assert is_own or node.level == 0, f"{path}: relative imports hide the room"
            yield "demo" if is_own else str(node.module)
            if str(node.module).startswith("emotts"):  # `from emotts.acoustic import model` names a module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return tuple(walk(ast.parse(path.read_text(encoding="utf-8"))))


def room_graph() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for path in sources("emotts"):
        room = room_of(module_of(path))
        if room is None:
            continue
        for module in imports_of(path):
            other = room_of(module)
            if module.startswith("emotts.") and other is not None and other != room:
                graph.setdefault(room, set()).add(other)
    return graph


def test_every_room_has_a_layer() -> None:
    rooms = {room_of(module_of(path)) for path in sources("emotts")} - {None}
    assert rooms <= LEVEL.keys(), "give the new room its place in docs/design.md and here"


def test_imports_point_downwards_only() -> None:
    wrong = []
    for path in sources("emotts"):
        room = room_of(module_of(path))
        for module in imports_of(path):
            other = room_of(module)
            is_own = module.startswith("emotts.") or module.split(".")[0] in ("recipes", "benchmarks", "tests", "demo")
            if room is None or other is None or other == room or not is_own:
                continue
            if LEVEL[other] >= LEVEL[room]:
                wrong.append(f"{path.relative_to(ROOT)} ({room}) imports {module} ({other})")
    assert not wrong, "\n".join(wrong)


def test_the_package_imports_nothing_at_run_time() -> None:
    tree = ast.parse((ROOT / "emotts/__init__.py").read_text())
    assert not any(
        isinstance(node, ast.Import | ast.ImportFrom) and "typing" not in ast.unparse(node) for node in tree.body
    )


def test_rooms_have_no_cycles() -> None:
    graph = room_graph()

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        return any(
            other == goal or (other not in seen and reaches(other, goal, seen | {other}))
            for other in graph.get(start, ())
        )

    cyclic = [room for room in graph if reaches(room, room, {room})]
    assert not cyclic, cyclic


@pytest.mark.parametrize("library", CONFINED)
def test_a_library_stays_in_its_rooms(library: str) -> None:
    for path in sources("emotts", "recipes", "benchmarks", "tests", "demo"):
        if any(module.split(".")[0] == library for module in imports_of(path)):
            place = path.relative_to(ROOT).as_posix()
            assert place.startswith(CONFINED[library] or ("nowhere",)), f"{place} imports {library}"


def test_no_file_is_longer_than_the_limit() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in sources("emotts", "recipes", "benchmarks", "demo")
        if (n := n_lines(p)) > LONGEST_FILE
    }
    assert not long, f"split these: {long}"


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_every_module_says_what_it_is_for() -> None:
    for path in sources("emotts", "recipes", "benchmarks", "tests"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_nobody_reads_pickles() -> None:
    for path in sources("emotts", "recipes", "benchmarks"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                assert "allow_pickle" not in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_emotts_is_fast_and_light() -> None:
    # Processor time: what the import costs, whatever else the machine is doing.
    start = "import time, sys; t = time.process_time(); import emotts; print(time.process_time() - t, *sys.modules)"
    outputs = [run(start).split() for _ in range(3)]
    assert min(float(output[0]) for output in outputs) < 0.3
    assert not {"torch", "gruut", "matplotlib", "numpy", "librosa", "yaml"} & set(outputs[0][1:])


def test_the_help_imports_nothing_heavy() -> None:
    start = (
        "import sys; from emotts.cli import main\ntry: main(['--help'])\nexcept SystemExit: print('\\n', *sys.modules)"
    )
    assert not {"torch", "gruut", "matplotlib", "numpy", "yaml"} & set(run(start).split())


def test_speaking_needs_no_torchaudio_and_no_training_library(tiny_checkpoint: Path) -> None:
    """A CPU-only torch has no torchaudio that fits; neither it nor an extra may be needed to speak."""
    code = f"""
import sys
from importlib.abc import MetaPathFinder
class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {NOT_FOR_SPEAKING!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Block())
from emotts import EmoTTS
result = EmoTTS.from_pretrained({str(tiny_checkpoint)!r}).synthesize("Hello there.", emotion="happy:0.8", seed=1)
print(len(result.waveform))
"""
    assert int(run(code)) > 2_000
