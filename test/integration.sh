#!/bin/bash
# Runs the integration tests, which bind ports 25 and 53 and start Postfix.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	echo "not root: integration tests left out (Postfix must be started by root, and DNS servers need port 53)"
	exit 0
fi
exec go test -tags integration -count=1 -timeout 10m ./test/integration/
