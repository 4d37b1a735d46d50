# The environment lives in .venv/ and is made from requirements.lock; it is made again only when that changes.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.from-lock

.DEFAULT_GOAL := help
.PHONY: help setup demo test check style types model arrows bench sim chaos lab clean

help:  ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(STAMP)  ## Make the environment (PYTHON=... names another Python)

$(STAMP): requirements.lock pyproject.toml
	@.ci/environment $(PYTHON)

demo: $(STAMP)  ## A manager and two routers on loopback, a crash in the middle, a proof at the end (ARGS=...)
	@mkdir -p out
	@$(BIN)/rui demo --json out/demo.json $(ARGS)

test: $(STAMP)  ## The whole test suite (ARGS=...); needs no root
	@$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

check: style types model arrows  ## Style, types, the YANG modules, the direction of the imports, the documents

style: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP)
	$(BIN)/mypy

model: $(STAMP)
	$(BIN)/rui model check

arrows: $(STAMP)
	$(BIN)/pytest -q tests/unit/test_architecture.py tests/unit/test_documents.py

bench: $(STAMP)  ## The benchmarks; tables on the screen, JSON in out/ (ARGS=...)
	@mkdir -p out
	@$(BIN)/rui bench all --out out $(ARGS)

sim: $(STAMP)  ## The simulation, ten thousand seeds; JSON in out/sim.json (ARGS=...)
	@mkdir -p out
	@$(BIN)/rui sim --seeds 10000 --processes $$(nproc) --json out/sim.json $(ARGS)

chaos: $(STAMP)  ## Real processes through five minutes of faults; JSON in out/chaos.json (ARGS=...)
	@mkdir -p out
	@$(BIN)/rui chaos --seconds 300 --json out/chaos.json $(ARGS)

lab: $(STAMP)  ## Real DHCP clients and a real Kea in network namespaces (root, Debian); JSON in out/lab.json
	@mkdir -p out
	@$(BIN)/rui lab run dhcp --json out/lab.json $(ARGS)

clean:  ## Remove the environment, caches and outputs
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
