# make demo | make test | make check    (PYTHON=python3.12 to choose another interpreter, 3.11 or later)
PYTHON ?= python3
BIN := .venv/bin
export PORT ?= 8000
export SANDBOX_PORT ?= 8010
# The files of requirements/ are whole, so there is nothing to resolve.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: demo test test-sqlite test-sandbox test-postgresql matrix check check-code check-project check-docs bench faults format pins clean

demo: .venv/app
	@$(BIN)/python manage.py demo

# Everything on SQLite, and once more on PostgreSQL what touches the database. Side by side: make --jobs=3 --output-sync test
test: test-sqlite test-sandbox test-postgresql

test-sqlite: .venv/dev
	$(BIN)/pytest --ignore=tests/paystack_sandbox

test-sandbox: .venv/dev
	$(BIN)/pytest tests/paystack_sandbox

test-postgresql: .venv/dev
	TEST_DATABASE=postgresql $(BIN)/pytest --ignore=tests/paystack_sandbox

# On SQLite, with each supported Python and Django that is here beside the one in .venv: make matrix MATRIX="3.13:6.0"
MATRIX ?= 3.12:5.2 3.13:6.0
matrix:
	@for pair in $(MATRIX); do \
	  python=python$${pair%:*} django=$${pair#*:} venv=.venv/matrix-$${pair%:*}-$${pair#*:}; \
	  $$python -c '' 2>/dev/null || { echo "$$python is not here"; continue; }; \
	  test -x $$venv/bin/python || $$python -m venv $$venv || exit 1; \
	  sed -E 's/ *(--hash.*|\\)$$//; /^django==/d' requirements/dev.txt > $$venv/requirements.txt; \
	  $$venv/bin/python -m pip install --quiet -r $$venv/requirements.txt "Django==$$django.*" || exit 1; \
	  $$venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . || exit 1; \
	  echo "Python $${pair%:*}, Django $$django"; $$venv/bin/python -m pytest -q $(TESTS) || exit 1; \
	done

check: check-code check-project check-docs

check-code: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check-project: .venv/dev
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level ERROR
	HTTPS=true SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	  PAYSTACK_SECRET_KEY=sk_test_check $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

check-docs: .venv/dev
	$(BIN)/pytest -q tests/docs

# make bench ONLY=spend,hot  measures the rows whose names begin so; benchmarks/README.md has the rest.
bench: .venv/bench
	$(BIN)/python -m benchmarks $(if $(ONLY),--only "$(ONLY)") $(if $(HISTORY),--history $(HISTORY))

# Everything breaks while hundreds buy, then the books are compared: make faults MINUTES=30 SEED=7 BUYERS=300
faults: .venv/dev
	$(BIN)/python -m faults $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(BUYERS),--buyers $(BUYERS))

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Needs uv. No index address gets into the files.
PIN := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
pins:
	$(PIN) --extra app --output-file requirements/app.txt
	$(PIN) --extra app --group dev --constraints requirements/app.txt --output-file requirements/dev.txt
	$(PIN) --extra app --group dev --group bench --constraints requirements/dev.txt --output-file requirements/bench.txt

clean:
	rm -rf .venv .demo db.sqlite3* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles

.venv/app: requirements/app.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; try make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes -r requirements/app.txt
	@touch $@

.venv/dev: .venv/app requirements/dev.txt pyproject.toml
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/bench: .venv/dev requirements/bench.txt
	$(INSTALL) --require-hashes -r requirements/bench.txt
	@touch $@
