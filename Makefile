# `make demo` and `make test` do all set-up themselves; they need only Python 3.11 or newer. The second time they are quick.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# One thread a process: the test processes share the cores.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

.PHONY: help demo test test-all lint gallery settings zoo bench doctor-bench doctor-pages clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      train LeNet-5 on the bundled Fashion-MNIST and write its report"
	@echo "make test      the tests; test-all adds the slow ones"
	@echo "make lint      ruff and mypy"
	@echo "make gallery   run every example (or NAMES=...) and write docs/gallery.md"
	@echo "make settings  write docs/config.md from the code"
	@echo "make zoo       measure and draw every network and write docs/zoo.md"
	@echo "make bench     measure our loop and networks against others; docs/bench.md, -zoo.md, -language.md"
	@echo "make doctor-bench  hold the doctor against faulty and healthy programs; docs/bench-doctor.md"
	@echo "make doctor-pages  run the faulty programs (or NAMES=...) and write docs/doctor/"
	@echo "make clean     remove .venv, caches and build outputs (not runs/)"

demo: $(VENV)/.ready
	@$(BIN)/netwright train lenet-fashion-mnist --set data=fashion-mnist-small

test: $(VENV)/.ready-dev
	$(TEST)

test-all: $(VENV)/.ready-dev
	$(TEST) -m ""

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

gallery: $(VENV)/.ready
	$(BIN)/python tools/gallery.py $(NAMES)

settings: $(VENV)/.ready
	$(BIN)/python tools/settings_page.py

zoo: $(VENV)/.ready
	$(BIN)/python tools/zoo.py

bench: $(VENV)/.ready-bench
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/zoo.py
	$(BIN)/python benchmarks/language.py

doctor-bench: $(VENV)/.ready
	$(BIN)/python benchmarks/doctor/run.py --jobs 2 --repair
	$(BIN)/python benchmarks/doctor/repairs.py

doctor-pages: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python tools/doctor_pages.py $(NAMES)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv here; install one (Debian: apt install python3-venv), \
	or say which: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp each: what is installed stays until the requirements change.
$(VENV)/.ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes some minutes."
	@$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes some minutes."
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.ready

$(VENV)/.ready-bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes some minutes."
	@$(PIP) --editable '.[all,bench,parity]'
	@touch $@ $(VENV)/.ready
