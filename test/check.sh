#!/bin/bash
# gofmt, go vet, staticcheck; govulncheck where its database can be reached.
# Arguments: package patterns.
set -eu
cd "$(dirname "$0")/.."
. test/again.sh
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.8.0 # 1.9.0 needs a module that can't be had

unformatted=$(gofmt -l cmd internal test)
if [ -n "$unformatted" ]; then
	echo "gofmt -w these:"
	echo "$unformatted"
	exit 1
fi

# The tag only adds files, so this looks at everything.
go vet -tags integration "$@"
go vet -tags docs ./cmd/mailgate
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
again env GOBIN="$tools" go install "$staticcheck"
"$tools/staticcheck" -tags integration "$@"

out=$tools/out
if timeout 120 go run "$govulncheck" "$@" >"$out" 2>&1; then
	echo "govulncheck: no vulnerabilities found"
elif grep -q '^exit status 3$' "$out"; then
	cat "$out"
	exit 1
else
	echo "govulncheck left out: it could not run or its database could not be reached ($(grep -v '^exit status' "$out" | tail -n 1))"
fi
