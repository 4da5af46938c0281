#!/bin/bash
# Kills the whole gateway at every crash point and at random moments, and balances
# what clients were promised against what arrived. Arguments go to the test, as
# -crash.kills=10 -crash.random=0.
set -eu
cd "$(dirname "$0")/.."
exec go test ./cmd/mailgate -run '^TestCrash$' -count=1 -v -timeout 1h -parallel 8 \
	-args -crash.kills=100 -crash.random=1000 "$@"
