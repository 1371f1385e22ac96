# Two commands matter: `make say TEXT="..." EMOTION="happy:0.8"` and `make test`. Both set up .venv on their first run.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TEXT ?=
EMOTION ?= neutral
VOICE ?=
OUT ?= say.wav

# The texts reach the shell through the environment, so that quotes, apostrophes and dollars in them stay what they are.
override TEXT := $(value TEXT)
override EMOTION := $(value EMOTION)
override VOICE := $(value VOICE)
override OUT := $(value OUT)
export TEXT EMOTION VOICE OUT
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help say has-text demo serve test samples bench screenshots clean
.DELETE_ON_ERROR:

help:
	@echo 'make say TEXT="I can'"'"'t believe you came." EMOTION="happy:0.8" [VOICE=name] [OUT=say.wav]'
	@echo 'make demo      open the interactive page on this machine'
	@echo 'make serve     answer OpenAI clients on this machine'
	@echo 'make test      check style and types, run the tests'
	@echo 'make screenshots  take the pictures of the page that the README shows'
	@echo 'make samples   write the page of sound samples'
	@echo 'make bench     measure speed, other systems beside it, then how the bundled model speaks'
	@echo 'make clean     remove what these commands wrote, except $(VENV)'
	@echo 'A first run downloads about 3 GB. Without a GPU, 0.5 GB will do:'
	@echo '  export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu'

say: has-text $(VENV)/.speak
	@force=; if [ "$$OUT" = say.wav ]; then force=--force; fi; \
	$(BIN)/emotts synthesize --emotion="$$EMOTION" --output="$$OUT" $$force $${VOICE:+--voice="$$VOICE"} -- "$$TEXT"

has-text:
	@test -n "$$TEXT" || { echo 'say what? make say TEXT="Hello there." EMOTION="happy:0.8"' >&2; exit 2; }

demo: $(VENV)/.demo
	$(BIN)/emotts demo

serve: $(VENV)/.serve
	$(BIN)/emotts serve

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

screenshots: $(VENV)/.test
	$(BIN)/python benchmarks/screenshots.py

samples: $(VENV)/.bench
	$(BIN)/python benchmarks/samples.py

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/rtf.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/speak.py

clean:
	rm -rf say.wav say.wav.json samples build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print | xargs rm -rf

$(VENV)/.speak: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	{ echo 'emotts needs Python 3.11 to 3.13; got "$(PYTHON)". Try: make $(MAKECMDGOALS) PYTHON=python3.11' >&2; exit 1; }
	@test -x $(BIN)/pip || { $(PYTHON) -m venv $(VENV) >$(VENV).log 2>&1 && rm $(VENV).log; } || \
	{ rm -rf $(VENV); cat $(VENV).log; rm $(VENV).log; \
	echo 'The environment could not be made. On Debian: apt install python3-venv. Then run make again.' >&2; exit 1; }
	@echo 'Installing into $(VENV), once; this takes a few minutes.' >&2
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[onnx]'
	@touch $@

$(VENV)/.demo: $(VENV)/.speak
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.serve: $(VENV)/.speak
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[serve]'
	@touch $@

# The tests of the page need a browser: the system's, or Debian's, or the one that Playwright brings.
$(VENV)/.test: $(VENV)/.speak
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,train,plot,demo,serve,espeak,japanese,thai,slurm,sweep,onnx]'
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  { apt-get install -qq -y chromium >/dev/null || { apt-get update -qq && apt-get install -qq -y chromium >/dev/null; }; }; } || \
	$(BIN)/playwright install chromium || \
	{ echo 'The tests of the page need Chromium; install it (Debian: apt install chromium), then run make test again.' >&2; exit 1; }
	@touch $@

$(VENV)/.bench: $(VENV)/.speak
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[eval,plot,simulate,peers]'
	@touch $@
