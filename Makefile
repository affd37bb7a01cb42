# `make run` needs Python 3.10 or newer with pip and venv, and make; everything else it makes for itself in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
comma := ,
PY38 := $(wildcard envdoctor/facts/inspect_*.py) benchmarks

# What the tests of the group `system` need besides Python packages and root.
DEBIAN := buildah crun debootstrap g++
# The tests compile fake driver libraries. Where there is no C compiler, one comes as a wheel.
COMPILER := $(if $(shell command -v cc || command -v gcc || command -v clang),,$(comma)compiler)

# Half of the tests wait for child processes, so a second worker pays even on two busy cores.
WORKERS ?= 2

.PHONY: run up dist test test-fast test-system test-bare torch lint format pages
.PHONY: pictures bench-cli bench-explain bench-plan gpu-proof refresh clean help system-packages
help:
	@echo "make run        set envdoctor up in .venv and check this machine"
	@echo "make up [DIR=...]  from this machine to proven throughput: make an environment with torch, verify, measure, train"
	@echo "make test       run all tests; the first time, fetch what they need (3 GB: the real torch)"
	@echo "make test-fast  run within a minute: not the groups slow, torch, system, alone (pyproject.toml says what they are)"
	@echo "make lint       format, lint, types, layers, Python 3.8"
	@echo "make system-packages test-system  as root: install Debian packages, run the tests that need them"
	@echo "make test-bare  as root: run, lint and test in a fresh Debian that has only what this file's first line names"
	@echo "make dist       build the wheel, the sdist and envdoctor.pyz, one file that any Python 3.10+ runs, in dist/"
	@echo "make torch      fetch and install the torch that the tests run, or say why it cannot be had"
	@echo "make refresh    rebuild from the registry what package metadata can rebuild"
	@echo "make pages      write docs/diagnoses and docs/rules from the code"
	@echo "make pictures   draw README's pictures anew, after output or a table has changed"
	@echo "make gpu-proof PYTHON=... OUT=DIR [BLOCK=a|b|c]  the first contact with a GPU, in three blocks of at most ten minutes"
	@echo "make bench-cli  time the command line against what it may cost"
	@echo "make bench-explain  time explain on long logs"
	@echo "make bench-plan  time a plan after start-up"

# A stamp is remade when pyproject.toml changes; repeated runs reuse what is there.
$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "envdoctor needs Python 3.10 or newer; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev$(COMPILER)]'
	@touch $@ $(VENV)/.core

run: $(VENV)/.core
	@# Exit code 1 means that something is wrong with the machine, not with this command.
	@$(BIN)/envdoctor check; code=$$?; test $$code -le 1 || exit $$code
	@echo
	@echo "Next:  $(BIN)/envdoctor check --python PATH   another Python, or an environment's folder"
	@echo "       $(BIN)/envdoctor snapshot -o FILE      the facts of this machine, for somebody else to judge"
	@echo "       $(BIN)/envdoctor --help                everything else"

# Asks before it makes the environment; UP=--yes does not.
up: $(VENV)/.core
	@$(BIN)/envdoctor up $(or $(DIR),envdoctor-up) $(UP)

system-packages:
	@present=$$(dpkg-query -W -f '$${Package} $${Status}\n' $(DEBIAN) 2>/dev/null | grep -c 'install ok installed'); \
	if [ "$$present" -ne $(words $(DEBIAN)) ]; then \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(DEBIAN); fi

torch: $(VENV)/.dev
	@$(BIN)/python -m tests.real_torch

test: torch
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone"
	$(BIN)/python -m pytest -m alone

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not torch and not system and not alone"

test-system: torch
	$(BIN)/python -m pytest -m system

test-bare:
	tests/bare_root.sh

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --quiet --violations --no-tips --target=3.8- $(PY38)
	$(BIN)/vermin --quiet --violations --no-tips --target=3.6- envdoctor/distribution/start.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m envdoctor.distribution.pyz dist/*.whl -o dist/envdoctor.pyz

pages: $(VENV)/.core
	$(BIN)/python -m envdoctor.diagnosis.pages
	$(BIN)/python -m envdoctor.linting.pages

pictures: $(VENV)/.dev
	$(BIN)/python -m tests.pictures

bench-explain: $(VENV)/.dev
	$(BIN)/python -m tests.bench_explain

bench-plan: $(VENV)/.dev
	$(BIN)/python -m tests.bench_plan

# Runs in the Python that has torch, so that a machine without a network needs nothing else; what is done is not done again.
gpu-proof:
	$(PYTHON) -m tests.gpu_proof $(BLOCK) --out $(or $(OUT),gpu-proof)

bench-cli: $(VENV)/.dev
	$(BIN)/python -m tests.bench_cli

refresh: $(VENV)/.core
	$(BIN)/python -m envdoctor.knowledge.refresh

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
