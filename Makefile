.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 1
WORKERS ?= 2
# many tests wait: one more than a small machine has cores
TEST_WORKERS ?= 3
EXTRAS ?= dev,charts,notify,redis,postgres,mongo,llm,optimize,distributed
ORDERS ?= 1000
SCENARIOS ?= 1000
SEEDS ?= 200
KILLS ?= 2000
DAYS ?= 7

SHARED := $(or $(BACKTESTKIT_SHARED),../shared)
RULES ?= $(SHARED)/rules
GOLDEN ?= $(SHARED)/golden

.PHONY: help setup demo test quick lint types check coverage mutation oracles rules golden risk-orders orders crash parity luck soak bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(BIN)/backtestkit: pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python '>=3.11' $(VENV) && uv pip install --quiet --python $(BIN)/python -e '.[$(EXTRAS)]'; \
	else \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")' && \
	  { [ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); } && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'; \
	fi
	@touch $@

setup: $(BIN)/backtestkit  ## make .venv and install the program with its development tools

demo: setup  ## run the main job: backtest the example strategies, no network needed
	$(BIN)/backtestkit backtest ema-cross

test: setup  ## run all tests
	$(BIN)/python -m pytest -q -n $(TEST_WORKERS) --durations=10

quick: setup  ## format check, lint and the fast tests: for every save
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/python -m pytest -q tests/unit tests/house

lint: setup  ## format check and lint
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: setup  ## check types, strictly
	$(BIN)/mypy

check: lint types test  ## is it good? format, lint, types, tests

coverage: setup  ## every branch of engine, measure and model by unit and property tests: below 100 % it fails
	$(BIN)/coverage run -m pytest -q tests/unit tests/property --ignore=tests/unit/plugins/test_deadline.py
	$(BIN)/coverage report

mutation: setup  ## do the tests notice small changes of the rules? (SEED= to draw others, ALL=1 for all)
	PYTHONPATH=tests $(BIN)/python tests/mutation/run.py --seed $(SEED) --workers $(WORKERS) $(if $(ALL),--all)

oracles:  ## recompute the committed values of independent implementations
	@touch pyproject.toml && $(MAKE) --no-print-directory setup EXTRAS=$(EXTRAS),oracles,oracle-statistics
	$(BIN)/python tests/oracles/make.py
	$(BIN)/python tests/oracles/equity_statistics.py
	$(BIN)/python -m pytest -q tests/oracles

rules: setup  ## our engine against an independent implementation (RULES=folder)
	$(BIN)/python tests/golden/run_rules.py $(RULES)

golden: setup  ## the reference policy against vectors of the original (GOLDEN=folder)
	$(BIN)/python tests/golden/run_golden.py $(GOLDEN)

risk-orders: setup  ## risk limits under a thousand random orders of streams (ORDERS=)
	BACKTESTKIT_ORDERS=$(ORDERS) $(BIN)/python -m pytest -q -s tests/property/test_risk_limits.py

orders: setup  ## ten thousand positions on their way through an exchange that fails, and sessions over a hostile one
	BACKTESTKIT_ORDER_RUNS=10000 BACKTESTKIT_ORDER_SEEDS=30 $(BIN)/python -m pytest -q -s --timeout=0 \
		tests/property/test_orders.py tests/e2e/test_order_fuzz.py

crash: setup  ## kill live sessions thousands of times (SEED= to draw others, KILLS= for fewer)
	BACKTESTKIT_SEED=$(SEED) BACKTESTKIT_KILLS=$(KILLS) BACKTESTKIT_KILLS_AT_POINT=20 BACKTESTKIT_STARTS=100 \
	BACKTESTKIT_SIGNALS=500 BACKTESTKIT_ORDER_KILLS=20 $(BIN)/python -m pytest -q -s --timeout=0 tests/crash

parity: setup  ## live sessions against backtests: four forms over 21 days, and a thousand random worlds (SCENARIOS=)
	PYTHONPATH=tests $(BIN)/python tests/parity.py $(SCENARIOS)

luck: setup  ## how often is a search fooled by noise, and how often does it find a planted edge? (SEEDS=)
	PYTHONPATH=tests $(BIN)/python tests/luck.py $(SEEDS)

soak: setup  ## a live session of a week on three symbols, an exchange that fails in one of fifty calls (SEED=, DAYS=)
	PYTHONPATH=tests $(BIN)/python tests/soak.py $(DAYS) $(SEED)

bench: setup  ## speed against other backtesters, as ratios (SEED= to change the candles)
	SEED=$(SEED) $(BIN)/python tests/benchmarks/run.py

clean:  ## remove what tools left behind
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
