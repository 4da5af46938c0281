package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailgate/internal/dnstest"
	"mailgate/internal/preflight"
)

const (
	siteFile     = "mailgate.toml"
	siteProvider = "mx.gmail.test" // answers as Gmail does
)

// siteConfig is the configuration of a gateway that has its DNS and mail server in
// the test.
type siteConfig struct {
	hostname, milter, resolver, via string

	top, hold string            // further lines, and of [hold]
	keys      map[string]string // files by domain
}

// write writes it to siteFile in dir, at one moment: somebody may be reading it.
func (c siteConfig) write(dir string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `hostname = %q
egress = ["127.0.0.1"]
%s
[milter]
listen = %q
[control]
socket = "control.sock"
[store]
url = "sqlite:mailgate.db"
[dns]
resolvers = [%q]
[release]
via = %q
[hold]
%s`, c.hostname, c.top, c.milter, c.resolver, c.via, c.hold)
	for _, domain := range slices.Sorted(maps.Keys(c.keys)) {
		fmt.Fprintf(&b, "[[domain]]\nname = %q\nkeys = [{ selector = \"mail\", file = %q }]\n", domain, c.keys[domain])
	}
	file := filepath.Join(dir, siteFile)
	if err := os.WriteFile(file+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func siteProviders() map[string]preflight.Provider {
	return map[string]preflight.Provider{siteProvider: preflight.Google}
}

// setReceivers makes the zones of who gets mail: gmail.test, which is picky, and
// other.test; and the name of host's address.
func setReceivers(d *dnstest.Server, host string) error {
	return errors.Join(
		d.SetZone("gmail.test", "@ MX 10 "+siteProvider+".\nmx A 127.0.0.1\n"),
		d.SetZone("other.test", "@ MX 10 mx.other.test.\nmx A 127.0.0.1\n"),
		d.SetZone("127.in-addr.arpa", "1.0.0 PTR "+host+".\n"),
	)
}
