# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONSAFEPATH = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# The labelled CRIC fields, where they are at hand (see docs/datasets.md for how to get them).
DATA ?= $(firstword $(wildcard data/cric ../shared/data/cric))
CONFIG ?= $(if $(DATA),default,smoke)
OUT ?= runs/$(CONFIG)
PREDICTIONS ?= $(firstword $(wildcard runs/cv/predictions.npz) evaluation/reference/cric-5fold.npz)
# The fold that was looked at while the recipe was designed; figures are given without it too.
DEVELOPMENT_FOLD ?= 1
MODEL ?= models/bundled/cric
HOST ?= 127.0.0.1
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help assets setup demo test test-long train crossvalidate evaluate export serve bench lint format clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.types/tamsoat:
	@mkdir -p .types && ln -sfn .. $@

$(VENV)/.core: pyproject.toml constraints.txt | .types/tamsoat
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.all: $(VENV)/.core
	$(BIN)/pip install -q -c constraints.txt -e '.[train,dev]'
	@touch $@

ASSETS := inference_service/web/static/assets/upload.js

$(ASSETS): package-lock.json vite.config.js tsconfig.json $(shell find inference_service/web/src -name "*.ts")
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --no-audit --no-fund --loglevel=error && npm run --silent build -- --logLevel error; \
	else \
		echo "npm is missing: the upload page is not built (everything else works)."; \
		echo "Install Node.js 20.19 or newer (https://nodejs.org; Debian 13: apt-get install nodejs npm), then: make assets"; \
	fi

assets: $(ASSETS) ## build the web page's modules (needs Node.js 20.19 or newer)

setup: $(VENV)/.all $(ASSETS) ## install everything for development and training into .venv

demo: $(VENV)/.core $(ASSETS) ## screen a generated field and finish a made-up case; prints the link to its page
	@$(BIN)/tamsoat demo --out var/demo

test: $(VENV)/.all $(ASSETS) ## run all tests
	@status=0; \
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long and not alone" || status=1; \
	$(BIN)/python -m pytest -m "alone and not long" || status=1; \
	exit $$status

test-long: $(VENV)/.all ## the full-length runs of kills, tampering and outages (an hour or more)
	$(BIN)/python -m pytest -m long

train: $(VENV)/.all ## train one model: CONFIG=smoke|default|large DATA=folder OUT=folder; resumes by itself
	$(BIN)/tamsoat train run --config $(CONFIG) --out $(OUT) $(if $(filter smoke,$(CONFIG)),--fold 0,--data $(DATA))

crossvalidate: $(VENV)/.all ## train one model per fold and join the out-of-fold predictions (hours on a CPU)
	$(BIN)/tamsoat train crossvalidate --config $(CONFIG) $(if $(filter smoke,$(CONFIG)),,--data $(DATA)) --out runs/cv

evaluate: $(VENV)/.all ## report on out-of-fold predictions: runs/cv if there, else those of the shipped model
	$(BIN)/tamsoat evaluation report $(PREDICTIONS) $(if $(DATA),--data $(DATA)) --development-fold $(DEVELOPMENT_FOLD) --out runs/evaluation

export: $(VENV)/.all ## make the bundle from the run in OUT and the evaluation in runs/evaluation
	$(BIN)/tamsoat train release --weights $(OUT) --predictions $(PREDICTIONS) --data $(DATA) \
		--evaluation runs/evaluation/evaluation.json --out runs/bundle

serve: $(VENV)/.core $(ASSETS) ## start the service on http://$(HOST):$(PORT), at first with an example facility
	$(BIN)/tamsoat serve --example --host $(HOST) --port $(PORT)

bench: $(VENV)/.all ## measure speed and memory as ratios against alternatives
	$(BIN)/python -m tamsoat.benchmarks --model $(MODEL) $(if $(DATA),--data $(DATA))

lint: $(VENV)/.all $(ASSETS) ## ruff, mypy (strict) and the check that the wheel is complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/check_wheel.py

format: $(VENV)/.all ## format the code
	$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

clean: ## remove what the targets made (not .venv)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis var/demo
