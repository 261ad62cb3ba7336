# make repro and make test set up their environment themselves; both need only git, make and Python 3.11, 3.12 or 3.13.
PYTHON ?= $(firstword $(foreach minor,11 12 13,$(if $(shell python3.$(minor) --version 2>/dev/null),python3.$(minor))))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The make of macOS, 3.81, starts commands itself, and past that PATH, unless the shell is called other than /bin/sh.
SHELL := sh
ifeq ($(OS),Windows_NT)
$(error this needs Linux or macOS; on Windows use the Windows Subsystem for Linux, WSL)
endif

.PHONY: repro test test-all lint verify mlflow-sync label-errors report cluster bench
repro: .venv/complete       # the whole experiment, on faces drawn by the code
	dvc repro
	@python -m src.summary

TESTS = pytest -n 2 --dist loadfile --no-loadscope-reorder
test: .venv/complete        # minutes
	$(TESTS) -m "not slow and not real"

test-all: .venv/cluster     # the longer proofs: kills, whole grids, other CPUs, a cluster
	$(TESTS) -m slow

verify: .venv/complete      # train the committed experiment again, in a clean copy, and compare every byte
	python -m src.verify

mlflow-sync: .venv/complete # give every experiment of `dvc exp show` its MLflow run
	python -m src.sync

label-errors: .venv/complete  # find training images with a wrong label; trains the network once for each of five folds
	python -m src.label_errors

GRID ?= report
report: .venv/complete      # run what is missing of the grid in $(GRID)/grid.yaml, write $(GRID)/README.md; WORKERS=… on a cluster
	python -m src.report $(GRID) $(if $(WORKERS),--workers $(WORKERS))

cluster: .venv/cluster      # install what a node of a cluster needs besides, docs/cluster.md

bench: .venv/cluster        # measure against the report's own pipeline, write benchmarks/results/; some hours on real faces
	python -m benchmarks

lint: .venv/cluster
	ruff check . && ruff format --check . && basedpyright

.venv/complete: requirements.txt tools/dvc.py tools/offline_plots.py
	@test -n "$(PYTHON)" || { echo "error: no python3.11, python3.12 or python3.13 is on PATH; name one: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -r requirements.txt
	{ echo "#!$(CURDIR)/.venv/bin/python"; cat tools/dvc.py; } > .venv/bin/dvc
	.venv/bin/python -m tools.offline_plots
	touch $@

.venv/cluster: .venv/complete requirements-cluster.txt  # Ray, DVC's S3, and what tools/cluster.py starts
	.venv/bin/python -m pip install -r requirements-cluster.txt
	touch $@
