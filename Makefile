# Everything starts from here: `make search` and `make test` need Python 3.11 and make, no more.

.DEFAULT_GOAL := help
.PHONY: help setup search test pytest test-fast test-slow test-times chaos bench calibrate lint types contracts format lock

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# Several processes, each with whole files: a process is a Python with torch, half a GB. One more
# than there are cores, because those that start Ray or MLflow wait for it.
SPREAD = -n $$(n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n + 1 : 4))) \
	--dist loadfile --no-loadscope-reorder

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv and install everything in it; the others do this where needed
	@echo "$(VENV) is ready"

search: $(INSTALLED) ## run the built-in study, search_spaces/nano.yaml
	@name=nano; n=1; \
	while [ -e studies/$$name ]; do n=$$((n + 1)); name=nano-$$n; done; \
	[ $$n = 1 ] || echo "studies/nano exists: this run is called $$name"; \
	$(BIN)/tuner search search_spaces/nano.yaml --set name=$$name

test: lint contracts ## what CI runs: lint, types, import contracts, all tests but the slow
	@$(MAKE) --no-print-directory -j2 types pytest

pytest: $(INSTALLED)
	$(PYTEST) $(SPREAD) -m "not slow"

test-fast: $(INSTALLED) ## unit tests alone: no Ray, a minute or two
	$(PYTEST) -m "not slow and not integration"

test-slow: $(INSTALLED) ## the tests that take minutes
	$(PYTEST) --durations=30 -m slow

test-times: $(INSTALLED) ## unit tests once more, one by one: fails where one takes too long; wants an idle machine
	$(PYTEST) --strict-times -m "not slow and not integration"

chaos: $(INSTALLED) ## kill and tear studies at 64 random moments, count what is lost: half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos --json benchmarks/results/chaos.json

bench: $(INSTALLED) ## speed, beside what people use today: what two cores can, in 40 minutes
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/control_plane.py
	$(BIN)/python benchmarks/scaling.py
	$(PIP) install 'accelerate>=1.15' # transformers' Trainer needs it, with which the rest compares
	$(BIN)/python benchmarks/search.py --repetitions 1
ifdef TOKENS
	$(BIN)/python benchmarks/throughput.py $(TOKENS) --shape 4x256 --sizes 32 128
else
	@echo "training itself: make bench TOKENS=tokens.npz (see benchmarks/README.md)"
endif

calibrate: $(INSTALLED) ## whether the statistics keep what they promise: 21,000 studies, 10 minutes
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/calibrate.py

lint: $(INSTALLED) ## ruff
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet

types: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

contracts: $(INSTALLED) ## who may import whom
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## put imports and layout right
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

# constraints.txt is the lock: the exact version of everything that pyproject.toml needs, directly
# or not. `make lock` renews it within the ranges there; HELD is what is not raised in passing.
HELD := torch==2.13.0 mlflow==3.17.2

lock: $(INSTALLED) ## renew constraints.txt: the newest versions that pyproject.toml allows
	@echo "resolving the newest versions, with $(HELD)"
	@$(PIP) install --dry-run --ignore-installed --report $(VENV)/report.json -e '.[dev]' $(HELD)
	@$(BIN)/python -c "$$PINS_OF_REPORT" $(VENV)/report.json > $(VENV)/pins.txt
	@mv $(VENV)/pins.txt constraints.txt
	@echo "constraints.txt is renewed; now try it: make test"

define PINS_OF_REPORT
import json, sys
found = [item["metadata"] for item in json.load(open(sys.argv[1]))["install"]]
print("# The lock: the exact versions that make setup installs. Renewed by make lock.")
for package in sorted(found, key=lambda package: package["name"].lower()):
    if package["name"] != "hybrid-batch-tuner":
        print(package["name"], package["version"].partition("+")[0], sep="==")
endef
export PINS_OF_REPORT

PYTHONS := $(or $(PYTHON),python3.11 python3)

$(INSTALLED): pyproject.toml constraints.txt
	@$(BIN)/python -c '' 2> /dev/null || { \
	for python in $(PYTHONS); do \
	    $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        2> /dev/null && { found=$$python; break; }; \
	done; \
	[ -n "$$found" ] || { \
	    echo "Python 3.11 or newer, with its venv module, is needed. Tried: $(PYTHONS)."; \
	    echo "Install it, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; \
	    exit 2; } >&2; \
	echo "making $(VENV) with $$($$found --version)"; \
	$$found -m venv --clear $(VENV); }
	@echo "installing the packages of constraints.txt: some minutes and 2 GB the first time"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
