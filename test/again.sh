# shellcheck shell=bash
# Sourced by those who load something from elsewhere.

# again COMMAND...: up to three times, as a network or another apt may be in the way for
# a moment. What it printed is told only if it fails.
again() {
	local log try why
	log=$(mktemp)
	for try in 1 2 3; do
		if "$@" >"$log" 2>&1; then
			rm -f "$log"
			return 0
		fi
		[ "$try" -lt 3 ] || break
		why=$(grep -E '^(E|W|fatal|curl|go):' "$log" | tail -n 1 || true)
		echo "$* failed${why:+ ($why)}; once more in $((try * ${AGAIN_PAUSE:-20})) s" >&2
		sleep $((try * ${AGAIN_PAUSE:-20}))
	done
	echo "$* failed three times:" >&2
	tail -n 40 "$log" >&2
	rm -f "$log"
	return 1
}

# loading TIME ARGUMENT...: apt-get, which gives up what hangs; not for what installs.
loading() {
	local time=$1
	shift
	timeout -k 10 "$time" apt-get -q -o Acquire::Retries=3 "$@"
}
