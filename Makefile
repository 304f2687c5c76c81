# Go and make are all that is needed; make deps installs the servers that the tests start.

# The result is the same wherever the repository stands: no workspace above it counts.
export GOWORK = off

MODULES := $(sort $(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path './.*' -not -path '*/testdata/*')))
GOFMT    = "$$(go env GOROOT)/bin/gofmt"
TOOL     = go tool -modfile=$(CURDIR)/tools/go.mod

# Flags for go test, such as TESTFLAGS='-run Lease -count=10'.
TESTFLAGS ?=
FUZZTIME  ?= 20s

# The packages with tests. go test would compile the others, too, under the race detector: all of SQLite, for
# the program in examples/sqlshop, whose tests build it without.
TESTED = go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...

# $(call each,NAME,COMMAND) runs COMMAND in each module that has packages, and stops at the first failure.
define each
for m in $(MODULES); do ( cd $$m && if [ -n "$$(go list -e ./... 2>/dev/null)" ]; then echo "$(1): $$m"; $(2); fi ) || exit 1; done
endef

.PHONY: help
help: ## Show this list (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install the servers that the tests start, where they are missing
	@sh scripts/deps.sh

.PHONY: test
test: deps ## Run the whole suite, with the race detector where there is a C compiler
	@race=-race; \
	go build -race runtime/cgo >/dev/null 2>&1 || { race=; echo 'test: without the race detector, which needs cgo and a C compiler' >&2; }; \
	$(call each,test,pkgs=$$($(TESTED)) && go test $$race -timeout 15m $(TESTFLAGS) $$pkgs) && \
	{ [ -z "$$race" ] || go test -run Alloc ./...; } # the race detector allocates: these count without it

.PHONY: short
short: ## Run the tests that need no servers
	@go test -short $(TESTFLAGS) ./...

.PHONY: lint
lint: ## Check with gofmt, go vet, staticcheck and golangci-lint
	@files=$$($(GOFMT) -s -l .) || exit 1; [ -z "$$files" ] || { echo "lint: gofmt -s would change:"; echo "$$files"; exit 1; }
	@$(call each,go vet,go vet ./...)
	@$(call each,staticcheck,$(TOOL) staticcheck ./...)
	@$(call each,golangci-lint,$(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml ./...)

.PHONY: bench
bench: ## Run the comparisons in bench/
	cd bench && go run .

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (20s)
	@sh scripts/fuzz.sh $(FUZZTIME)

.PHONY: histories
histories: deps ## Check 2,000 random histories of several processes for stale reads, 10⁶ operations
	@go test -count=1 -v -timeout 2h -run Histories ./internal/histories -histories=1500 -ops=500

.PHONY: cover
cover: deps ## Run the suite with coverage of all packages: cover.out and a summary
	@go test -coverpkg=./... -coverprofile=cover.out $(TESTFLAGS) ./...
	@go tool cover -func=cover.out | tail -n 1

.PHONY: tidy
tidy: ## Tidy each module's go.mod and format the code
	@for m in $(MODULES); do ( cd $$m && go mod tidy ) || exit 1; done
	@$(GOFMT) -s -w .
