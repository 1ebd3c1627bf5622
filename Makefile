# Everything a person or a CI needs, by name. `make` alone lists the targets.
# Nothing has to be installed beforehand but Python >= 3.11, git and make.

PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
VENV   := .venv
BIN    := $(VENV)/bin
HOME_DIR ?= .queryrun
PORT   ?= 8080
S3_SERVER := github.com/versity/versitygw/cmd/versitygw@v1.8.0
SPARK_SERVER := pyspark==4.2.1
SCALE  ?= 1
CELLS  ?= 100000
COUNT  ?= 100000
# On two processors: tests wait for processes a third of their time.
TEST_PROCESSES ?= 3
EXTRAS := $(addprefix --extra ,aws postgres trino spark lake otel demo decrypt arrow pandas polars zstd)
CODE   := src packages tests benchmarks tools
LOCK   := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-header --no-emit-index-url --no-emit-find-links --no-annotate

.DEFAULT_GOAL := help
.PHONY: otel-collector help setup console try-console browser console-pictures docs dist version try-image demo test attack test-pythons check lint serve bench bench-results bench-parsing org-differential s3-server promtool spark-server trino-server trino-conformance trino-generated trino-syntax test-cluster existing-clients generated-clients lock audit sbom fmt clean data-suite cancel-suite mutation-run kill-ledger simulation interleavings faults command-faults terminal-picture

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(VENV)/.installed ## build .venv from the lock file

$(VENV)/.installed: requirements.lock pyproject.toml packages/client/pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
	  -e packages/client -e .
	@touch $@

STATIC := src/queryrun/console/static/manifest.json

console: $(STATIC) ## build the web page for people (Node from the PATH, or else from a Python wheel)

