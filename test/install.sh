#!/bin/bash
# Installs what the integration tests need and starts no service.
# With arguments: those packages instead.
set -eu

packages=(gcc libc6-dev ca-certificates openssl iproute2 postfix bind9-utils knot unbound python3-dkim python3-dnspython python3-nacl opendkim)

must_install() { # PACKAGE...
	if [ "$(id -u)" != 0 ]; then
		echo "not root: not installing $*"
		exit 0
	fi

	# Debian starts services on installation unless this file says no.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi

	export DEBIAN_FRONTEND=noninteractive
	echo "installing $*"
	if ! command -v postconf >/dev/null; then
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	fi
	log=$(mktemp)
	if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1; then
		tail -n 40 "$log"
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
}

wanted=("${packages[@]}")
if [ $# -gt 0 ]; then wanted=("$@"); fi
missing=()
for p in "${wanted[@]}"; do
	if [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" != installed ]; then
		missing+=("$p")
	fi
done
if [ ${#missing[@]} -gt 0 ]; then must_install "${missing[@]}"; fi
if [ $# -eq 0 ]; then "$(dirname "$0")/exim.sh"; fi
