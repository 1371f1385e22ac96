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

.PHONY: help say has-text test samples bench clean
.DELETE_ON_ERROR:

help:
	@echo 'make say TEXT="I can'"'"'t believe you came." EMOTION="happy:0.8" [VOICE=name] [OUT=say.wav]'
	@echo 'make test      check style and types, run the tests'
	@echo 'make samples   write the page of sound samples'
	@echo 'make bench     measure the bundled model and print the table'
	@echo 'make clean     remove what these commands wrote, except $(VENV)'
	@echo 'A first run downloads about 3 GB. Without a GPU, 0.5 GB will do:'
	@echo '  export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu'

say: has-text $(VENV)/.speak
	@force=; if [ "$$OUT" = say.wav ]; then force=--force; fi; \
	$(BIN)/emotts synthesize --emotion="$$EMOTION" --output="$$OUT" $$force $${VOICE:+--voice="$$VOICE"} -- "$$TEXT"

has-text:
	@test -n "$$TEXT" || { echo 'say what? make say TEXT="Hello there." EMOTION="happy:0.8"' >&2; exit 2; }

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

samples: $(VENV)/.bench
	$(BIN)/python benchmarks/samples.py

bench: $(VENV)/.bench
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
	@$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.speak
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,train,plot]'
	@touch $@

$(VENV)/.bench: $(VENV)/.speak
	@$(BIN)/pip install --quiet -c constraints.txt -e '.[eval,plot]'
	@touch $@
