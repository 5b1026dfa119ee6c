# Everything runs from a virtual environment in .venv; each target first brings what it needs.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The lock files name everything. Left to resolve what packages ask for, some pips would look past the lock for extras.
LOCKED := $(PIP) install --no-deps --require-hashes -r
ARGS ?=
# Tests run side by side, one more than the small machines they run on have cores, for many wait; `make test ARGS="-n 0 tests/unit"` runs some of them in one process.
# They are handed out one by one, so that none is left waiting behind another in one process.
PYTEST := $(BIN)/pytest -n 3 --maxschedchunk 1 --cov --cov-report=term

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check bench chaos lock clean

help: ## Print this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name words; do \
		printf '  make %-6s  %s\n' "$$name" "$$words"; done

setup: $(VENV)/.runtime ## Install the program into .venv (.venv/bin/crm-sync)
	@echo "crm_sync is installed: $(BIN)/crm-sync"

demo: $(VENV)/.runtime ## Play a day of support traffic against sandboxes (ONCE=1: stop after the reconciliation)
	@exec $(BIN)/crm-sync demo $(if $(ONCE),--once) $(ARGS)

up: $(VENV)/.runtime ## Run the service here: web, workers and beat, with an embedded Redis and SQLite
	@exec $(BIN)/crm-sync up $(ARGS)

test: $(VENV)/.dev ## Run all tests, on a real Redis and a real PostgreSQL
	@scripts/test-servers $(BIN)/python
	$(PYTEST) $(ARGS)

check: $(VENV)/.dev ## Check format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## Run the benchmarks: one JSON object a line
	@scripts/test-servers $(BIN)/python >&2
	@exec $(BIN)/python tests/bench/run.py $(ARGS)

chaos: $(VENV)/.dev ## Run the fault run: its last line is one JSON object
	@scripts/test-servers $(BIN)/python >&2
	@exec $(BIN)/python tests/chaos/run.py $(ARGS)

lock: $(VENV)/.dev ## Renew the lock files (for maintainers; ARGS=--upgrade takes newer versions)
	@scripts/lock $(BIN)/python $(ARGS)

clean: ## Remove everything that was made here; data directories stay
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find crm_sync tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@python="$$(scripts/find-python)" && echo "Making $(VENV) with $$python" >&2 && "$$python" -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing crm_sync into $(VENV)" >&2
	@$(LOCKED) requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What the program needs is part of what its development needs.
$(VENV)/.dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing crm_sync and its tools into $(VENV)" >&2
	@$(LOCKED) requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@
