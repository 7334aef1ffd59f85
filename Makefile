# The two commands of the README: `make ask Q="..."` and `make test`. Each makes .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Exported and read by the shell, so that quotes in a question stay text.
export Q ?= Are we giving investors a good return via dividends?

LARGE := datasets/finance-terms-large
WORDINGS := glossary-standard glossary-textbook glossary-short

.PHONY: ask serve test lint train model bi-encoder-there check-data bench quality clean

# The light install: what a user of the package gets.
$(VENV)/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

# Everything: training, tests, linters. DEV=dev,clients adds the client libraries of others, whose tests are
# left out without them.
DEV ?= dev
$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable '.[$(DEV)]'
	touch $@

# The server's extra beside it.
$(VENV)/ready-serve: $(VENV)/ready
	$(PIP) --editable '.[serve]'
	touch $@

ask: $(VENV)/ready
	@$(BIN)/glossrank ask "$$Q"

# The page for people and the rerank APIs, at http://127.0.0.1:8080.
serve: $(VENV)/ready-serve
	@$(BIN)/glossrank serve $(SERVE)

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The model card's recipe on its 563 pairs.
train: $(VENV)/ready-dev
	$(BIN)/glossrank train src/glossrank/data/finance-terms/train.csv --output build/card \
		--test src/glossrank/data/finance-terms/test.jsonl

# The shipped model (docs/training.md) in two rounds. The first: three runs of the 12-layer teacher,
# their mean, its logits for candidates of the training questions and of questions that name a
# topic, and a six-layer student of those in four stages, after a start without a teacher.
TRAIN := $(BIN)/glossrank train --recipe finance-terms --guard-seeds 0 --set epochs=1
MAIN := $(foreach w,$(WORDINGS),--glossary $(LARGE)/$(w).csv)
AUXILIARY := $(foreach w,auxiliary-long auxiliary-short,--glossary $(LARGE)/$(w).csv)
AUXILIARY_2 := $(foreach w,auxiliary-2-long auxiliary-2-short,--glossary $(LARGE)/$(w).csv)
SHIPPED := --glossary src/glossrank/data/finance-terms/glossary.csv
ALL := $(MAIN) $(SHIPPED) $(AUXILIARY)
SCORE := $(BIN)/python scripts/score_groups.py
STUDENT := --set typo_share=0.5 --set teacher_share=1 --set teacher_weight=1

