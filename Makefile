# `make` lists the targets. All set-up is in scripts/setup.sh: it skips what is done, and takes up again
# what was interrupted. ARGS goes to pytest or to a benchmark: make test ARGS='-k ids'.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
PYTHON_HERE := $(VENV)/bin/python
LAKE := build/demo/lake
# Models that are joined from packages or fetched lie with the checkout, not in the user's home.
export SPEECHLAKE_CACHE ?= $(CURDIR)/build/cache
# Where the machine's own Java does not fit, set-up leaves a link to one that does.
JAVA := if [ -e build/java ]; then export JAVA_HOME="$(CURDIR)/build/java"; fi;
# For runs of minutes over tiny tables: queries that are not compiled, and one collector. A run over real data wants
# the defaults. The code cache for one compiler is 48 MB by default: a test run fills it, and is interpreted from
# then on. A heap and a metaspace that begin small are collected whole sixty times (114 s) while they grow. A heap grows
# as far as it may before it is collected, and two sessions have no use for a quarter of the machine each.
SHORT = export SPARK_SUBMIT_OPTS="-Xms1g -XX:MetaspaceSize=256m -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC$(JIT)" \
	SPEECHLAKE_SPARK_CONF="spark.driver.memory=4g;spark.sql.codegen.wholeStage=false;spark.sql.codegen.factoryMode=NO_CODEGEN";
