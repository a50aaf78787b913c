# Everything a person does here, by name. `make help` lists it.

PYTHON ?= python3
PORT ?= 8127
SIDE_BY_SIDE ?= 4
VENV := .venv
BIN := $(VENV)/bin

# Python's own programs start in half the time when they find what was compiled before.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## list these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

up: $(VENV)/run ## set up and run Rescind with its demo jobs on http://127.0.0.1:$PORT
	@mkdir -p var
	@exec $(BIN)/rescind serve --port $(PORT) --database sqlite:///var/rescind.db \
		--jobs rescind.demo --first-administrator

test: $(VENV)/dev ## set up and run all tests that need nothing but the package index
	$(BIN)/pytest -n $(SIDE_BY_SIDE) --dist worksteal --ignore tests/browser --ignore tests/ray_tests \
		--ignore tests/hosts

test-browser: $(VENV)/dev ## tests of the pages in a real browser: Debian's Chromium
	@command -v chromium >/dev/null || { echo "There is no chromium. Install it: apt-get install --no-install-recommends chromium"; exit 1; }
	$(BIN)/pytest -n 3 --dist worksteal -o timeout_method=signal tests/browser

test-ray: $(VENV)/ray ## set up Ray and run the tests of the engine ray, on a cluster of two nodes
	$(BIN)/pytest tests/ray_tests

test-hosts: $(VENV)/ray ## tests of the engine ray on two hosts with a cable that is pulled (needs root and iproute2)
	unshare --net $(BIN)/pytest tests/hosts

pictures: $(VENV)/dev ## make the pictures of the pages in docs/images anew (needs chromium)
	@command -v chromium >/dev/null || { echo "There is no chromium. Install it: apt-get install --no-install-recommends chromium"; exit 1; }
	$(BIN)/python docs/pictures.py

prove: $(VENV)/dev ## races, stops, daemons, kills, fuzzing, a million jobs: about an hour, with figures
	RACE_ROUNDS=500 $(BIN)/pytest -s tests/guarantee/test_races_at_scale.py
	DAEMONS=1000 FORK_LOOPS=100 POOLS=200 $(BIN)/pytest -s tests/engines/test_apart.py
	STOPS=200 $(BIN)/pytest -s tests/process/test_stops.py
	OPERATION_KILLS=20 $(BIN)/pytest -s tests/process/test_operations_killed.py
	STORM_SECONDS=300 $(BIN)/pytest -s tests/process/test_storm.py
	DESCRIPTION_EDGES=1 $(BIN)/pytest -s tests/api/test_description.py
	GROWTH_JOBS=1000000 $(BIN)/pytest -s tests/store/test_growth.py
	FUZZ_SECONDS=600 $(BIN)/pytest -s tests/process/test_fuzz.py

bench: $(VENV)/dev ## what everything costs, beside its floor; writes bench/results.md, about an hour
	$(BIN)/python bench/results.py
	$(BIN)/python bench/engine.py
	$(BIN)/python bench/engine.py --others 10 --modules rescind.demo numpy
	$(BIN)/python bench/engine.py --others 10 --modules rescind.demo numpy --warm fork
	$(BIN)/python bench/ordinary.py
	$(BIN)/python bench/flood.py
	$(BIN)/python bench/lists.py
	$(BIN)/python bench/queries.py
	$(BIN)/python bench/page.py --finished 100000
	$(BIN)/python bench/restarts.py
	$(BIN)/python bench/absences.py
	$(BIN)/python bench/strangers.py

check: $(VENV)/dev ## lint, types, direction of dependence
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev ## format the code, and bring generated documents up to date
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python docs/generate.py

lock: ## pin the newest dependencies that pyproject.toml allows (needs uv)
	uv pip compile -q --no-header --no-emit-index-url --no-emit-find-links --universal \
		--python-version 3.11 -U pyproject.toml --group build -o requirements/run.txt
	uv pip compile -q --no-header --no-emit-index-url --no-emit-find-links --universal \
		--python-version 3.11 -U pyproject.toml --group build --group dev -o requirements/dev.txt
	uv pip compile -q --no-header --no-emit-index-url --no-emit-find-links --universal \
		--python-version 3.11 -U pyproject.toml --group build --group dev --extra ray \
		-c requirements/dev.txt -o requirements/ray.txt

clean: ## remove the virtual environment and caches; never var/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Rescind needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Try make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run: requirements/run.txt pyproject.toml | $(VENV)/bin/pip
	@echo "Setting up $(VENV) ..."
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements/run.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/run
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements/dev.txt
	@touch $@

$(VENV)/ray: requirements/ray.txt $(VENV)/dev
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements/ray.txt
	@touch $@

.PHONY: help up test test-browser test-ray test-hosts pictures prove bench check format lock clean
