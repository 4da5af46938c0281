#!/bin/bash
# Installs what the integration tests need and starts no service.
# With arguments: those packages instead.
set -eu
. "$(dirname "$0")/again.sh"

packages=(gcc libc6-dev ca-certificates openssl iproute2 postfix bind9-utils knot unbound python3-dkim python3-dnspython python3-nacl opendkim)

must_install() { # PACKAGE...
	if [ "$(id -u)" != 0 ]; then
		echo "not root: not installing $*"
		exit 0
	fi

	# Debian starts services on installation unless this file says no.
	policy=/usr/sbin/policy-rc.d
	ours='# by test/install.sh'
	if [ ! -e "$policy" ] || grep -qx "$ours" "$policy"; then # left by a run that was broken off
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\n%s\nexit 101\n' "$ours" >"$policy"
		chmod 755 "$policy"
	fi

	export DEBIAN_FRONTEND=noninteractive
	echo "installing $*"
	if ! command -v postconf >/dev/null; then
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	fi
	again load "$@"
	again put "$@"
}

load() { # PACKAGE...
	loading 300 update && loading 600 install -y --no-install-recommends --download-only "$@"
}

put() { # PACKAGE...
	# An apt of somebody else is waited for; what an installation left that was broken
	# off is mended, for the next try.
	apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" || { dpkg --configure -a; false; }
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
