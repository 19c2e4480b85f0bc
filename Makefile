# Two commands do everything: `make demo` and `make test`. VENV=... names another virtual environment.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two processes that each start a thread per core get in each other's way.
export OMP_NUM_THREADS ?= 1
# Three processes on two cores: tests that start others wait for them half of the time.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile -m "not slow and not gpu"
# Rooms of pure functions, whose own tests must reach nine lines in ten.
PURE := tests/config tests/query tests/results tests/report

.PHONY: setup demo test lint study clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found; install Python 3.11 or newer" >&2; exit 2; }
	@echo "installing into $(VENV): torch, MONAI, Ray and what they need, a few GB. pip says nothing until it is done,"
	@echo "which takes some minutes the first time; later calls of make skip it."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/alsweep demo

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(PYTEST) --cov --cov-report=term $(PURE)
	$(PYTEST) $(addprefix --ignore=,$(PURE)) tests

# Hours; goes on where it was broken off (docs/study.md).
study: $(STAMP)
	bash analysis/study.sh $(BIN)

clean:
	rm -rf $(VENV) runs
