# Everything runs in .venv, which is made here. Needs Python 3.11 or newer, and make.
#
#   make demo               the example project with Mollie's sandbox, on PORT (8000)
#   make test               the tests, with coverage, on all cores (PROCESSES); a part of them: ARGS="--no-cov -k …"
#   make fuzz               100,000 hostile examples, other ones each time; FUZZ_EXAMPLES=… for more or fewer, a part: ARGS="-k …"
#   make lint               everything that reads the code without running it
#   make bench              the benchmarks
#   make faults             every flow through every crash and fault, and the README's table of them
#   make screenshots        the README's pictures, in docs
#   make messages           bring the message catalogues up to date with the source, and compile them
#   make clean              remove what was made here, the demo's data included; .venv stays

PORT ?= 8000
HOST ?= 127.0.0.1
ARGS ?=
PROCESSES ?= auto
# The first that is new enough and can make a virtual environment.
PYTHON ?= $(shell for python in python3.11 python3 python3.13 python3.12 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet
MANAGE := $(BIN)/python example_project/manage.py
TEMPLATES := find mollie_onboarding example_project -path '*/templates/*' -name '*.html'
# An editable install compiles the catalogues, so it is made again when one changes.
SOURCES := pyproject.toml hatch_build.py $(wildcard mollie_onboarding/locale/*/LC_MESSAGES/*.po)

export PORT
export PYTHONUNBUFFERED = 1

.PHONY: help demo test fuzz lint bench faults screenshots messages clean

help:
	@sed -n 's/^#   make/make/p' Makefile

demo: $(VENV)/installed-demo
	$(MANAGE) check
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) seed_demo --history
	$(MANAGE) runserver --noreload $(HOST):$(PORT)

test: $(VENV)/installed-test
	$(BIN)/pytest --numprocesses=$(PROCESSES) --dist=worksteal --cov --cov-report=term $(ARGS)

# Without the logs, which pytest keeps of all examples of a test. What fails is printed with how to bring it back.
fuzz: $(VENV)/installed-test
	FUZZ_PROFILE=fuzz $(BIN)/pytest --numprocesses=$(PROCESSES) --dist=worksteal --no-cov -p no:logging --show-capture=no -v --durations=0 tests/fuzz $(ARGS)

lint: $(VENV)/installed-lint
	$(BIN)/ruff check --output-format=concise
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/python -m mypy
	$(TEMPLATES) -exec $(BIN)/djade --check --target-version 5.2 {} +
	$(BIN)/python -m django makemigrations --check --dry-run --settings=tests.settings
	EXAMPLE_DIRECTORY=$(VENV)/lint $(MANAGE) makemigrations --check --dry-run shop

screenshots: $(VENV)/installed-test
	$(BIN)/pytest --no-cov -p no:randomly tests/browser/take_screenshots.py

bench: $(VENV)/installed-bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

faults: $(VENV)/installed-test
	$(BIN)/python -m tests.faults $(ARGS)

messages: $(VENV)/installed-messages
	$(BIN)/python -m tests.catalogues
	$(BIN)/python hatch_build.py

clean:
	rm -rf example_project/var build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache tests/artifacts
	find mollie_onboarding example_project tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv found; name one: make demo PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Dependency groups need pip 25.1.
$(VENV)/installed-pip: | $(BIN)/python
	$(INSTALL) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/installed-demo: $(SOURCES) | $(VENV)/installed-pip
	$(INSTALL) --editable '.[example]'
	@touch $@

$(VENV)/installed-test $(VENV)/installed-lint $(VENV)/installed-bench $(VENV)/installed-messages: $(VENV)/installed-%: $(SOURCES) | $(VENV)/installed-pip
	$(INSTALL) --editable . --group $*
	@touch $@

