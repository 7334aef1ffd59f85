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

# The model of the large data set (docs/training.md): two runs of the 12-layer teacher, their mean,
# its logits for candidates of the training questions, and a six-layer student of those.
TRAIN := $(BIN)/glossrank train --recipe finance-terms --guard-seeds 0 --set epochs=1
MAIN := $(foreach w,$(WORDINGS),--glossary $(LARGE)/$(w).csv)
AUXILIARY := $(foreach w,auxiliary-long auxiliary-short,--glossary $(LARGE)/$(w).csv)
SHIPPED := --glossary src/glossrank/data/finance-terms/glossary.csv

model: $(VENV)/ready-dev
	grep -v '"source": "auxiliary"' $(LARGE)/train.jsonl > build/train-main.jsonl
	$(TRAIN) build/train-main.jsonl $(MAIN) --base build/teacher --output build/twelve-a \
		--set learning_rate=8e-5 --set seed=11
	$(TRAIN) $(LARGE)/train.jsonl $(MAIN) $(AUXILIARY) --base build/teacher --output build/twelve-b \
		--set learning_rate=8e-5 --set seed=12 --set typo_share=0.5
	$(BIN)/python scripts/average_models.py build/twelve-a build/twelve-b --output build/twelve
	$(BIN)/python scripts/question_groups.py $(LARGE)/train.jsonl build/question-groups.jsonl \
		$(MAIN) $(AUXILIARY) $(SHIPPED)
	head -n 8000 build/question-groups.jsonl > build/question-groups-8000.jsonl
	$(BIN)/python scripts/score_groups.py build/twelve build/question-groups-8000.jsonl \
		build/scored-questions.jsonl --precision bf16
	tail -n 1400 build/teacher-groups.jsonl | cat build/scored-questions.jsonl - > build/both-groups.jsonl
	$(TRAIN) build/train-main.jsonl $(MAIN) --teacher build/teacher-groups.jsonl \
		--output build/six-before --set learning_rate=1e-4 --set seed=7
	$(TRAIN) build/train-main.jsonl $(MAIN) $(SHIPPED) --teacher build/both-groups.jsonl \
		--base build/six-before --output build/finance-terms --set learning_rate=1e-4 \
		--set seed=21 --set typo_share=0.5 --set questions_per_step=8 --set negatives=3 \
		--set teacher_share=1 --set teacher_groups=8 --set teacher_weight=1
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
