# palmops 掌上运维. `make` alone prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MODULES := libs services/gateway services/dialog services/executor services/simulator services/palmops
BIN := .bin
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## everything in one process, with a phone page to try it at
	@exec $(BIN)/palmops run $(ARGS)

test: ## all tests with the race detector; installs what they need where it may
	@deployments/scripts/test-needs.sh
	go test -race -timeout 30m $(TESTFLAGS) work
	go test -count=1 ./libs/archtest

build: ## the palmops binary, in .bin
	@mkdir -p $(BIN)
	go build -trimpath -ldflags "-s -w -X palmops/services/palmops/internal/command.Revision=$(REVISION)" -o $(BIN)/palmops ./services/palmops

check: ## formatting, vet, lint, import law, each module alone, tidy, the shipped configuration
	@deployments/scripts/check.sh $(MODULES)
	$(MAKE) build
	$(BIN)/palmops check

e2e-kube: ## the kind kubernetes against a real kube-apiserver, built once and kept in the cache
	@deployments/scripts/e2e-kube.sh

bench: ## speed, as ratios measured in one run
	@deployments/scripts/bench.sh

fuzz: ## every fuzz test for a while (FUZZTIME=20s)
	@deployments/scripts/fuzz.sh $(MODULES)

mod: ## tidy every module and the workspace
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy) || exit 1; done
	go work sync

clean: ## what was built, and the local stack's data
	rm -rf $(BIN) .palmops

.PHONY: help run test build check e2e-kube bench fuzz mod clean
