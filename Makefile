# `make demo` and `make test` each set up what they need and work from a clean clone.

PYTHON ?= python3.11
PYTHON := $(shell command -v $(PYTHON) >/dev/null 2>&1 && echo $(PYTHON) || echo python3)
VENV_DEMO := .venv-demo
VENV_TEST := .venv-test
INSTALL = install --disable-pip-version-check --constraint constraints.txt

# The demo's modules are compiled when they are first loaded: most of what is installed never is.
unexport PYTHONDONTWRITEBYTECODE

define create_venv
@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer with venv: apt-get install python3.11-venv"; exit 1; }
$(PYTHON) -m venv --clear $(1)
endef

.PHONY: demo test check docs format lock wheel sbom clean

demo: $(VENV_DEMO)/.installed
	$(VENV_DEMO)/bin/hetero demo --out runs/demo

test: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/python -m pytest --numprocesses auto --dist loadfile

# Formatting, lint, types and import contracts.
check: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/ruff format --check .
	$(VENV_TEST)/bin/ruff check .
	$(VENV_TEST)/bin/pyright --pythonpath $(VENV_TEST)/bin/python
	$(VENV_TEST)/bin/lint-imports

# The documentation site, in build/site: a warning fails. Nothing is fetched, to build it or to read it.
docs: $(VENV_TEST)/.installed
	NO_MKDOCS_2_WARNING=1 $(VENV_TEST)/bin/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

format: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/ruff format .
	$(VENV_TEST)/bin/ruff check --fix .

# What constraints.txt declares, with the digest of every file that the index lists, and what the public torch adds. The
# second file holds what asks for torchvision, whose build has to match torch's, and does without.
LOCK = $(VENV_TEST)/bin/uv pip compile pyproject.toml --quiet --constraint constraints.txt --python-version 3.11 \
	--python-platform x86_64-manylinux_2_28 --generate-hashes --no-header --no-annotate --no-emit-index-url

lock: $(VENV_TEST)/.installed
	$(LOCK) --extra dev --extra bench --output-file requirements.lock
	$(subst pyproject.toml,without-torchvision.txt,$(LOCK)) --no-deps --output-file without-torchvision.txt

# The wheel, and what a gate in another repository installs with --require-hashes: the wheel, and what verifying needs.
wheel: $(VENV_TEST)/.installed
	rm -rf build dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(VENV_TEST)/bin/pip wheel --quiet --no-deps --wheel-dir dist .
	$(LOCK) --extra device --extra signing --output-file dist/verify-requirements.txt
	cd dist && for wheel in hetero-*.whl; do \
	  echo "./$$wheel --hash=sha256:$$(sha256sum "$$wheel" | cut -d ' ' -f 1)" >> verify-requirements.txt; done

# The bill of materials of the wheel.
sbom: wheel
	$(VENV_TEST)/bin/python -m release.sbom dist/hetero-*.whl --out dist/hetero.cdx.json

$(VENV_DEMO)/.installed: pyproject.toml constraints.txt
	$(call create_venv,$(VENV_DEMO))
	$(VENV_DEMO)/bin/pip $(INSTALL) --no-compile --editable '.[demo]'
	touch $@

$(VENV_TEST)/.installed: pyproject.toml constraints.txt without-torchvision.txt
	$(call create_venv,$(VENV_TEST))
	$(VENV_TEST)/bin/pip $(INSTALL) --editable '.[dev]'
	$(VENV_TEST)/bin/pip $(INSTALL) --no-deps --requirement without-torchvision.txt
	touch $@

clean:
	rm -rf $(VENV_DEMO) $(VENV_TEST) runs build dist *.egg-info