$(STATIC): $(wildcard console/*.json console/*.mjs console/src/*) src/queryrun/sql/compile/functions.json | $(VENV)/.installed
	@$(BIN)/python -m tools.build_console

docs: setup ## build the documentation as a site, which the service serves under /docs/
	@$(BIN)/python -m tools.build_docs

dist: setup console docs ## build the wheels and source archives of both distributions into dist/
	@rm -rf dist
	@cd packages/client && $(CURDIR)/$(BIN)/hatchling build --directory $(CURDIR)/dist
	@$(BIN)/hatchling build --directory dist

try-image: setup ## run the very commands of deploy/Dockerfile on this machine, without containers
	@$(BIN)/python -m tools.try_image

terminal-picture: setup ## draw what `queryrun demo` prints into docs/pictures/demo.svg
	@$(BIN)/python -m tools.terminal_picture

version: setup ## write VERSION=1.2.3 into every file that needs it
	@$(BIN)/python -m tools.set_version $(VERSION)

demo: setup ## the main job, visibly: submit, download, cancel a runaway; leaves nothing running
	@$(BIN)/queryrun demo

serve: setup try-console ## a server that stays; makes a home with sample data in .queryrun first
	@test -f $(HOME_DIR)/queryrun.toml || $(BIN)/queryrun init --home $(HOME_DIR) --sample-data
	@$(BIN)/queryrun serve --home $(HOME_DIR) --port $(PORT)

check: lint ## the quick gate: `lint` and the unit tests
	@$(BIN)/pytest tests/unit -n 2 -m "not slow" --hypothesis-profile quick

lint: setup ## format, lint, types, import directions, words
	@$(BIN)/ruff format --check --quiet $(CODE)
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.lint_words

test-fast: setup ## modules, interfaces and the API, without Trino, Spark and served homes; `test` has the rest
	@$(BIN)/pytest -n 2 --dist loadgroup -m "not jvm and not slow" --hypothesis-profile quick \
	  tests/unit tests/integration tests/contract tests/http

# The service works without its page, and says how to build it: a machine without npm goes on.
try-console: | $(VENV)/.installed
	@$(MAKE) --no-print-directory console || true

test: setup existing-clients try-console ## every test
	@$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadgroup $(TEST_OPTIONS)

test-pythons: ## the unit tests on every installed Python of PYTHONS, each in an environment of its own
	@for python in $(PYTHONS); do \
	  $$python -c '' 2>/dev/null || { echo "not tested, not installed: $$python"; continue; }; \
	  echo "$$python:"; \
	  $(MAKE) --no-print-directory setup PYTHON=$$python VENV=.cache/$$python && \
	  .cache/$$python/bin/pytest tests/unit -n 2 || exit 1; \
	done

test-cluster: setup s3-server trino-server spark-server ## several nodes, PostgreSQL, Trino, Spark: a part of `test`
	@$(BIN)/pytest -n 2 --dist loadgroup tests/cluster tests/contract tests/stateful tests/docs \
	  tests/differential/test_spark.py tests/integration/db tests/unit/engines

org-differential: setup ## 10,000 generated statements of a client of orgs, against a database of its rows alone
	@$(BIN)/python -m tests.org_differential 10000

trino-conformance: setup trino-server ## Trino's own test sources and documentation, asked of a real Trino and of us (resumable)
	@$(BIN)/python -m tests.conformance record
	@$(BIN)/python -m tests.conformance judge --figures --output .cache/trino/conformance.txt

trino-generated: setup trino-server ## generated expressions against a real Trino: types, functions, edge values, clauses (COUNT=100000)
	@$(BIN)/python -m tests.conformance generate --count $(COUNT)

trino-syntax: setup trino-server ## COUNT statements of Trino's tests, changed token by token, read by Trino's parser and ours (SEED=1); prints what only one reads
	@$(BIN)/python -m tests.conformance syntax --count $(or $(COUNT),20000) --seed $(or $(SEED),1)

data-suite: setup ## generated files in every format against other readers of them: no silent difference (CELLS=100000)
	@$(BIN)/python -m tests.data_suite $(CELLS)

cancel-suite: setup ## prove the cancel guarantee: classes A to G, one table (SCALE=0.05 is quick)
	@$(BIN)/queryrun cancel-suite --scale $(SCALE)

mutation-run: setup ## break each mechanism of the guarantee on purpose and see what notices (slow)
	@$(BIN)/python -m tests.mutants

kill-ledger: setup ## kill -9 a node KILLS times amid runs and messages: none lost, none out of order, the ledger exact (SEED=n: other moments; LIMIT_S=600: as many as there is time for; CLUSTER=yes: of two nodes on PostgreSQL)
	@$(BIN)/python -m tests.faults.killed_nodes $(or $(KILLS),200) $(or $(SEED),1) $(or $(LIMIT_S),inf) $(if $(CLUSTER),--cluster)

simulation: setup ## play COUNT seeds in JOBS processes of the core's simulation from FIRST on; prints and shrinks what breaks (PUT=clock, PUT=settling, PUT=replies: with a fault put back)
	@$(BIN)/python -m tests.simulation --first $(or $(FIRST),0) --count $(or $(COUNT),2000) --jobs $(or $(JOBS),1) --put $(or $(PUT),nothing)

interleavings: setup ## every pair of two nodes' writes on PostgreSQL, statement by statement, in every state of a run
	@$(BIN)/python -m tests.integration.db.test_postgres_interleavings

faults: setup ## every fault at every moment of a run's life, on both stores, in real processes; a table (COUNT=2000 JOBS=3 LIMIT_S=...; resumable: .cache/faults)
	@$(BIN)/python -m tests.faults.campaign --count $(or $(COUNT),2000) --jobs $(or $(JOBS),3) --seconds $(or $(LIMIT_S),1000000)

command-faults: setup ## every command in every bad situation of its home, server, files and process; prints what is no sentence (LIMIT_S=1200)
	@$(BIN)/python -m tests.faults.commands --seconds $(or $(LIMIT_S),1200)

attack: setup ## attack real servers on loopback and print a table: attack, before, now, bar (GROUP=front is one part)
	@$(BIN)/python -m tests.attack $(GROUP)

bench: setup ## measure, side by side, and print tables
	@$(BIN)/python -m benchmarks

bench-results: setup ## result files against DuckDB's own COPY: time, CPU, memory; ends with a table
	@$(BIN)/python -m benchmarks results

bench-parsing: setup ## the guard's time against a statement's length, for the shapes that cost most
	@$(BIN)/python -m benchmarks parsing

s3-server: .cache/bin/versitygw ## build the S3 server that tests use, into .cache/ (needs Go)

.cache/bin/versitygw:
	@mkdir -p $(@D)
	@command -v go >/dev/null || { echo "s3-server needs Go 1.25 or newer"; exit 1; }
	@GOBIN=$(CURDIR)/$(@D) go install -trimpath $(S3_SERVER)
	@touch $@

promtool: .cache/bin/promtool ## fetch the tool that checks alert rules and dashboard, into .cache/ (from Debian's or Ubuntu's package)

.cache/bin/promtool:
	@mkdir -p $(@D) && rm -rf .cache/prometheus && mkdir -p .cache/prometheus
	@command -v apt-get dpkg-deb >/dev/null || { echo "promtool is in the package prometheus of Debian and Ubuntu"; exit 1; }
	@cd .cache/prometheus && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb .
	@cp .cache/prometheus/usr/bin/promtool $@ && rm -rf .cache/prometheus

otel-collector: .cache/bin/otelcol ## build the OpenTelemetry collector that tests use, into .cache/ (needs Go)

.cache/bin/otelcol: $(wildcard tests/e2e/collector/go.* tests/e2e/collector/*.go)
	@mkdir -p $(@D)
	@command -v go >/dev/null || { echo "otel-collector needs Go 1.26 or newer"; exit 1; }
	@cd tests/e2e/collector && go build -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ .
	@touch $@

trino-server: setup ## fetch the Trino that tests use, into .cache/ (0.4 GB; needs Maven, and Java 24 or newer to run)
	@$(BIN)/python -m tests.trino_process
	@$(BIN)/python -m tests.conformance fetch

spark-server: .cache/spark/.installed ## fetch the Spark server that tests use, into .cache/ (0.5 GB; needs Java 17 or newer)

.cache/spark/.installed: | $(VENV)/.installed
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(BIN)/python -m pip install --quiet --no-deps --target $(@D) $(SPARK_SERVER)
	@touch $@

existing-clients: .cache/clients/.installed ## install the clients that tests drive, apart from our own environment

.cache/clients/.installed: tests/clients/requirements.lock
	@test -x .cache/clients/bin/python || $(PYTHON) -m venv .cache/clients
	@.cache/clients/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

audit: setup ## known vulnerabilities of what the image installs; says so when its database cannot be asked
	@$(BIN)/python -m tools.audit

sbom: setup ## what the image installs, as CycloneDX: sbom.cdx.json
	@$(BIN)/python -m tools.sbom > sbom.cdx.json

generated-clients: setup ## fetch openapi-generator and what its clients need, into .cache/ (needs Java, Maven and npm)
	@$(BIN)/python -m tests.clients.generated_clients

browser: setup ## fetch the browser that tests use, into .cache/ (npm; Node from the PATH or a Python wheel)
	@$(BIN)/python -m tests.browser.chromium

console-pictures: setup console browser ## take the pictures of the console in docs/pictures
	@mkdir -p docs/pictures
	@CONSOLE_PICTURES=docs/pictures $(BIN)/pytest -q tests/browser -k "asks or proves" && rm -f docs/pictures/runs.png

fmt: setup ## format and fix what can be fixed
	@$(BIN)/ruff check --quiet --fix $(CODE) || true
	@$(BIN)/ruff format --quiet $(CODE)

lock: setup ## resolve the dependencies anew into requirements.lock
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/$(LOCK) pyproject.toml packages/client/pyproject.toml $(EXTRAS) --group dev \
	  --no-emit-package queryrun-client -o requirements.lock
	@$(BIN)/$(LOCK) pyproject.toml --extra aws --extra postgres --extra trino --extra spark --extra lake --extra otel \
	  --no-emit-package queryrun-client --constraints requirements.lock -o deploy/requirements.lock
	@printf 'hatchling\nsetuptools\ndumb-init\n' | $(BIN)/$(LOCK) - \
	  --constraints requirements.lock -o deploy/build.lock
	@$(BIN)/$(LOCK) docs/requirements.in -o docs/requirements.lock
	@$(BIN)/$(LOCK) tests/clients/requirements.in -o tests/clients/requirements.lock
	@$(BIN)/$(LOCK) tests/clients/generated/requirements.in -o tests/clients/generated/requirements.lock

clean: ## remove what setup, tests and serve have made
	@rm -rf $(VENV) .queryrun .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache
