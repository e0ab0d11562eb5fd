PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml requirements.lock $(wildcard gslb/dns/_wire*.px*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## make .venv and install the package with its locked dependencies

.PHONY: run
run: install ## the demo: DNS, two Envoy edges and tiny backends on loopback
	@$(BIN)/gslb demo

.PHONY: test
test: install ## every test, two at a time where they do not meet
	$(BIN)/pytest -n 2

.PHONY: lint
lint: install ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.PHONY: check
check: lint test ## what CI runs

.PHONY: bench
bench: install ## measure, side by side with the peer; figures go to docs/performance.md
	$(BIN)/python -m bench

.PHONY: flood
flood: install ## flood the DNS loop at three times what it can read; figures go to docs/reliability.md
	$(BIN)/python -m bench.flood

CHAOS_ROUNDS ?= 4
MUTATIONS ?= 10000
WALK_STEPS ?= 300
STORE_AWAY_S ?= 1800

.PHONY: chaos
chaos: install ## minutes of failures: MUTATIONS wrong policies, WALK_STEPS changes in any order, sites in network namespaces (CHAOS_ROUNDS each way, needs root), etcd, a fleet whose store is away for STORE_AWAY_S
	MUTATIONS=$(MUTATIONS) $(BIN)/pytest -q tests/api/test_mutated.py
	WALK_STEPS=$(WALK_STEPS) WALK_SEED=$$$$ $(BIN)/pytest -q tests/e2e/test_walk.py
	CHAOS_ROUNDS=$(CHAOS_ROUNDS) STORE_AWAY_S=$(STORE_AWAY_S) $(BIN)/pytest -s -m chaos

.PHONY: properties
properties: install ## every property with all its examples, drawn anew; `make test` tries a quarter of them
	PROPERTY_EFFORT=1 $(BIN)/pytest -n 2 tests/property tests/unit/model/test_fuzz.py

FUZZ_S ?= 300

.PHONY: fuzz
fuzz: install ## the native wire under ASan beside the pure one, for FUZZ_S seconds (better after pip install atheris)
	@sh tests/fuzz/run.sh $(BIN)/python $(FUZZ_S)

GAMES ?= 10000

.PHONY: simulate
simulate: install ## GAMES games of verdicts in a virtual world that breaks; a seed that goes wrong is printed
	@$(BIN)/python -m bench.simulate --games $(GAMES)

.PHONY: golden
golden: install ## write the golden files anew
	GOLDEN_UPDATE=1 $(BIN)/pytest -q tests/golden

.PHONY: lock
lock: ## resolve the dependencies anew
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --extra dev --output-file requirements.lock pyproject.toml
