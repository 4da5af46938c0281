#!/bin/bash
# Measures: Go benchmarks (part "go"), then the built program beside its peers (parts
# of test/bench). ONLY=custody,lists chooses parts. Arguments: package patterns.
set -eu
cd "$(dirname "$0")/.."
only=${ONLY:-}
wants() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }

peers=()
if wants milter; then peers+=(opendkim rspamd); fi
if wants custody || wants release || wants relay; then peers+=(postfix); fi
if ! wants milter && wants relay; then peers+=(opendkim); fi
if wants socketmap; then peers+=(postfix-mta-sts-resolver python3-uvloop); fi
if [ ${#peers[@]} -gt 0 ]; then
	test/install.sh "${peers[@]}" || echo "not all of ${peers[*]} could be installed: compared with what is there"
fi
if wants go; then
	go test -run '^$' -bench . -benchmem "$@"
fi
rest=$(tr , '\n' <<<"$only" | grep -vx go | paste -sd, || true)
if [ -z "$only" ] || [ -n "$rest" ]; then
	go run ./test/bench --mailgate bin/mailgate --only "$rest"
fi