build/six-four: | $(VENV)/ready-dev
	grep -v '"source": "auxiliary"' $(LARGE)/train.jsonl > build/train-main.jsonl
	$(TRAIN) build/train-main.jsonl $(MAIN) --base build/teacher --output build/twelve-a \
		--set learning_rate=8e-5 --set seed=11
	$(TRAIN) $(LARGE)/train.jsonl $(MAIN) $(AUXILIARY) --base build/teacher --output build/twelve-b \
		--set learning_rate=8e-5 --set seed=12 --set typo_share=0.5
	$(TRAIN) $(LARGE)/train.jsonl $(ALL) --base build/teacher --output build/twelve-c \
		--set learning_rate=8e-5 --set seed=13 --set typo_share=0.5
	$(BIN)/python scripts/average_models.py build/twelve-a build/twelve-b build/twelve-c \
		--output build/twelve
	$(BIN)/python scripts/question_groups.py $(LARGE)/train.jsonl build/question-groups.jsonl $(ALL)
	$(BIN)/python scripts/topic_groups.py $(LARGE)/topics.jsonl build/topic-groups.jsonl $(ALL)
	$(BIN)/python scripts/topic_groups.py $(LARGE)/train.jsonl build/naming-groups.jsonl $(ALL)
	for part in question topic naming; do \
		$(SCORE) build/twelve build/$$part-groups.jsonl build/scored-$$part.jsonl --precision bf16 || exit 1; done
	$(BIN)/python scripts/add_shared_words.py $(LARGE)/train.jsonl build/scored-question.jsonl \
		build/with-words.jsonl $(ALL)
	$(BIN)/python scripts/add_topic_bonus.py build/scored-topic.jsonl build/with-topic.jsonl \
		--bonus 3 --times 6
	$(BIN)/python scripts/add_topic_bonus.py build/scored-naming.jsonl build/with-naming.jsonl --bonus 1
	tail -n 1400 build/teacher-groups.jsonl > build/general-groups.jsonl
	cat build/with-words.jsonl build/general-groups.jsonl > build/groups-one.jsonl
	cat build/with-naming.jsonl build/with-topic.jsonl build/groups-one.jsonl > build/groups-two.jsonl
	$(TRAIN) build/train-main.jsonl $(MAIN) --teacher build/teacher-groups.jsonl \
		--output build/six-start --set learning_rate=1e-4 --set seed=7
	$(TRAIN) build/train-main.jsonl $(MAIN) $(SHIPPED) --teacher build/groups-one.jsonl \
		--base build/six-start --output build/six-one $(STUDENT) --set learning_rate=1e-4 --set seed=21 \
		--set questions_per_step=8 --set negatives=3 --set teacher_groups=8
	$(TRAIN) $(LARGE)/train.jsonl $(ALL) --teacher build/groups-one.jsonl \
		--base build/six-one --output build/six-two $(STUDENT) --set learning_rate=1e-4 --set seed=31 \
		--set questions_per_step=8 --set negatives=2 --set teacher_groups=10
	$(TRAIN) $(LARGE)/train.jsonl $(ALL) --teacher build/groups-two.jsonl \
		--base build/six-two --output build/six-three $(STUDENT) --set learning_rate=1e-4 --set seed=41 \
		--set questions_per_step=12 --set negatives=1 --set teacher_groups=10
	$(BIN)/python scripts/average_models.py build/six-two build/six-three --output build/six-mean
	$(BIN)/python scripts/draw_lines.py $(LARGE)/train.jsonl build/train-part.jsonl --count 3360 --seed 9
	$(TRAIN) build/train-part.jsonl $(ALL) --teacher build/groups-two.jsonl \
		--base build/six-mean --output build/six-four $(STUDENT) --set learning_rate=5e-5 \
		--set seed=51 --set questions_per_step=12 --set negatives=2 --set teacher_groups=10 \
		--set averaged_share=0.4

# The second round, with the questions and auxiliary terms that were written later: the 12-layer
# model in two steps, its logits mixed with those of the first round's student, and a last stage
# of the student. BI_ENCODER: a folder of all-MiniLM-L6-v2.
EVERY_TERM := $(ALL) $(AUXILIARY_2)

bi-encoder-there:
	@test -f "$(BI_ENCODER)/model.safetensors" || { \
		echo "make model BI_ENCODER=FOLDER: a folder of all-MiniLM-L6-v2 is needed" >&2; exit 2; }

