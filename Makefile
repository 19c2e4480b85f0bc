# Two commands do everything: `make demo` and `make test`. VENV=... names another virtual environment.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two processes that each start a thread per core get in each other's way.
export OMP_NUM_THREADS ?= 1
PYTEST := $(BIN)/pytest -m "not slow and not gpu" --durations=25 --durations-min=1
# Rooms of pure functions, whose own tests must reach nine lines in ten.
PURE := tests/config tests/query tests/results tests/report

.PHONY: setup demo test lint lint-and-pure test-pure test-others study clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found; install Python 3.11 or newer" >&2; exit 2; }
	@echo "installing into $(VENV): torch, MONAI, Ray and what they need, a few GB. pip says nothing until it is done,"
	@echo "which takes some minutes the first time; later calls of make skip it."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# Python compiles what it imports, a tenth of all that pip would.
	$(BIN)/pip install -q --no-compile -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/alsweep demo

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# All at once, though the cores be two: of the other tests, those that start processes wait for them
# half of the time. What lint and the pure rooms say comes when they end; whatever fails, the rest
# ends as well, and all have failed.
test: $(STAMP)
	@$(MAKE) --no-print-directory --jobs=3 test-others lint-and-pure

lint-and-pure: $(STAMP)
	@$(MAKE) --no-print-directory --output-sync=target lint test-pure

# In one process: another would import anew all that they need, and with coverage.
test-pure: $(STAMP)
	$(PYTEST) --cov --cov-report=term $(PURE)

# In the order of tests/conftest.py, lest a long file be the last.
test-others: $(STAMP)
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(PURE)) tests

# Hours; goes on where it was broken off (docs/study.md).
study: $(STAMP)
	bash analysis/study.sh $(BIN)

clean:
	rm -rf $(VENV)
