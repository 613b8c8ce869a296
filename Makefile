# Everything goes through two commands: `make demo` and `make test`. Both set up what is missing,
# say what they do, can be interrupted, and can be repeated.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TESTBED := .venv/bin/testbed

.PHONY: help setup stack demo test compose-test scenarios check format generate selftest bench lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv with everything that Python needs
	@tools/setup

stack: setup  ## compile (once) the Collector, Prometheus, Alertmanager and node_exporter
	@$(TESTBED) stack install

demo: setup  ## play the demo scenario and give the verdict
	@$(TESTBED) run demo

# Two files at a time, in the order of tests/stack/conftest.py.
test: stack  ## run the tests
	@.venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 10

compose-test: stack  ## play the demo on the Compose stack, with stand-in images (root; skips without an engine)
	@tools/compose-test

scenarios: stack  ## play every scenario, two at a time, and print a table
	@.venv/bin/python -m testbed.playall

check: stack  ## lint, types, import contract, configuration and generated files
	@tools/check

format: setup  ## format the code and mend what lint can mend
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

generate: setup  ## write every generated file anew
	@tools/generate

selftest: stack  ## plant every defect and see that the verdict finds and names it (about 40 min)
	@$(TESTBED) selftest --json testbed/testbed/selftest/results.json
	@tools/generate

bench: stack  ## measure: the pytest benchmark suite
	@.venv/bin/python -m pytest tests/bench --benchmark-enable --benchmark-only

lock: setup  ## renew uv.lock
	@"$$(tools/setup --print-uv)" lock --upgrade

clean:  ## remove the environment and the runs; compiled tools stay in the cache
	rm -rf .venv .venv-flow .tools .testbed .mypy_cache .ruff_cache