model: $(VENV)/ready-dev bi-encoder-there build/six-four
	$(TRAIN) $(LARGE)/train.jsonl $(ALL) --base build/teacher --output build/twelve-1 \
		--set learning_rate=8e-5 --set seed=61 --set typo_share=0.5 --set negatives=4
	$(BIN)/python scripts/draw_lines.py $(LARGE)/train.jsonl build/old-part.jsonl --count 2500 --seed 9
	cat $(LARGE)/train-2.jsonl build/old-part.jsonl > build/round-two.jsonl
	$(BIN)/python scripts/question_groups.py build/round-two.jsonl build/two-groups.jsonl \
		$(EVERY_TERM) --bi-encoder $(BI_ENCODER) --wrong 7 --near 5 --label-score 4
	grep -h '"source": "unanswerable"' $(LARGE)/train-2.jsonl > build/hard.jsonl
	$(BIN)/python scripts/draw_lines.py $(LARGE)/train.jsonl build/old-few.jsonl --count 820 --seed 3
	cat build/old-few.jsonl >> build/hard.jsonl
	$(TRAIN) build/hard.jsonl $(EVERY_TERM) --teacher build/two-groups.jsonl --base build/twelve-1 \
		--output build/twelve-2 $(STUDENT) --set learning_rate=6e-5 --set seed=62 \
		--set questions_per_step=4 --set negatives=2 --set teacher_groups=10
	head -n 18000 build/two-groups.jsonl > build/two-part.jsonl
	$(BIN)/python scripts/topic_groups.py $(LARGE)/topics.jsonl build/topic-2.jsonl $(EVERY_TERM)
	$(BIN)/python scripts/topic_groups.py $(LARGE)/train-2.jsonl build/naming-all.jsonl $(EVERY_TERM)
	head -n 800 build/naming-all.jsonl > build/naming-2.jsonl
	for part in topic-2 naming-2 two-part; do \
		$(SCORE) build/twelve-2 build/$$part.jsonl build/twelve-$$part.jsonl --precision bf16 || exit 1; done
	$(SCORE) build/six-four build/two-part.jsonl build/six-two-part.jsonl --precision bf16
	$(BIN)/python scripts/mix_scores.py build/two-mixed.jsonl --right-bonus 2 \
		--part build/twelve-two-part.jsonl 0.65 --part build/six-two-part.jsonl 0.35
	$(BIN)/python scripts/add_shared_words.py build/round-two.jsonl build/two-mixed.jsonl \
		build/two-words.jsonl $(EVERY_TERM)
	$(BIN)/python scripts/add_topic_bonus.py build/twelve-topic-2.jsonl build/topic-2-bonus.jsonl \
		--bonus 3 --times 3
	$(BIN)/python scripts/add_topic_bonus.py build/twelve-naming-2.jsonl build/naming-2-bonus.jsonl --bonus 1
	head -n 1400 build/teacher-groups.jsonl > build/general-2.jsonl
	cat build/two-words.jsonl build/topic-2-bonus.jsonl build/naming-2-bonus.jsonl \
		build/general-2.jsonl > build/groups-three.jsonl
	grep -v '"source": "unanswerable"' $(LARGE)/train-2.jsonl > build/new-answered.jsonl
	$(BIN)/python scripts/draw_lines.py build/new-answered.jsonl build/new-part.jsonl --count 7600 --seed 5
	grep -h '"source": "unanswerable"' $(LARGE)/train.jsonl $(LARGE)/train-2.jsonl > build/hard-student.jsonl
	cat build/new-part.jsonl >> build/hard-student.jsonl
	$(TRAIN) build/hard-student.jsonl $(EVERY_TERM) --teacher build/groups-three.jsonl \
		--base build/six-four --output build/six-five $(STUDENT) --set learning_rate=1e-4 \
		--set seed=71 --set questions_per_step=4 --set negatives=2 --set teacher_groups=10 \
		--set averaged_share=0.25
	$(BIN)/python scripts/average_models.py build/six-five build/six-five \
		build/six-four build/six-four build/six-four --output build/finance-terms
	$(BIN)/glossrank calibrate build/finance-terms $(LARGE)/dev.jsonl --every 2 \
		--glossary $(LARGE)/glossary.csv --none $(LARGE)/unanswerable-dev.jsonl --precision bf16

# What the large data set promises, measured.
check-data: $(VENV)/ready-dev
	$(BIN)/python scripts/check_finance_terms.py

# Speed and memory beside the other libraries (docs/benchmarks.md), which the first run installs
# under build/peers; nothing else should run meanwhile. BENCH: options, such as BENCH=--quick.
bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/bench.py $(BENCH)

# Quality of several rankers on the test file. BI_ENCODER: a folder of all-MiniLM-L6-v2.
quality: $(VENV)/ready-dev
	$(BIN)/python benchmarks/quality.py $(if $(BI_ENCODER),--bi-encoder "$(BI_ENCODER)")

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
