package config

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
)

const minimal = "hostname = \"mx1.example.com\"\n"

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "/etc/mailgate/mailgate.toml")
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := parse(t, minimal)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	want := &Config{
		Path:     "/etc/mailgate/mailgate.toml",
		Mode:     Enforce,
		Engine:   EngineAuto,
		Hostname: "mx1.example.com",
		Milter:   Milter{Trusted: loopback, MaxConnections: 500, Timeout: 2 * time.Hour},
		Relay:    Relay{MaxSize: 35 << 20, MaxRecipients: 1000, MaxConnections: 1000, MaxPerClient: 100},
		Queue:    defaultQueue(),
		Control:  Control{"/run/mailgate/control.sock"},
		Store:    Store{"sqlite", "/var/lib/mailgate/mailgate.db"},
		DNS:      DNS{Authoritative: true},
		MTASTS:   MTASTS{Enabled: true},
		Keys:     Keys{Grace: 7 * 24 * time.Hour},

		Socketmap: Socketmap{Postfix: "3.6", Trusted: loopback},

		Policy:  Policy{Refused: ActionHold, Unknown: ActionHold, Foreign: ActionPass},
		Release: Release{"127.0.0.1:25"},
		Hold: Hold{
			AutoRelease: true, ReleaseRate: 60, Recheck: 30 * time.Second, MaxAge: 5 * 24 * time.Hour, Digest: 24 * time.Hour,
			KeepBodies: 7 * 24 * time.Hour, KeepLog: 365 * 24 * time.Hour, MaxBytes: 10 << 30,
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func defaultQueue() Queue {
	return Queue{
		MaxAge: 5 * 24 * time.Hour, DelayNotice: 4 * time.Hour, RetryFirst: 5 * time.Minute, RetryMost: 4 * time.Hour,
		PerDestination: 5, Connections: 50,
	}
}

const everything = `
mode = "observe"
engine = "go"
hostname = "MX.Bücher.example."
egress = ["203.0.113.9", "::ffff:203.0.113.10", "2001:DB8::9"]
milter = { listen = "local:run/m.sock", trusted = ["192.0.2.1", "2001:db8::/32", "2001:db8::1"], umask = "002" }
relay.listen = "[::1]:2525"
relay.next_hop = "Mail.example.net:587"
relay.bare_newlines = "normalise"
relay.max_size = "64KiB"
relay.max_recipients = 100
relay.max_connections = 1
relay.max_per_client = 2
relay.origin = "Example.com"
queue = { max_age = "2d", delay_notice = "0", retry_first = "1m", retry_most = "1h", per_destination = 1, connections = 2 }
[store]
url = "sqlite:data/mail.db"
[dns]
resolvers = ["127.0.0.53", "[2001:db8::1]:5353", "2001:db8::2"]
panel = "ns.panel.example"
authoritative = false
validating = true
[mta_sts]
enabled = false
private = true
[tls_reports]
enabled = true
name = "Example"
[socketmap]
listen = "unix:run/s.sock"
postfix = "3.10.2"
trusted = ["10.0.0.0/8"]
[release]
via = "relay"
[hold]
max_age = "1d12h"
recheck = "90s"
auto_release = false
release_rate = 0
notify_after = "4h"
postmaster = "Post.Master@Example.com"
digest = "0"
keep_bodies = "0"
keep_log = "3650d"
max_bytes = "500MB"
[policy]
refused = "reject"
unknown = "defer"
foreign = "hold"
[[domain]]
name = "*.Example.com"
sign_as = "example.com"
bulk = true
expire = "14d"
[[domain.keys]]
selector = "2026"
file = "../keys/a.pem"
identity = "Lists@Sub.example.com"
[[domain.keys]]
selector = "Mail.s2"
file = "/keys/b.pem"
identity = "@example.com"
[[tls]]
destination = "[Smtp.Example.net]:587"
min_version = "1.1"
ciphers = ["TLS_RSA_WITH_AES_128_CBC_SHA"]
curves = "classic"
server_name = "Mx.example.net"
match = [".Example.net", "mx.example.org"]
[[tls]]
destination = "mx:*.Google.com"
level = "none"
reason = "old"
expires = 2027-03-31
[[relay.listener]]
listen = "192.0.2.1:25"
trusted = ["192.0.2.0/24"]
from = ["example.com", "Bücher.example"]
tls = "offered"
certificate = "c.pem"
key = "/keys/c.pem"
profile = "legacy"
proxy = ["192.0.2.9"]
[[relay.listener]]
listen = "192.0.2.1:465"
tls = "implicit"
certificate = "c.pem"
key = "/keys/c.pem"
[[relay.user]]
name = "exchange"
password = "$argon2id$v=19$x"
from = ["example.com"]
[[route]]
destination = ".Bücher.example"
via = "[2001:db8::1]:587"
user = "u"
password_file = "p"
tls = "secure"
[[route]]
destination = "*"
[[tls]]
destination = ".bücher.example"
level = "dane-only"
max_version = "1.1"
`

func TestValues(t *testing.T) {
	c := parse(t, everything)
	want := &Config{
		Path:     "/etc/mailgate/mailgate.toml",
		Mode:     Observe,
		Engine:   EngineGo,
		Hostname: "mx.xn--bcher-kva.example",
		Egress: []netip.Addr{
			netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::9"),
		},
		Milter: Milter{
			Listen:         Listen{"unix", "/etc/mailgate/run/m.sock"},
			Trusted:        prefixes("192.0.2.1/32", "2001:db8::/32", "2001:db8::1/128"),
			MaxConnections: 500, Timeout: 2 * time.Hour, SocketMode: 0o775,
		},
		Relay: Relay{
			Listeners: []RelayListener{
				{Path: "relay", Listen: Listen{"tcp", "[::1]:2525"}, Trusted: prefixes("127.0.0.0/8", "::1/128"), TLS: TLSOff},
				{
					Path: "relay.listener[0]", Listen: Listen{"tcp", "192.0.2.1:25"}, Trusted: prefixes("192.0.2.0/24"),
					From: []mail.Domain{"example.com", "xn--bcher-kva.example"}, TLS: TLSOffered,
					Certificate: "/etc/mailgate/c.pem", Key: "/keys/c.pem", Legacy: true, Proxy: prefixes("192.0.2.9/32"),
				},
				{
					Path: "relay.listener[1]", Listen: Listen{"tcp", "192.0.2.1:465"}, Trusted: prefixes("127.0.0.0/8", "::1/128"),
					TLS: TLSImplicit, Certificate: "/etc/mailgate/c.pem", Key: "/keys/c.pem",
				},
			},
			NextHop: "mail.example.net:587", Normalise: true,
			Users:   []RelayUser{{"exchange", "$argon2id$v=19$x", []mail.Domain{"example.com"}}},
			MaxSize: 64 << 10, MaxRecipients: 100, MaxConnections: 1, MaxPerClient: 2,
			Origin: "example.com",
		},
		Queue: Queue{
			MaxAge: 48 * time.Hour, RetryFirst: time.Minute, RetryMost: time.Hour, PerDestination: 1, Connections: 2,
		},
		Routes: []Route{
			{Destination: ".xn--bcher-kva.example", Via: "[2001:db8::1]:587", User: "u", PasswordFile: "/etc/mailgate/p", TLS: TLSSecure},
			{Destination: "*"},
		},
		Control: Control{"/run/mailgate/control.sock"},
		Store:   Store{"sqlite", "/etc/mailgate/data/mail.db"},
		DNS: DNS{
			Resolvers: []string{"127.0.0.53:53", "[2001:db8::1]:5353", "[2001:db8::2]:53"}, Panel: "ns.panel.example:53",
			Validating: true,
		},
		MTASTS:    MTASTS{Private: true},
		Keys:      Keys{Grace: 7 * 24 * time.Hour},
		Reports:   TLSReports{Enabled: true, From: mail.Address{Local: "Post.Master", Domain: "example.com"}, Name: "Example"},
		Socketmap: Socketmap{Listen: Listen{"unix", "/etc/mailgate/run/s.sock"}, Postfix: "3.10", Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		Policy:    Policy{Refused: ActionReject, Unknown: ActionDefer, Foreign: ActionHold},
		Release:   Release{ReleaseViaRelay},
		Hold: Hold{
			Recheck: 90 * time.Second, NotifyAfter: 4 * time.Hour, MaxAge: 36 * time.Hour,
			Postmaster: mail.Address{Local: "Post.Master", Domain: "example.com"},
			KeepLog:    3650 * 24 * time.Hour, MaxBytes: 500_000_000,
		},
		Domains: []Domain{{
			Pattern: "*.example.com", Name: "example.com", Wildcard: true, SignAs: "example.com", Bulk: true,
			Expire: 14 * 24 * time.Hour,
			Keys: []Key{
				{"2026", "/etc/keys/a.pem", "Lists@sub.example.com"},
				{"mail.s2", "/keys/b.pem", "@example.com"},
			},
		}},
		TLS: []TLSOverride{
			{
				Destination: "[smtp.example.net]:587", MinVersion: tls.VersionTLS11, Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"},
				Curves: "classic", ServerName: "mx.example.net", Match: []string{".example.net", "mx.example.org"},
			},
			{Destination: "mx:*.google.com", Level: TLSNone, Reason: "old", Expires: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)},
			{Destination: ".xn--bcher-kva.example", Level: TLSDANEOnly, MaxVersion: tls.VersionTLS11},
		},
	}
	c.unsupported = nil // TestUnsupported
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestSystemHostname(t *testing.T) {
	if _, err := os.Hostname(); err != nil {
		t.Fatal(err)
	}
	if c := parse(t, ""); c.Hostname == "" {
		t.Error("hostname is empty")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.toml")
	if err := os.WriteFile(path, []byte(minimal+"store.url = \"sqlite:m.db\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil || c.Store.Path != filepath.Join(dir, "m.db") || c.Path != path {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, path := range []string{filepath.Join(dir, "missing.toml"), dir} {
		_, err = Load(path)
		var all Errors
		if !errors.As(err, &all) || !strings.HasPrefix(err.Error(), path+": cannot be read: ") || strings.Count(err.Error(), path) != 1 {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
	huge := filepath.Join(dir, "huge.toml")
	if err := os.WriteFile(huge, []byte(strings.Repeat("#\n", maxFile/2+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(huge); err == nil || !strings.Contains(err.Error(), "over 4194304 bytes") {
		t.Errorf("a file over the limit: %v", err)
	}
	if _, err = Load(filepath.Join(dir, "missing.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not ErrNotExist", err)
	}
}

// What [relay] says of clients holds for further listeners that don't say it anew.
func TestListenersInherit(t *testing.T) {
	for _, c := range []struct {
		name, text string
		from       []mail.Domain
		trusted    []netip.Prefix
	}{
		{"both", "", []mail.Domain{"example.com"}, prefixes("192.0.2.0/24")},
		{"none", "from = []\ntrusted = []\n", nil, nil},
		{"own", "from = [\"example.net\"]\n", []mail.Domain{"example.net"}, prefixes("192.0.2.0/24")},
	} {
		const shared = "trusted = [\"192.0.2.0/24\"]\nfrom = [\"example.com\"]\n"
		for _, listen := range []string{"listen = \"127.0.0.1:1\"\n", ""} {
			cfg, err := Parse([]byte("[relay]\n"+listen+shared+"[[relay.listener]]\nlisten = \"127.0.0.1:2\"\n"+c.text), "mailgate.toml")
			if err != nil {
				t.Fatal(err)
			}
			l := cfg.Relay.Listeners[len(cfg.Relay.Listeners)-1]
			if !slices.Equal(l.From, c.from) || !slices.Equal(l.Trusted, c.trusted) {
				t.Errorf("%s, listen %q: from %v, trusted %v", c.name, listen, l.From, l.Trusted)
			}
		}
	}
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}
