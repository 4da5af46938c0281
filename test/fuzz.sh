#!/bin/bash
# Runs every fuzz target. Arguments: time for each, package patterns.
set -eu
cd "$(dirname "$0")/.."
time=$1
shift
for package in $(go list "$@"); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
