# The two commands of the README, and what developers run beside them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What SmartFlow itself needs with its live page, and with the rest what developers use: torch, statsmodels and the tools, twice the time of the first.
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.installed-dev
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

.PHONY: demo serve test suite test-fast soak lint types layers ui bench clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) '.[serve]'
	@touch $@

$(DEVELOPING): $(INSTALLED)
	$(INSTALL) '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## run the main job on the bundled sources, with history replayed before your eyes
	$(BIN)/smartflow demo

serve: $(INSTALLED) ## the live page on the same home, at http://127.0.0.1:8000
	$(BIN)/smartflow serve

ui: $(INSTALLED)    ## the Dagster UI on the same history, at http://127.0.0.1:3000
	$(BIN)/smartflow ui

# A file is run by one worker, since its tests share what they start from, and the longest files come first (conftest.py).
# Bytecode is kept, whatever the shell says: without it each worker compiles a hundred modules of tests anew.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --verbosity=0

test: $(DEVELOPING)  ## everything that must hold before a commit, but for what `soak` runs
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory --jobs=3 suite types layers

suite: $(DEVELOPING)
	$(PYTEST) -m "not soak"

test-fast: $(DEVELOPING)  ## the loop of a working day: core, configuration and doctests
	$(PYTEST) -m "unit and not soak" smartflow_assets smartflow_assets_tests/core smartflow_assets_tests/config

soak: $(DEVELOPING)  ## what takes more than two seconds each: histories in many runs, kills in every stage, searches, the walk through the docs
	$(PYTEST) -m soak

lint: $(DEVELOPING)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .

types: $(DEVELOPING)
	$(BIN)/basedpyright

layers: $(DEVELOPING)
	$(BIN)/lint-imports

bench: $(DEVELOPING)  ## what everything costs, ours and what stands beside it in turn (benchmarks/README.md)
	$(INSTALL) '.[bench]'
	$(BIN)/python benchmarks/bench.py

clean:
	rm -rf $(VENV) build *.egg-info
