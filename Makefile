# The commands of this project; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check bench prove clean rendering

VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
REQUIREMENTS := $(VENV)/.requirements
PACKAGE := $(VENV)/.package
QUICK ?=

# Marks that a process of another virtual environment leaves for its children; ours sets its own.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE VIRTUAL_ENV PYTHONHOME

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: rendering $(PACKAGE) ## .venv and nothing else

demo: rendering $(PACKAGE) ## the whole flywheel on a simulated arm; QUICK=1 for a short one
	$(VENV)/bin/learned-arm demo $(if $(filter-out 0,$(QUICK)),--quick)

test: rendering $(PACKAGE) ## all tests, at most 12 minutes on 2 cores
	@scripts/run_tests.sh $(PYTHON_IN_VENV)

check: $(PACKAGE) ## ruff and pyright
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright

bench: rendering $(PACKAGE) ## the benchmarks, ending in a table
	$(PYTHON_IN_VENV) -m benchmarks.run_all

prove: rendering $(PACKAGE) ## the long proofs, ending in a table
	$(PYTHON_IN_VENV) -m pytest -m prove -rA --show-capture=no -o faulthandler_timeout=0

clean: ## remove .venv, caches and build folders; runs/ stays
	rm -rf $(VENV) build install log *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

rendering:
	@scripts/check_rendering.sh

$(REQUIREMENTS): requirements.txt scripts/make_venv.sh
	@PYTHON="$(PYTHON)" scripts/make_venv.sh $(VENV)
	@touch $@

# Editable: modules are used from the checkout; only the commands in bin/ are made.
$(PACKAGE): $(REQUIREMENTS) setup.py setup.cfg
	@$(PYTHON_IN_VENV) -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation --editable .
	@touch $@
