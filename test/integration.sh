#!/bin/bash
# Runs the integration tests, which bind ports 25 and 53 and start Postfix.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	echo "not root: integration tests left out (Postfix must be started by root, and DNS servers need port 53)"
	exit 0
fi
# Of the command line, what needs a name server.
go test -tags integration -count=1 -timeout 60m -run '^TestKnot' ./cmd/mailgate
# One package after the other: they share loopback addresses and ports.
exec go test -tags integration -count=1 -timeout 60m -p 1 ./internal/sign ./internal/dnsview ./internal/publish ./internal/notice ./internal/tlspolicy ./internal/socketmap ./internal/convert ./test/integration
