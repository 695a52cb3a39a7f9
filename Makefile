# Every target works on a fresh machine: it makes the virtual environment first. `make` alone lists them.
#   make demo [ARGS=...]   the main job, with evidence
#   make test [ARGS=...]   all tests but the soaks; as root it also installs the Debian packages of tests/interop.
#                          With ARGS (for pytest) a part of them, and then no coverage is demanded
#   make soak [ARGS=...]   the long tests
#   make sanitize          the native media worker's tests under AddressSanitizer, UBSan and ThreadSanitizer; `make test` too
#   make fuzz              mutated packets and commands against the native parsers, two million (CUBEPROXY_FUZZ_RUNS)
#   make bench [ARGS=...]  benchmarks beside other programs
#   make compiled          a second environment, the message path compiled by mypyc (two minutes to build)
#   make venv              the virtual environment alone
#   make clean             away with both environments and with what was built or written

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
ARGS ?=
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
COVERAGE_GATE = 95
COMPILED = $(VENV)-compiled
SOURCES = $(shell find cubeproxy lab perf -name '*.py' -o -name '*.[ch]')

.PHONY: help demo test soak sanitize fuzz bench compiled venv packages clean
.DEFAULT_GOAL := help

# The comment at the head of this file.
help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

demo: venv
	@$(BIN)/cubeproxy demo $(ARGS)

test: venv packages
	@$(BIN)/python -m coverage run -m pytest $(if $(ARGS),$(ARGS),--coverage-gate $(COVERAGE_GATE))

soak: venv packages
	@$(BIN)/python -m pytest --soak $(ARGS)

sanitize: venv
	@$(BIN)/python -m pytest tests/media/test_sanitized.py $(ARGS)

fuzz: venv
	@$(BIN)/python -m pytest tests/media/test_native_fuzz.py --soak $(ARGS)

bench: $(VENV)/.ready-bench compiled packages
	@CUBELOAD_COMPILED=$(abspath $(COMPILED))/bin/python $(BIN)/cubeload bench $(ARGS)

compiled: $(COMPILED)/.ready

# Its own environment: tests and coverage want the files as they are written.
$(COMPILED)/.ready: $(VENV)/.ready setup.py $(SOURCES)
	@echo "compiling into $(COMPILED)"
	@$(VENV)/bin/python -m venv --clear $(COMPILED)
	@$(COMPILED)/bin/python -m pip --disable-pip-version-check --quiet install \
		'setuptools>=77,<84' 'mypy[mypyc]>=1.18,<3' cryptography
	@CUBEPROXY_COMPILE=1 $(COMPILED)/bin/python -m pip --disable-pip-version-check --quiet install --no-build-isolation .
	@touch $@

venv: $(VENV)/.ready

# Brought up to date when pyproject.toml changed, made from scratch when its Python does not run. The stamp is
# written last: a set-up that broke off is done again.
$(VENV)/.ready: pyproject.toml setup.py $(wildcard cubeproxy/media/native/*.[ch])
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found" >&2; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP) install --editable '.[test]'
	@touch $@

$(VENV)/.ready-bench: $(VENV)/.ready
	@$(PIP) install --editable '.[bench]'
	@touch $@

packages:
	@tests/interop/install-packages

clean:
	rm -rf $(VENV) $(COMPILED) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist out
