# The two commands of the README, and what developers run beside them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-fast soak lint types layers ui bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

demo: $(STAMP)  ## run the main job on the bundled sources, with history replayed before your eyes
	$(BIN)/smartflow demo

ui: $(STAMP)    ## the Dagster UI on the same history, at http://127.0.0.1:3000
	$(BIN)/smartflow ui

# A file is run by one worker, since its tests share what they start from, and the longest files come first (conftest.py).
# Bytecode is kept, whatever the shell says: without it each worker compiles a hundred modules of tests anew.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --verbosity=0

test: $(STAMP)  ## everything that must hold before a commit, but for what `soak` runs
	$(MAKE) --no-print-directory --jobs=2 lint types layers
	$(PYTEST) -m "not soak"

test-fast: $(STAMP)  ## the loop of a working day: core, configuration and doctests
	$(PYTEST) -m unit smartflow_assets smartflow_assets_tests/core smartflow_assets_tests/config

soak: $(STAMP)  ## what takes long by its nature: histories in many runs, kills in every stage, searches, the walk through the docs
	$(PYTEST) -m soak

lint: $(STAMP)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/basedpyright

layers: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP)  ## CPU seconds and memory of a full cycle; figures are for this machine only
	$(BIN)/python benchmarks/cycle.py

clean:
	rm -rf $(VENV) build *.egg-info
