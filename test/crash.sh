#!/bin/bash
# Kills the whole gateway at every crash point and at random moments, and balances
# what clients were promised against what arrived: at Postfix, to which the milter's
# mail goes back, and at the receivers the relay delivers to. Arguments go to the test,
# as -crash.kills=10 -crash.random=0.
set -eu
cd "$(dirname "$0")/.."
exec go test ./cmd/mailgate -run '^TestCrash(Relay)?$' -count=1 -v -timeout 2h -parallel 8 \
	-args -crash.kills=100 -crash.random=1000 "$@"
