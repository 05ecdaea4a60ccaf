# The two commands of the README, and what developers run beside them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint types layers ui bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

demo: $(STAMP)  ## run the main job on the bundled sources, with history replayed before your eyes
	$(BIN)/smartflow demo

ui: $(STAMP)    ## the Dagster UI on the same history, at http://127.0.0.1:3000
	$(BIN)/smartflow ui

test: lint types layers  ## everything that must hold before a commit
	$(BIN)/python -m pytest -n 2 --dist loadfile --verbosity=0

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
