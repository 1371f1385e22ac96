"""What starts fast stays so: importing the command line and speaking read no library that they do not need."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# library -> why one might be tempted, and why not; each takes 0.03 to 3 s to import
FOR_NO_COMMAND_LINE = (
    "torch", "numpy", "gruut", "gruut_lang_en", "pycrfsuite", "yaml", "soundfile", "soxr", "safetensors", "einops",
    "num2words", "babel", "sqlite3", "matplotlib", "scipy", "librosa", "onnx", "onnxruntime", "hydra", "omegaconf", "gradio",
    "fastapi", "uvicorn", "pydantic", "faster_whisper", "ctranslate2", "sklearn", "transformers", "phonemizer", "jiwer",
    "asyncio", "multiprocessing", "unittest", "http", "email", "ssl",
)  # fmt: skip
FOR_NO_SPEECH = (
    "gruut", "matplotlib", "scipy", "librosa", "hydra", "omegaconf", "gradio", "fastapi", "uvicorn", "pydantic",
    "faster_whisper", "ctranslate2", "sklearn", "transformers", "phonemizer", "jiwer", "torchaudio", "accelerate",
    "tensorboard", "pandas", "soxr", "torch._dynamo", "torch._inductor", "torch.onnx",
)  # fmt: skip
OWN_FOR_NO_SPEECH = ("evaluation", "metrics", "training", "server", "simulation", "loop", "batch", "plotting")


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh process holds at the end."""
    code = f"import sys\n{code}\nprint('modules:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("modules:")[2].split())


def test_importing_the_command_line_reads_nothing_heavy() -> None:
    heavy = set(FOR_NO_COMMAND_LINE) & modules_after("import emotts.cli")
    assert not heavy, f"import these where they are used: {sorted(heavy)}"


@pytest.fixture(scope="module")
def after_speaking(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    output = tmp_path_factory.mktemp("speech") / "hello.wav"
    arguments = ["synthesize", "Hello there.", "--checkpoint", str(tiny_checkpoint), "-o", str(output)]
    found = modules_after(f"from emotts.cli import main\nassert main({arguments!r}) == 0")
    assert output.stat().st_size > 1_000
    return found


def test_speaking_reads_no_library_that_it_does_not_need(after_speaking: set[str]) -> None:
    heavy = set(FOR_NO_SPEECH) & after_speaking
    assert not heavy, f"import these where they are used: {sorted(heavy)}"


def test_speaking_reads_no_room_that_it_does_not_need(after_speaking: set[str]) -> None:
    rooms = {name.split(".")[1] for name in after_speaking if name.startswith("emotts.")}
    assert not rooms & set(OWN_FOR_NO_SPEECH)
