# The two commands of the README: `make ask Q="..."` and `make test`. Each makes .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Exported and read by the shell, so that quotes in a question stay text.
export Q ?= Are we giving investors a good return via dividends?

.PHONY: ask test lint train bench quality clean

# The light install: what a user of the package gets.
$(VENV)/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

# Everything: training, tests, linters.
$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable '.[dev]'
	touch $@

ask: $(VENV)/ready
	@$(BIN)/glossrank ask "$$Q"

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The shipped model, by the model card's recipe.
train: $(VENV)/ready-dev
	$(BIN)/glossrank train src/glossrank/data/finance-terms/train.csv --output build/finance-terms \
		--test src/glossrank/data/finance-terms/test.jsonl

# Speed beside sentence-transformers; nothing else should run meanwhile.
bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/speed.py

# Quality of several rankers on the test file. BI_ENCODER: a folder of all-MiniLM-L6-v2.
quality: $(VENV)/ready-dev
	$(BIN)/python benchmarks/quality.py $(if $(BI_ENCODER),--bi-encoder "$(BI_ENCODER)")

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
