# Two commands do everything on a machine that has Python 3.11-3.13 and make:
#   make report   sets up .venv, writes the demo data, renders the weekly report
#   make test     sets up .venv, runs every quick test, the linter and the type checker
# and make bench compares its speed with other engines' (tests/benchmarks/README.md).
.DEFAULT_GOAL := setup
.PHONY: setup demo report lab lint types test-quick test test-slow coverage bench docs notebooks lock clean

PERIOD ?= 2026-W46
PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p; done))
BIN := .venv/bin
UV := $(BIN)/uv --quiet
# Where bytecode is switched off every kernel start pays for it in seconds.
export PYTHONDONTWRITEBYTECODE :=
READY := .venv/ready
KERNELS := .venv/kernels

setup: $(READY) $(KERNELS)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3"; exit 2; }
	@test -x $(BIN)/python && test -x $(BIN)/uv || { rm -rf .venv && $(PYTHON) -m venv .venv \
	  && sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt \
	  && $(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt; }
	$(UV) pip sync --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --compile-bytecode --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

# numba compiles a kernel anew when its own file changes, not when a kernel that it calls does.
COMPILED := $(shell find src/analysis -name 'kernels.py' -o -path '*/search/*.py')

$(KERNELS): $(READY) $(COMPILED)
	@find src/analysis -name '*.nb?' -delete
	@touch $@

demo: $(KERNELS) data/demo/manifest.json

data/demo/manifest.json: $(READY) $(wildcard src/analysis/simulation/*.py)
	$(BIN)/workbook demo --to data/demo

report: demo
	$(BIN)/workbook report weekly --period $(PERIOD)

lab: demo
	$(BIN)/workbook lab

notebooks: demo
	$(BIN)/workbook notebooks

lint: $(READY)
	@mkdir -p build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src
	@$(BIN)/lint-imports --no-cache > build/imports.txt || { cat build/imports.txt; exit 1; }

# The library alone: no notebook, report, panel or browser.
LIBRARY := catalog content core correlation engagement eventlog forms funnels journeys plotting \
  project quality segments simulation sources statistics timing

test-quick: lint demo
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(addprefix tests/,$(LIBRARY)) src

test: lint demo
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations=20

# The tests' own types: minutes without mypy's cache.
types: $(READY)
	$(BIN)/mypy

test-slow: types demo
	$(BIN)/python -m pytest -m slow

# Compiled lines cannot be seen; they are left out of the figure.
coverage: demo
	@mkdir -p build
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" -q --cov --cov-report=
	$(BIN)/python -m coverage report --format=total | sed 's/$$/ % of the lines and branches that are not compiled/'
	$(BIN)/python -m coverage html --directory build/coverage

# The engines it compares with live in an environment of their own; .venv stays as it is.
SIZES ?= 5e6 20e6
ROUNDS ?= 6
BENCH := build/bench-venv

bench: $(BENCH)/ready
	$(BENCH)/bin/python tests/benchmarks/run.py --sizes $(SIZES) --rounds $(ROUNDS)

$(BENCH)/ready: $(READY) requirements-bench.lock
	$(UV) venv --clear --python $(BIN)/python $(BENCH)
	$(UV) pip sync --python $(BENCH)/bin/python --require-hashes --compile-bytecode requirements.lock requirements-bench.lock
	$(UV) pip install --python $(BENCH)/bin/python --no-deps --no-build-isolation --compile-bytecode --editable .
	@touch $@

# The site: guide, notebooks and API, from the docstrings and the committed notebooks.
DOCS := build/docs-venv

docs: $(DOCS)/ready demo
	$(DOCS)/bin/python docs/build.py build/site

$(DOCS)/ready: $(READY) requirements-docs.lock
	$(UV) venv --clear --python $(BIN)/python $(DOCS)
	$(UV) pip sync --python $(DOCS)/bin/python --require-hashes requirements.lock requirements-docs.lock
	$(UV) pip install --python $(DOCS)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(READY)
	$(UV) pip compile --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --group dev --upgrade pyproject.toml --output-file requirements.lock
	$(UV) pip compile --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --group bench --constraint requirements.lock --upgrade --output-file requirements-bench.lock
	$(UV) pip compile --universal --generate-hashes --no-header --no-annotate pyproject.toml \
	  --python-version 3.11 --group docs --constraint requirements.lock --upgrade --output-file requirements-docs.lock

clean:
	rm -rf .venv build data/demo reports/index.html $(filter-out reports/definitions/,$(wildcard reports/*/))
