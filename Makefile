# softprompt's tasks. Each one first sets up what it needs: `make deps` is
# quick when nothing is missing, and no variable of the environment has to be
# set for a plain go build or go test afterwards.

.DEFAULT_GOAL := help

ORT       ?=
PKGS      ?= ./...
TESTFLAGS ?= -timeout 20m
FUZZTIME  ?= 10m
# Tests that make test runs last, with what they count and measure in full view.
REPORTS   := ^Test(Architectures|Backend|ExportedModels|ONNXAD|TokenizerFoldersLikeTransformers|PublishedTokenizerLikeTransformers)$$
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# With ORT, everything runs on that release of ONNX Runtime.
deps := go run ./tools/deps $(if $(ORT),-ort $(ORT))
with := $(if $(ORT),ONNXRUNTIME_SHARED_LIBRARY_PATH="$$($(deps) -path)")
lint := go tool -modfile=tools/lint/go.mod

.PHONY: help deps build quickstart test fuzz bench reference hub xl compare precision lint fmt generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  ORT=1.24.4 runs a target on the oldest ONNX Runtime supported, PKGS=./grad/... narrows'
	@echo '  test and fuzz, TESTFLAGS (now "$(TESTFLAGS)") go to go test, FUZZTIME (now $(FUZZTIME)) is for each fuzz target,'
	@echo '  BOOLQ=val.jsonl adds a text to bench'

deps: ## set up ONNX Runtime and the tokenizers library
	@command -v go >/dev/null || { echo 'deps: error: no Go: install Go 1.26 or newer' >&2; exit 1; }
	@$(deps)

build: deps ## build bin/softprompt
	go build -ldflags '-X main.version=$(VERSION)' -o bin/softprompt ./cmd/softprompt

quickstart: build ## tune a prompt for the built-in tiny model and use it
	@$(with) sh tools/quickstart.sh

test: deps ## vet and run every test, and print what was held against other programs
	go vet $(PKGS)
ifeq ($(PKGS),./...)
	$(with) go test $(TESTFLAGS) -skip '$(REPORTS)' ./...
	@$(with) TESTFLAGS='$(TESTFLAGS)' sh tools/reports.sh '$(REPORTS)' ./export ./export/exported ./grad ./models
else
	$(with) go test $(TESTFLAGS) $(PKGS)
endif

fuzz: deps ## run each fuzz target for FUZZTIME
	@$(with) FUZZTIME='$(FUZZTIME)' sh tools/fuzz.sh $(PKGS)

bench: deps ## measure training and evaluation against PEFT and transformers
	$(with) go run ./tools/bench $(if $(BOOLQ),-boolq $(BOOLQ))

reference: ## compute the reference numbers again with PyTorch and PEFT
	$(MAKE) -C tools/reference goldens

hub: ## show that Python's huggingface_hub and softprompt use one cache
	$(MAKE) -C tools/reference hub

xl: deps ## export a 3 GB checkpoint and train a step of T5 XL, and print what they take
	$(with) go run ./tools/xl

compare: deps ## train prompts here and with PEFT from the same start and compare them
	$(with) go run ./tools/compare -python "$$($(MAKE) -s -C tools/reference python)"

precision: deps ## tune prompts in int8 and in float32 and compare them; DATA is the folder with IMDB
	$(with) go run ./tools/precision $(if $(DATA),-data '$(DATA)') $(if $(WITH),-with '$(WITH)')

lint: deps ## check formatting, imports between packages, and staticcheck
	@unformatted=$$($(lint) gofumpt -l .); test -z "$$unformatted" || { echo "not formatted, run make fmt: $$unformatted" >&2; exit 1; }
	go run ./tools/borders
	$(lint) staticcheck ./...

fmt: ## format the Go files
	$(lint) gofumpt -w .

generate: ## make the Go types of ONNX's messages again
	cd tools/onnxpb && go run .

clean: ## remove what was built; the libraries stay in the cache
	rm -rf bin .deps
