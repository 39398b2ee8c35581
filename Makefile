# `make demo` and `make test` each set up what they need and work from a clean clone.

PYTHON ?= python3.11
PYTHON := $(shell command -v $(PYTHON) >/dev/null 2>&1 && echo $(PYTHON) || echo python3)
VENV_DEMO := .venv-demo
VENV_TEST := .venv-test
INSTALL = install --disable-pip-version-check --constraint constraints.txt
export PIP_CONSTRAINT =

.PHONY: demo test check format clean

demo: $(VENV_DEMO)/.installed
	$(VENV_DEMO)/bin/hetero demo --out runs/demo

test: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/python -m pytest

# Formatting, lint, types and import contracts.
check: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/ruff format --check .
	$(VENV_TEST)/bin/ruff check .
	$(VENV_TEST)/bin/pyright
	$(VENV_TEST)/bin/lint-imports

format: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/ruff format .
	$(VENV_TEST)/bin/ruff check --fix .

$(VENV_DEMO)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV_DEMO)
	$(VENV_DEMO)/bin/pip $(INSTALL) --editable '.[demo]'
	touch $@

$(VENV_TEST)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV_TEST)
	$(VENV_TEST)/bin/pip $(INSTALL) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV_DEMO) $(VENV_TEST) runs build *.egg-info
