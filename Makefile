# Each target sets up what it needs; `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
KEY := $(shell cat pyproject.toml constraints.txt | cksum | tr ' ' '-')
RUN := $(VENV)/.run-$(KEY)
DEV := $(VENV)/.dev-$(KEY)
PORT ?= 8080
DATABASE ?= sqlite:///var/fhir.db
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install serve test lint format bench torture constraints clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

install: $(DEV) ## Set up .venv with the server and all development tools

serve: $(RUN) ## Start the server with content and demo patients (PORT=8080 DATABASE=sqlite:///var/fhir.db)
	@mkdir -p var
	$(BIN)/fhir-server serve --host 127.0.0.1 --port $(PORT) --database $(DATABASE) --demo

test: $(DEV) ## Run all tests on SQLite and PostgreSQL
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not torture" --require-postgresql

lint: $(DEV) ## Check style, types, the direction of imports and the shipped content
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m fhir_server.cli.main content check

format: $(DEV) ## Rewrite the sources in the common style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## Measure the figures of docs/benchmarks.md (var/benchmarks; hours)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.scoring

torture: $(DEV) ## Run the fault tests in full
	$(BIN)/pytest -q -n 0 tests/torture tests/oracle --require-postgresql
	$(BIN)/pytest -q -n 0 tests/e2e tests/operations -m torture --require-postgresql

constraints: $(DEV) ## Pin the versions now installed in constraints.txt
	$(BIN)/python tools/pin_constraints.py > constraints.new && mv constraints.new constraints.txt

clean: ## Remove the virtual environment and all that was built
	rm -rf $(VENV) build dist var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@python=; for candidate in python3.11 python3 python3.12 python3.13; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed and was not found; install it (Debian: apt install python3)." >&2; exit 1; fi; \
	if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; fi; \
	$$python -m venv $(VENV) || { rm -rf $(VENV); echo "$$python -m venv failed; see above." >&2; exit 1; }

$(RUN): | $(BIN)/python
	$(PIP) --editable '.[postgres]'
	@rm -f $(VENV)/.run-* && touch $@

$(DEV): | $(BIN)/python
	$(PIP) --editable '.[postgres,dev]'
	@rm -f $(VENV)/.run-* $(VENV)/.dev-* && touch $@ $(RUN)
