#!/bin/bash
# Unpacks Exim where the integration tests look for it. Debian can't install it
# beside Postfix: each is the machine's mail server.
set -eu
cd "$(dirname "$0")"
. ./again.sh

parent=/var/cache/mailgate-test
dir=$parent/exim
packages=(exim4-daemon-light exim4-base exim4-config)

works() {
	id Debian-exim && "$dir/usr/sbin/exim4" -C /dev/null -bV
} >/dev/null 2>&1

if works; then exit 0; fi
if [ "$(id -u)" != 0 ]; then
	echo "not root: not unpacking ${packages[*]} into $dir"
	exit 0
fi

mkdir -p "$parent"
exec 9>"$parent/lock"
if ! flock -w 900 9; then
	echo "unpacking Exim: another run has had $parent/lock for 15 minutes" >&2
	exit 1
fi
if works; then exit 0; fi # by that run
rm -rf "$parent"/new.* # of one that was broken off
new=$(mktemp -d "$parent/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
# Of _apt, so that apt-get downloads without root's rights.
mkdir "$new/deb"
chmod 755 "$new"
chown _apt "$new/deb" 2>/dev/null || true

must() { # COMMAND...: tell what it printed only if it fails
	if ! "$@" >"$new/log" 2>&1; then
		echo "unpacking Exim: $* failed:" >&2
		tail -n 40 "$new/log" >&2
		exit 1
	fi
}

download() (
	cd "$new/deb" && rm -f ./*.deb && loading 300 download "${packages[@]}"
)

renew() { loading 300 update && download; }

echo "unpacking ${packages[*]} into $dir"
if ! download >/dev/null 2>&1; then again renew; fi # what apt knows may be old
mapfile -t libraries < <(
	for deb in "$new"/deb/*.deb; do dpkg-deb -f "$deb" Depends; done |
		tr ',' '\n' | sed 's/^ *//; s/[ (|].*//' | grep '^lib' | sort -u
)
./install.sh "${libraries[@]}" 9>&-
for deb in "$new"/deb/*.deb; do must dpkg -x "$deb" "$new/root"; done
# The tests start it as root. Nobody else needs root's rights through it.
must chmod u-s "$new/root/usr/sbin/exim4"
if ! id Debian-exim >/dev/null 2>&1; then
	must useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin --badname Debian-exim
fi
must rm -rf "$dir"
must mv "$new/root" "$dir"
if ! works; then
	echo "unpacking Exim: it doesn't start: $("$dir/usr/sbin/exim4" -C /dev/null -bV 2>&1 | tail -n 1)" >&2
	exit 1
fi
