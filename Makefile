# Everything runs from .venv in this tree, made from the lock. Needs Python 3.11 to 3.13. A Java (for
# Kafka) and a Go (for Kubernetes) come with the lock too; those of the machine are used where they are
# new enough. The tests of a node need Linux, root, and Debian's packages: `make cluster` names what is
# missing. Where that cannot be had they are skipped. `make jars` and `make bench` need Maven.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
SECONDS_LIMIT := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),0)
BIN := .venv/bin
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo $$p; break; }; done)

.PHONY: help demo cluster cluster-down image dev test check format programs bench soak lock jars crd readmes metrics dashboards pictures proto clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## Run everything on a real broker, with a live view (SECONDS=20 to limit it)
	@$(BIN)/python -m tools.demo --seconds $(SECONDS_LIMIT)

cluster: .venv/ready ## Start a Kubernetes cluster that stays: kind, or (Linux, root) a node of our own
	@$(BIN)/python -m tools.local_kubernetes up

cluster-down: .venv/ready ## Remove that cluster
	@$(BIN)/python -m tools.local_kubernetes down

image: .venv/ready ## Build the image, and give it to that cluster
	@$(BIN)/python -m tools.local_kubernetes image

dev: .venv/ready ## skaffold dev in that cluster: build, install, show the logs, follow every edit
	@$(BIN)/python -m tools.local_kubernetes dev

test: check ## Check, then run every test, with a real broker, a real API server and a real node
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'kafka or kubernetes or cluster'

programs: .venv/ready ## Build Kubernetes and Helm for the tests, which otherwise do it when first needed
	@$(BIN)/python -m tools.local_kubernetes programs

check: .venv/ready ## Format, lint, types, layers, unit and property tests: under 2 minutes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -n auto -m 'not kafka and not kubernetes and not cluster'

format: .venv/ready ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix . || true
	@$(BIN)/ruff format .

bench: .venv/ready ## Measure, and write the pages of docs/performance*.md
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.apply_to_live
	@$(BIN)/python -m tests.bench.windows
	@$(BIN)/python -m tests.bench.metrics_cost
	@$(BIN)/python -m tests.bench.handover

soak: .venv/ready ## Broker restarts, and windows with 1,000,000 transactions and faults, each decision checked
	@$(BIN)/python -m tests.soak

lock: .venv/ready ## Pin the newest dependencies, with hashes
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements-dev.in -o requirements-dev.txt

jars: .venv/ready ## Pin the jars of Kafka and Strimzi, with checksums, as their poms want them
	@$(BIN)/python -m tools.local_kafka.lists tools/local_kafka/kafka.xml \
		tests/charts/strimzi.xml tests/monitoring/reporter.xml

crd: .venv/ready ## Generate the FraudRule resource and its reference from the model
	@$(BIN)/python -m tools.shipped.resource_definition > k8s/crds/fraudrules.yaml.new
	@mv k8s/crds/fraudrules.yaml.new k8s/crds/fraudrules.yaml
	@mkdir -p charts/fraud-detection/files
	@cp k8s/crds/fraudrules.yaml charts/fraud-detection/files/fraudrules.yaml
	@$(BIN)/python -m tools.shipped.reference

readmes: .venv/ready ## Write the tables of values in the charts' READMEs
	@for chart in charts/*; do $(BIN)/python -m tools.shipped.chart_readme $$chart > $$chart/README.md.new \
		&& mv $$chart/README.md.new $$chart/README.md; done

metrics: .venv/ready ## Write the page of metrics from their declarations
	@$(BIN)/python -m tools.shipped.metrics_page > docs/metrics.md.new
	@mv docs/metrics.md.new docs/metrics.md

dashboards: .venv/ready ## Write the dashboards from their code
	@$(BIN)/python -m tools.shipped.dashboards

pictures: .venv/ready ## Take the pictures of the console that README and docs show
	@$(BIN)/python -m tests.console.pictures

proto: .venv/ready ## Generate the reader of checked expressions from its .proto
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. services/rules/checked.proto

clean: ## Remove what make made in this tree
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/ready: requirements-dev.txt pyproject.toml
	@test -n '$(PYTHON)' || { echo 'No Python 3.11, 3.12 or 3.13 found; install one.' >&2; exit 1; }
	@echo 'installing into .venv ...'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
