# Everything goes through two commands: `make demo` and `make test`. Both set up what is missing,
# say what they do, can be interrupted, and can be repeated.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TESTBED := .venv/bin/testbed
WORKERS := 2
# Where an environment forbids it, each of the hundreds of processes that tests start, and each of their
# workers, would compile the checkout anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup stack demo test test-all test-unit coverage compose-test scenarios check format generate docs pictures selftest bench packages lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv with everything that Python needs
	@tools/setup

stack: setup  ## fetch or compile (once) the Collector, Prometheus, Alertmanager and node_exporter
	@$(TESTBED) stack install

demo:  ## play the demo scenario and give the verdict
	@tools/setup --run
	@$(TESTBED) run demo

# Two workers play on stacks, in the order of tests/support/order.py; the third one does all else beside them
# (tests/support/quietworker.py). PYTEST=--lf runs what failed last.
test test-all: WORKERS := 3
PLAYED = @.venv/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 10

test: stack  ## run the tests; all of them where CI is set, else without the long plays
	$(PLAYED) --without-long $(PYTEST)

test-all: stack  ## run the tests with the long plays
	$(PLAYED) $(PYTEST)

# One worker more than processors: some tests wait for a process of their own.
test-unit: WORKERS := 3
test-unit: setup  ## run the quick tests: no compiled tool, no stack
	@.venv/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m "not slow and not tools" $(PYTEST) tests/unit tests/config

coverage: stack  ## run the unit tests and state line coverage, which has a floor
	@.venv/bin/coverage erase
	@.venv/bin/python -m pytest tests/unit --numprocesses $(WORKERS) --cov --cov-report=term --cov-report=xml

compose-test: stack  ## play the demo on the Compose stack, with stand-in images (root; skips without an engine)
	@tools/compose-test

scenarios: stack  ## play every scenario, two at a time, and print a table
	@.venv/bin/python -m testbed.playall

check: stack  ## lint, types, import contract, configuration, generated files, documentation
	@tools/check

format: setup  ## format the code and mend what lint can mend
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

generate: setup  ## write every generated file anew
	@tools/generate

docs: setup  ## build the documentation's site into .site, and check its links
	@tools/docs

pictures: stack  ## make the documentation's pictures of pages anew (needs Chromium)
	@tools/pictures
	@.venv/bin/python -m tests.stack.pictures

selftest: stack  ## plant every defect and see that the verdict finds and names it (about 40 min)
	@$(TESTBED) selftest --json testbed/testbed/selftest/results.json
	@tools/generate

bench: stack  ## measure: the pytest benchmark suite
	@.venv/bin/python -m pytest tests/bench --benchmark-enable --benchmark-only

packages: setup  ## build the wheel and the source distribution of every member into dist
	@"$$(tools/setup --print-uv)" build --quiet --all-packages --clear --out-dir dist

lock: setup  ## renew uv.lock
	@"$$(tools/setup --print-uv)" lock --upgrade

clean:  ## remove the environment and the runs; compiled tools stay in the cache
	rm -rf .venv .venv-flow .tools .testbed .site .mypy_cache .pytest_cache .ruff_cache
