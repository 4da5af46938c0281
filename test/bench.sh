#!/bin/bash
# Go benchmarks, then the milter comparison. Arguments: package patterns.
set -eu
cd "$(dirname "$0")/.."
test/install.sh opendkim rspamd || echo "rspamd or opendkim could not be installed: compared with what is there"
go test -run '^$' -bench . -benchmem "$@"
go run ./test/bench --mailgate bin/mailgate
