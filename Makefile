# Two commands on a fresh machine: `make demo` and `make test`. Both need Python 3.11 or newer, make
# and Linux; everything else goes into .venv, from requirements.lock.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint unit controls notebooks checkpoints checkpoints-check fuzz attack-report audit test-nbgrader bench lock clean
# One heavy thing at a time, whatever -j says: the recipes are parallel inside.
.NOTPARALLEL:

BIN := .venv/bin
STAMP := .venv/.complete

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from requirements.lock, if it is missing or out of date

# The stamp is written last, so an interrupted installation is taken up again. The first Python that
# can make a virtual environment is taken; PYTHON=... names another.
$(STAMP): requirements.lock requirements.in pyproject.toml
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  found=; \
	  for python in $${PYTHON:-python3.11 python3.12 python3.13 python3}; do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	      2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: no Python 3.11 or newer with venv (Debian, Ubuntu: apt install python3-venv);" \
	      "name one with PYTHON=/path/to/python3" >&2; exit 1; \
	  fi; \
	  echo "Making .venv with $$("$$found" --version)"; \
	  "$$found" -m venv --clear .venv; \
	fi
	@total=$$(grep -c == requirements.lock); start=$$SECONDS; \
	echo "Installing $$total packages into .venv (once; some minutes, torch is large)"; \
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
	  --requirement requirements.lock | \
	{ n=0; while read -r word rest; do case $$word in \
	    Collecting|Requirement) n=$$((n + 1)); \
	      if [ $$((n % 40)) = 0 ]; then echo "  $$n found"; fi;; \
	    Installing) echo "  unpacking";; \
	  esac; done; }; \
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --no-deps --no-build-isolation --editable .; \
	touch $@; \
	echo "Done in $$((SECONDS - start)) s"

demo: setup ## build the assignments and grade a bundled class, from perfect to hostile
	@$(BIN)/python -m tests.demo

test: setup lint unit notebooks ## everything that needs no browser
	@echo "All tests passed."

lint: setup ## style, types, and that each .py and its notebook are equal
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/course sync --check

unit: setup ## the tests of the engine and of the course
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope -m "not control" tests

controls: setup ## show that each attack succeeds where its defense is off (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m control tests/test_attack_suite.py

# Strict: each stored output must come out again. A notebook's cells stay on one worker, in order.
notebooks: setup ## run every notebook and compare its outputs with the stored ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --nbval-current-env \
	  -p no:cacheprovider -n 2 --dist loadscope lectures/*.ipynb solutions/*/*.ipynb

# The weights that lectures load, where training takes minutes; what is shipped stays as it is unless
# this is run. Each script writes its files and manifests beside itself; after Ctrl-C most go on.
checkpoints: setup ## train again what the lectures load (hours; each manifest says how long)
	@for script in lectures/data/make_*.py; do \
	  if [ "$$script" = lectures/data/make_wikipedia.py ]; then continue; fi; \
	  echo "== $$script"; OMP_NUM_THREADS=1 $(BIN)/python "$$script"; \
	done

checkpoints-check: setup ## train a tenth of it, and compare with the recorded curves (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m lectures.checkpoints

fuzz: setup ## a million hostile frames (FRAMES=... SEED=...), then 100,000 mutated notebooks
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz_wire $${FRAMES:-1000000} $${SEED:-1}
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz_notebooks --cases 100000 --engine 300

# Every attack against nbgrader, the engine and its control: build/attack-report.md.
attack-report: setup ## attack nbgrader and the engine, and write the table (tens of minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.attacks.report

audit: setup ## test the hidden tests with known answers and mutants: build/audit.html (minutes)
	@mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/course audit --html build/audit.html

# Beside nbgrader's own tests, the whole class that tests/test_parity.py takes a sample of.
test-nbgrader: setup ## nbgrader's own tests with our executor; its scores beside ours
	$(BIN)/python -m tests.nbgrader_own
	$(BIN)/python -m tests.parity

bench: setup ## measure: every script of benchmarks/
	@for script in benchmarks/*.py; do \
	  echo "== $$script"; \
	  OMP_NUM_THREADS=1 $(BIN)/python -m "benchmarks.$$(basename "$$script" .py)"; \
	done

# The comment at the top of the lock is kept. A local label (2.13.0+cpu) names a build, no version;
# CUDA's parts are left out: torch names their exact versions itself, where it has use for them.
lock: ## choose new versions for requirements.lock (needs the network)
	@rm -rf build/lock && $${PYTHON:-python3.11} -m venv build/lock
	build/lock/bin/python -m pip install --quiet --requirement requirements.in
	@{ grep '^#' requirements.lock; \
	  build/lock/bin/python -m pip freeze --all | sed 's/+.*//' \
	  | grep -vE '^(pip|triton|nvidia-.*|cuda-.*)==' | LC_ALL=C sort -f; \
	} > build/requirements.lock
	@mv build/requirements.lock requirements.lock && rm -rf build/lock
	@git --no-pager diff --stat requirements.lock

clean: ## remove caches, the demo and build/; .venv and the gradebook stay
	rm -rf build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