# Tests, two sessions at once, leave Java's optimising compiler no core. The demo's session is alone: with that
# compiler its second release takes 27 s, without it 36 s (2 hyperthreads).
JIT = $(if $(filter demo,$@),, -XX:TieredStopAtLevel=1)
PYTEST = $(JAVA) $(SHORT) $(PYTHON_HERE) -m pytest
# Two at once, each with a session of Spark: most of a test waits for the one thread of a driver. Whole files, because
# the jobs of a story run once for all tests of its file; in their order, because the longest have few tests.
TWO_AT_ONCE := -n 2 --dist loadfile --no-loadscope-reorder
# Apart from all other tests: Airflow's environment cannot hold a real Spark.
AIRFLOW_PYTEST = .venv-airflow/bin/python -m pytest -c tests/airflow/pytest.ini --rootdir tests/airflow
SCRIPTS := $(wildcard demo/*.py scripts/*.py)

.PHONY: help setup setup-torch speech demo test test-fast test-all check check-digests format dist log-store cluster-test object-store-test bench bench-ingest bench-extraction bench-planning bench-whisper-details bench-supply bench-gpu bench-curation bench-near-duplicates bench-voices airflow airflow-test airflow-e2e clean purge

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' Makefile

setup: ## set up .venv, Java and Delta's jars; does nothing when done (first time: 3 minutes)
	@scripts/setup.sh

speech: ## the same with the speech of demo and tests, from Debian packages
	@scripts/setup.sh --speech

setup-torch: ## the same with torch (first time: 6 minutes)
	@scripts/setup.sh --torch

demo: speech ## curate small corpora of real speech from manifests to a release, and check the result
	@echo '==> demo: laying out the corpora in build/demo'
	@$(PYTHON_HERE) demo/prepare.py build/speech build/demo
	@echo '==> demo: running the pipeline into the lake $(LAKE), and cutting it again under a stricter policy'
	@$(JAVA) $(SHORT) $(VENV)/bin/speechlake pipeline --lake $(LAKE) --corpora build/demo/corpora.yaml \
		--policy small-corpus --release demo --policy demo/strict.yaml --release strict
	@echo '==> demo: checking what the lake holds'
	@$(PYTHON_HERE) demo/check.py $(LAKE)

# CI has the time for some stories that are long, and would not see them broken otherwise.
test: WHICH := not long$(if $(CI), or ci)
test: setup-torch speech ## the tests (after set-up 16 minutes on two cores, 24 on two hyperthreads)
	@echo '==> running the tests: $(WHICH)'
	@$(PYTEST) $(TWO_AT_ONCE) -m '$(WHICH)' $(ARGS)

test-fast: speech ## the tests that take seconds (under 3 minutes)
	@echo '==> running the tests, but those marked slow, long or torch'
	@$(PYTEST) -m 'not slow and not long and not torch' $(ARGS)

test-all: setup-torch speech ## all tests: many kills, clusters, large generated data
	@scripts/setup_object_store.sh
	@echo '==> running all tests'
	@$(PYTEST) $(ARGS)

check: setup ## ruff, format and mypy --strict on what is ours
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy lib jobs schemas
	@$(VENV)/bin/mypy $(SCRIPTS)

# While code is moved and renamed: no value may change. Goes with renames.csv.
check-digests: ## run the demo again, and compare each table with tests/digests.json (3 minutes)
	@rm -rf $(LAKE)
	@$(MAKE) demo
	@echo '==> comparing the tables with tests/digests.json'
	@$(JAVA) $(PYTHON_HERE) scripts/digests.py $(LAKE)

format: setup ## format, and mend what ruff can mend
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

dist: setup ## build the wheel, and dist/speechlake.zip for spark-submit --py-files
	@$(PYTHON_HERE) scripts/dist.py dist

airflow: dist ## set up .venv-airflow, which runs the DAGs of airflow_dags (first time: 3 minutes)
	@scripts/airflow.sh

airflow-test: dist speech ## the DAGs: integrity, commands, ends, and one real run with Spark (9 minutes on two busy cores)
	@scripts/airflow.sh --test
	@echo '==> checking the types of the DAGs'
	@cd airflow_dags && ../.venv-airflow/bin/mypy --config-file mypy.ini
	@echo '==> running the tests of the DAGs'
	@$(JAVA) $(SHORT) $(AIRFLOW_PYTEST) tests/airflow $(ARGS)

airflow-e2e: dist speech ## Airflow itself: scheduler, API server, runs over REST, a picture of a graph
	@scripts/airflow.sh --test --browser
	@$(JAVA) $(SHORT) $(AIRFLOW_PYTEST) tests/airflow/e2e_airflow.py $(ARGS)

log-store: setup ## build dist/speechlake-s3.jar, for lakes on S3 that several drivers write
	@$(JAVA) $(PYTHON_HERE) scripts/s3_log_store.py dist/speechlake-s3.jar

cluster-test: speech ## jobs on a standalone cluster of this machine, compared with local runs (minutes)
	@echo '==> testing on a standalone cluster: a master and two workers on loopback addresses'
	@$(PYTEST) tests/cluster $(ARGS)

object-store-test: speech ## a lake and its audio on an S3 server of this machine (minutes)
	@scripts/setup_object_store.sh
	@echo '==> testing on an S3 server on a loopback address'
	@$(PYTEST) tests/object_store $(ARGS)

bench-ingest: setup ## rows per second and memory for manifests of 100,000 and 1,000,000 lines
	@$(JAVA) $(PYTHON_HERE) benchmarks/ingest.py $(ARGS)

bench-extraction: speech ## Whisper over a table of speech: speechlake against a UDF, a loop, the engine alone
	@$(JAVA) $(PYTHON_HERE) benchmarks/extraction.py $(ARGS)

bench-planning: setup ## how long it takes to find 1 % unmeasured among 1,000,000 utterances
	@$(JAVA) $(PYTHON_HERE) benchmarks/planning.py $(ARGS)

bench-whisper-details: speech ## windows, timestamps, batches, clip lengths, decoding, features: per CPU second
	@$(PYTHON_HERE) benchmarks/whisper_details.py $(ARGS)

bench-supply: setup ## how fast a process feeds a model that answers at once, with 1, 2 and 4 decode children
	@$(PYTHON_HERE) benchmarks/supply.py $(ARGS)

bench-gpu: speech ## Whisper on an accelerator, or on the CPU: speed, errors, drills of what breaks
	@$(PYTHON_HERE) benchmarks/gpu.py $(ARGS)

bench-curation: setup ## duplicates among 1,000,000 clips, and 1,000,000 utterances cut again under a policy
	@$(JAVA) $(PYTHON_HERE) benchmarks/curation.py $(ARGS)

bench-near-duplicates: speech ## copies of real speech: how many are found, by coding and length
	@$(PYTHON_HERE) benchmarks/near_duplicates.py $(ARGS)

bench-voices: setup-torch speech ## how alike the voices of one person are, and those of two, to the extractor speaker
	@$(PYTHON_HERE) benchmarks/voices.py $(ARGS)

bench: setup-torch speech ## all benchmarks, one after another
	@for file in benchmarks/[a-z]*.py; do echo "==> $$file"; $(JAVA) $(PYTHON_HERE) $$file $(ARGS); done

clean: ## remove what demo, tests and builds wrote; keep .venv and what was downloaded
	@rm -rf build/demo build/bench build/logs dist
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

purge: clean ## remove .venv and the downloads too
	@rm -rf .venv .venv-airflow build *.egg-info
