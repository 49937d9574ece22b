# `make` alone lists what there is. Needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SCENARIO ?= payment-provider-hang

.DEFAULT_GOAL := help
.PHONY: help run test check unit format lock wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## start the sample stack, break it, print the verdict and the report's path (SCENARIO=..., ARGS=...)
	@$(BIN)/harness run $(SCENARIO) $(ARGS)

test: $(VENV)/.installed-dev ## all tests, the end-to-end runs against the real stack included (ARGS=...)
	@$(BIN)/pytest $(ARGS)

unit: $(VENV)/.installed-dev ## the tests without the end-to-end runs
	@$(BIN)/pytest -m "not end_to_end" $(ARGS)

check: $(VENV)/.installed-dev ## format, lint, types, import rules and the fast tests: what to run before a commit
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache && $(BIN)/pytest -m "not end_to_end and not slow"

format: $(VENV)/.installed-dev ## format the code and fix what the linter can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

wheel: $(VENV)/.installed-dev ## build the wheel into dist/
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . && ls dist

lock: ## resolve the dependencies anew into requirements*.lock (needs uv on the PATH)
	uv pip compile --quiet pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --extra sample --group build -o requirements.lock
	uv pip compile --quiet pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --extra sample --group dev -o requirements-dev.lock

clean: ## remove the environment, caches and build output; runs/ stays
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "harness needs Python >= 3.11; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no venv module: on Debian and Ubuntu install python3-venv" >&2; exit 1; }

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked dependencies (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed | $(VENV)/bin/python
	@echo "installing the test tools (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
