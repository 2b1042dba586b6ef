# One command each, no prior steps: `make run`, `make test`, `make lint`. `make help` lists them all.
# The environment is .venv; every package in it comes from a lock file and is checked against its hashes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
ARGS ?=

# The test processes and the children they start share one compilation of the sources.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test acceptance lint format bench docs lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.for-run ## install what the server needs, serve demo data on http://127.0.0.1:8080 (ARGS='--port 8081')
	@$(BIN)/headrace serve --demo $(ARGS)

test: .venv/.for-development ## run the test suite (ARGS='-k streams -x' reaches pytest)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

acceptance: .venv/.for-development .venv-sdk/.ready ## drive a real server with the real label-studio-sdk
	@HEADRACE_SDK_PYTHON=$(CURDIR)/.venv-sdk/bin/python $(BIN)/python -m pytest -m acceptance $(ARGS)

lint: .venv/.for-development ## check style, format, types and import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.for-development ## rewrite the sources in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/.for-development ## run the committed benchmarks (ARGS names some of them)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: .venv/.for-development ## write docs/reference.md from the code
	@$(BIN)/python tools/reference.py

lock: $(BIN)/python ## write both lock files from pyproject.toml (ARGS=--upgrade takes the newest versions)
	@[ -x $(BIN)/uv ] || $(PIP) install uv
	@$(BUILD_REQUIREMENTS) > .venv/build.in
	@$(COMPILE) -o requirements.lock pyproject.toml .venv/build.in
	@$(COMPILE) -o requirements-dev.lock --extra dev -c requirements.lock pyproject.toml .venv/build.in

clean: ## remove the environment and the caches, keep the data
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "headrace needs Python 3.11 or newer; none was found on the PATH" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.for-run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing the server's packages into .venv" >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.for-development: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "installing the server's and the development packages into .venv" >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ .venv/.for-run

# The build back-end (editables is its helper) is locked too: installing the package itself fetches nothing unchecked.
BUILD_REQUIREMENTS = $(BIN)/python -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")'
COMPILE = $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate $(ARGS)

.venv-sdk/.ready: requirements-acceptance.lock
	@[ -n "$(PYTHON)" ] || { echo "headrace needs Python 3.11 or newer; none was found on the PATH" >&2; exit 1; }
	@echo "installing label-studio-sdk into .venv-sdk" >&2
	@$(PYTHON) -m venv .venv-sdk
	@.venv-sdk/bin/python -m pip --disable-pip-version-check --quiet --no-input install --require-hashes -r requirements-acceptance.lock
	@touch $@
