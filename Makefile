# Everything runs from .venv in this tree, made from the lock. Needs Python >= 3.11; the demo and
# the tests also need Java >= 17 and Maven, which fetches Apache Kafka. The tests of the operator and of
# the charts need Go >= 1.24, which builds the API server of Kubernetes and Helm, and a Java >= 21, which
# makes Strimzi's CRDs. Those of a node need Linux, root, and Debian's packages: `make cluster` names what is
# missing. Where that cannot be had they are skipped.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
SECONDS_LIMIT := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),0)
BIN := .venv/bin
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo $$p; break; }; done)

.PHONY: help demo cluster cluster-down image dev test check format bench soak lock crd readmes metrics dashboards pictures proto clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## Run everything on a real broker, with a live view (SECONDS=20 to limit it)
	@$(BIN)/python -m services.demo --seconds $(SECONDS_LIMIT)

cluster: .venv/ready ## Start a Kubernetes cluster that stays: kind, or (Linux, root) a node of our own
	@$(BIN)/python -m services.local_kubernetes up

cluster-down: .venv/ready ## Remove that cluster
	@$(BIN)/python -m services.local_kubernetes down

image: .venv/ready ## Build the image, and give it to that cluster
	@$(BIN)/python -m services.local_kubernetes image

dev: .venv/ready ## skaffold dev in that cluster: build, install, show the logs, follow every edit
	@$(BIN)/python -m services.local_kubernetes dev

test: check ## Check, then run every test, with a real broker, a real API server and a real node
	@$(BIN)/pytest -m 'kafka or kubernetes or cluster'

check: .venv/ready ## Format, lint, types, layers, unit and property tests: under 2 minutes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -m 'not kafka and not kubernetes and not cluster'

format: .venv/ready ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix . || true
	@$(BIN)/ruff format .

bench: .venv/ready ## Measure, and write the pages of docs/performance*.md
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.apply_to_live
	@$(BIN)/python -m tests.bench.windows
	@$(BIN)/python -m tests.bench.metrics_cost

soak: .venv/ready ## Windows with 1,000,000 transactions and faults, each decision checked
	@$(BIN)/python -m tests.soak

lock: .venv/ready ## Pin the newest dependencies, with hashes
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements-dev.in -o requirements-dev.txt

crd: .venv/ready ## Generate the FraudRule resource and its reference from the model
	@$(BIN)/python -m services.operator.resource_definition > k8s/crds/fraudrules.yaml.new
	@mv k8s/crds/fraudrules.yaml.new k8s/crds/fraudrules.yaml
	@mkdir -p charts/fraud-detection/files
	@cp k8s/crds/fraudrules.yaml charts/fraud-detection/files/fraudrules.yaml
	@$(BIN)/python -m services.operator.reference

readmes: .venv/ready ## Write the tables of values in the charts' READMEs
	@for chart in charts/*; do $(BIN)/python -m tests.charts.readme $$chart > $$chart/README.md.new \
		&& mv $$chart/README.md.new $$chart/README.md; done

metrics: .venv/ready ## Write the page of metrics from their declarations
	@$(BIN)/python -m tests.telemetry.metrics_page > docs/metrics.md.new
	@mv docs/metrics.md.new docs/metrics.md

dashboards: .venv/ready ## Write the dashboards from their code
	@$(BIN)/python -m tests.monitoring.dashboards

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
