# shellcheck shell=bash
# Sourced by those who load something from elsewhere.

# again COMMAND...: up to three times, as a network or another apt may be in the way for
# a moment; once where apt knows no such package. What it printed is told only if it fails.
again() {
	local log try why times=' three times'
	log=$(mktemp)
	for try in 1 2 3; do
		if "$@" >"$log" 2>&1; then
			rm -f "$log"
			return 0
		fi
		if hopeless "$log"; then
			times=
			break
		fi
		[ "$try" -lt 3 ] || break
		why=$(grep -E '^(E|W|fatal|curl|go):' "$log" | tail -n 1 || true)
		echo "$* failed${why:+ ($why)}; once more in $((try * ${AGAIN_PAUSE:-20})) s" >&2
		sleep $((try * ${AGAIN_PAUSE:-20}))
	done
	echo "$* failed$times:" >&2
	tail -n 40 "$log" >&2
	rm -f "$log"
	return 1
}

# hopeless LOG: apt-get knows no such package, and its lists are those of now.
hopeless() {
	grep -qE '^E: (Unable to locate package|Package .* has no installation candidate)' "$1" &&
		! grep -qE '^(Err:|[EW]: (Failed to fetch|Some index files failed))' "$1"
}

# loading TIME ARGUMENT...: apt-get, which gives up what hangs; not for what installs.
loading() {
	local time=$1
	shift
	LC_ALL=C timeout -k 10 "$time" apt-get -q -o Acquire::Retries=3 "$@"
}
