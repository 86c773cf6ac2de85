# Yilian 医链. `make demo` tells the whole story; `make test` passes the tests. Nothing else to set up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
PYTHON := $(shell command -v python3.12 || command -v python3.11 || command -v python3)
RUN := .venv/bin/

# Parameters: DATA=folder HEADLESS=1 REPORT=file LANG_=zh|en (demo); TESTS=path (test)
DATA ?=
HEADLESS ?=
REPORT ?=
TESTS ?= tests
WORKERS ?= 2

.PHONY: help install demo test check bench soak mutation clean

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12
	@echo "parameters: demo DATA=folder HEADLESS=1 REPORT=file; test TESTS=path WORKERS=n"

.tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv, or https://www.python.org"; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.installed: uv.lock pyproject.toml | $(filter .tools/bin/uv,$(UV))
	$(UV) sync --locked --quiet
	@touch $@

install: .venv/.installed ## a virtual environment in .venv with the locked packages; leaves .venv/bin/yilian

demo: install ## the whole story: three hospitals, a patient, a doctor, an auditor
	$(RUN)yilian demo $(if $(DATA),--data '$(DATA)') $(if $(HEADLESS),--headless) $(if $(REPORT),--report '$(REPORT)')

test: install ## all tests
	$(RUN)python -m pytest $(TESTS) -n $(WORKERS) --dist loadfile

check: install ## format, lint, types, import contracts
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

bench: install ## measurements beside their named peers, as ratios
	$(RUN)python -m scripts.bench

soak: install ## the fault tests with full counts
	YILIAN_TEST_SOAK=1 $(RUN)python -m pytest tests/faults -n 1

mutation: install ## mutation score of what guards patients' data
	$(RUN)python -m scripts.mutation

clean: ## remove what was installed and built here
	rm -rf .venv .tools .mypy_cache .ruff_cache .hypothesis .yilian .bench
