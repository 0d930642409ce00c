# The same targets for people and for CI. Needs Python 3.11 or newer and git; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

# Where the publishable feature is put together.
FEATURE ?= dist/mesh-six-tools
SCRIPTS := scripts/*.sh devcontainer-features/*/*.sh devcontainer-features/*/share/*.sh

.PHONY: demo test unit lint integration fuzz fuzz-api prove test-live bench-requests bench-serve lock docs feature clean

demo: .venv/ready
	$(BIN)/reconcile --once --wait 3m --sandbox

test: lint unit integration

unit: .venv/ready
	$(BIN)/pytest tests/unit tests/kinds/*/unit -q -n 2

integration: .venv/ready
	$(BIN)/pytest tests/integration tests/kinds/*/integration -q -n 3 --dist worksteal

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck --external-sources $(SCRIPTS)

# Tries some ten thousand hostile inputs, which follow from SEED; `make unit` tries a few of them each time.
fuzz: .venv/ready
	$(BIN)/python -m tests.fuzz $(if $(SEED),--seed "$(SEED)") $(if $(SIZE),--size "$(SIZE)") $(RUNS)

# Asks the HTTP API for some minutes what it has not been asked before; `make integration` asks the same each time.
fuzz-api: .venv/ready
	SCHEMATHESIS_OPTIONS="--seed $$(date +%s) --max-examples 400" $(BIN)/pytest tests/kinds/project/integration/test_api_schema.py -q

# Kills, faults, races and hardships of every sort, in about half an hour on two cores; docs/reliability.md is its table.
# SHORT=1 tries a few points of each, PARTS="kill race" some parts, FOLDER= the repositories in a folder.
prove: .venv/ready
	$(BIN)/python -m tests.prove --page docs/reliability.md $(if $(SEED),--seed "$(SEED)") $(if $(SHORT),--short) \
		$(if $(FOLDER),--folder "$(FOLDER)") $(PARTS)

# Compares the LiteLLM emulator with a real proxy, which it installs under .tools/ (about 760 MB).
test-live: .venv/ready
	$(BIN)/pytest tests/live -q --live

bench-requests: .venv/ready
	$(BIN)/python -m bench.project.requests

bench-serve: .venv/ready
	$(BIN)/python -m bench.project.serve

docs: .venv/ready
	$(BIN)/python -m docs.generate

# The feature as it is published: its folder, and the entrypoint, whose only source is scripts/.
feature:
	rm -rf $(FEATURE)
	mkdir -p $(FEATURE)
	cp -R devcontainer-features/mesh-six-tools/. $(FEATURE)
	cp scripts/implementer-entrypoint.sh $(FEATURE)/share/entrypoint.sh

# Renews the pinned versions with whatever .venv there is; the lock files name no package index.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --no-strip-extras --group dev --extra sandbox pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --no-strip-extras pyproject.toml -o requirements/runtime.lock
	echo hatchling | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --no-strip-extras - -o requirements/build.lock

clean:
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/ready: requirements/dev.lock pyproject.toml
	@echo "Setting up .venv from requirements/dev.lock: a few minutes the first time ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
