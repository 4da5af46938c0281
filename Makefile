# mailgate. `make help` lists the targets.
SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 30s
PREFIX ?= /usr/local
PACKAGES := ./cmd/... ./internal/... ./test/...

.DEFAULT_GOAL := help
.PHONY: help build program docs install run demo test needs unit integration check imports bench fuzz crash

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: program docs ## bin/mailgate, with man pages in bin/man and completions of shells in bin/completion

program:
	$(GO) build -trimpath -o bin/mailgate ./cmd/mailgate

# The date on the pages is the source's, so that two builds of it are the same.
docs:
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} $(GO) run -tags docs ./cmd/mailgate docs bin

install: build ## the program, its man pages and completions, below PREFIX (/usr/local)
	install -D -m 755 bin/mailgate $(DESTDIR)$(PREFIX)/bin/mailgate
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 bin/man/man1/*.1
	install -D -m 644 bin/completion/mailgate.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mailgate
	install -D -m 644 bin/completion/_mailgate $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mailgate
	install -D -m 644 bin/completion/mailgate.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mailgate.fish

run: program ## a gateway in ./var: makes a key and a configuration if there is none
	./bin/mailgate serve --init ./var

demo: program ## the whole gateway on this machine: no root, no Internet, no Postfix
	./bin/mailgate demo

test: needs check unit integration ## everything; as root on a fresh Debian, it installs what it needs

needs: ## what the integration tests need, with apt (root only)
	test/install.sh

unit: ## unit tests with the race detector
	$(GO) test -race -timeout 30m $(PACKAGES)

crash: ## kill the gateway at every crash point, 100 times each, and 1,000 times at random
	test/crash.sh

integration: ## with real servers: Postfix, Knot DNS, Unbound (root only)
	test/integration.sh

check: imports ## gofmt, vet, staticcheck, govulncheck, the import table
	test/check.sh $(PACKAGES)

imports: ## which package may import which
	$(GO) test -count=1 ./test/imports

bench: program ## figures, beside peers; ONLY=go,milter,custody,release,lists,relay,socketmap chooses parts
	ONLY=$(ONLY) test/bench.sh $(PACKAGES)

fuzz: ## every fuzz target for FUZZTIME
	test/fuzz.sh $(FUZZTIME) $(PACKAGES)
