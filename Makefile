# The two commands of the README: `make ask Q="..."` and `make test`. Each makes .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Exported and read by the shell, so that quotes in a question stay text.
export Q ?= Are we giving investors a good return via dividends?

LARGE := datasets/finance-terms-large
WORDINGS := glossary-standard glossary-textbook glossary-short

.PHONY: ask test lint train model check-data bench quality clean

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

# The shipped model: the model card's recipe on its 563 pairs.
train: $(VENV)/ready-dev
	$(BIN)/glossrank train src/glossrank/data/finance-terms/train.csv --output build/card \
		--test src/glossrank/data/finance-terms/test.jsonl

# A model of the large data set, from the base and teacher-scored groups of general text
# (docs/training.md says how to make these).
model: $(VENV)/ready-dev
	$(BIN)/glossrank train $(LARGE)/train.jsonl --recipe finance-terms --guard-seeds 0 \
		$(foreach w,$(WORDINGS) auxiliary-long auxiliary-short,--glossary $(LARGE)/$(w).csv) \
		--teacher build/teacher-groups.jsonl --output build/run-a
	grep -v '"source": "auxiliary"' $(LARGE)/train.jsonl > build/train-main.jsonl
	$(BIN)/glossrank train build/train-main.jsonl --recipe finance-terms --guard-seeds 0 \
		$(foreach w,$(WORDINGS),--glossary $(LARGE)/$(w).csv) \
		--set epochs=1 --set seed=7 --set learning_rate=1e-4 \
		--teacher build/teacher-groups.jsonl --output build/run-b
	$(BIN)/python scripts/average_models.py build/run-a build/run-b --output build/finance-terms
	$(BIN)/glossrank calibrate build/finance-terms $(LARGE)/dev.jsonl --every 3 \
		--glossary $(LARGE)/glossary.csv --none $(LARGE)/unanswerable-dev.jsonl --precision bf16

# What the large data set promises, measured.
check-data: $(VENV)/ready-dev
	$(BIN)/python scripts/check_finance_terms.py

# Speed beside sentence-transformers; nothing else should run meanwhile.
bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/speed.py

# Quality of several rankers on the test file. BI_ENCODER: a folder of all-MiniLM-L6-v2.
quality: $(VENV)/ready-dev
	$(BIN)/python benchmarks/quality.py $(if $(BI_ENCODER),--bi-encoder "$(BI_ENCODER)")

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
