package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const key = "\n[[domain]]\nname = \"example.com\"\nkeys = [ { selector = \"a\", file = \"a.pem\" } ]\n"

func TestErrors(t *testing.T) {
	long := strings.Repeat("a", 120)
	tests := []struct{ name, text, want string }{ // want: what the error holds after "c.toml:"
		{"syntax", "mode = \n", "1:8: "},
		{"no quotes", "mode = enforce\n", "1:8: "},
		{"key twice", "mode = \"enforce\"\nmode = \"enforce\"\n", "2:1: mode: key mode is already defined"},
		{"not UTF-8", "mode = \"\xff\"\n", "1:9: "},
		{"unknown key", "mod = 1\n", "1:1: mod: unknown key; did you mean mode?"},
		{"unknown key in a section", "[relay]\n  nexthop = \"x\"\n", "2:3: relay.nexthop: unknown key; did you mean next_hop?"},
		{"unknown key, far off", "[web]\nport = 1\n", "2:1: web.port: unknown key; known here: listen"},
		{"key of another case", "[web]\nListen = \"127.0.0.1:1\"\n", "2:1: web.Listen: unknown key; did you mean listen?"},
		{"unknown section", "[miltre]\nlisten = \"x\"\n", "1:2: miltre: unknown key; did you mean milter?"},
		{"unknown key of a key", "[[domain]]\n[[domain.keys]]\nfile = \"a\"\n[[domain.keys]]\nselektor = 1\n", "5:1: domain[0].keys[1].selektor: unknown key; did you mean selector?"},
		{"unknown inline key", "[[domain]]\nkeys = [ {\"a\\n\" = 1} ]", `2:11: domain[0].keys[0]."a\n": unknown key`},
		{"number for a string", "mode = 1\n", `1:8: mode: is a number: want a string within quotes, as "…"`},
		{"string for a number", "milter.max_connections = \"5\"\n", "1:26: milter.max_connections: is a string: want a whole number"},
		{"fraction", "milter.max_connections = 5.5\n", "is a number: want a whole number"},
		{"string for a list", "egress = \"1.2.3.4\"\n", "1:10: egress: is a string: want a list of strings"},
		{"number in a list", "egress = [\n \"203.0.113.9\",\n 1]\n", "3:2: egress[1]: is a number: want a string"},
		{"string for true", "[dns]\nauthoritative = \"yes\"\n", "2:17: dns.authoritative: is a string: want true or false"},
		{"string for a date", "[[tls]]\nexpires = \"2027-03-31\"\n", "2:11: tls[0].expires: is a string: want a date without quotes"},
		{"time for a date", "[[tls]]\nexpires = 2027-03-31T10:00:00Z\n", "2:11: tls[0].expires: is a date or time: want a date"},
		{"number for a section", "relay = 1\n", "1:9: relay: is a number: want a section with the keys listen, trusted, next_hop"},
		{"one section of several", "[domain]\nname = \"x\"\n", "1:2: domain: write [[domain]], as there may be several"},
		{"several of one section", "[[relay]]\nlisten = \"x\"\n", "1:3: relay: write [relay], as there is only one"},
		{"key as a section", "[mode]\nx = 1\n", "1:2: mode: is no section: want a string"},
		{"key with keys", "mode.x = 1\n", "1:1: mode: has no keys of its own"},
		{"string for keys", "[[domain]]\nkeys = [ \"a.pem\" ]\n", "2:10: domain[0].keys[0]: is a string: want a section"},
		{"mode", "mode = \"on\"\n", `1:8: mode: is "on": want "enforce", "observe"`},
		{"hostname", "hostname = \"192.0.2.1\"\n", "1:12: hostname: hostname cannot be used"},
		{"egress", "egress = [\"203.0.113.9\", \"203.0.113.300\"]\n", "1:26: egress[1]: \"203.0.113.300\" is no IP address"},
		{"egress of no host", "egress = [\"0.0.0.0\"]\n", "no address that mail can leave from"},
		{"egress with a zone", "egress = [\"fe80::1%eth0\"]\n", "has a zone"},
		{"listen missing", "mode = \"observe\"\n[milter]\ntimeout = \"5m\"\n", "2:2: milter.listen: is missing"},
		{"listen without port", "[web]\nlisten = \"127.0.0.1\"\n", `2:10: web.listen: "127.0.0.1" is not "host:port"`},
		{"listen on a directory", "[web]\nlisten = \"unix:/run/\"\n", "names a directory"},
		{"listen on a long path", "[web]\nlisten = \"unix:/" + long + "\"\n", "at most 107 bytes"},
		{"two doors at one place", "[web]\nlisten = \"127.0.0.1:1\"\n[milter]\nlisten = \"inet:1@127.0.0.1\"\n", "2:10: web.listen: inet:127.0.0.1:1 is taken by milter.listen"},
		{"door at the control socket", "[control]\nsocket = \"/run/a\"\n[web]\nlisten = \"unix:/run/a\"\n", "taken by control.socket"},
		{"trusted", "[relay]\nlisten = \"127.0.0.1:1\"\ntrusted = [\"192.0.2.0/24\", \"192.0.2.1/24\"]\n", "3:28: relay.trusted[1]: 192.0.2.1/24 has bits beside its mask; write 192.0.2.0/24 or 192.0.2.1"},
		{"trusted name", "milter.trusted = [\"localhost\"]\n", "is no network"},
		{"max_connections", "milter.max_connections = 0\n", "1:26: milter.max_connections: is 0: want 1 to 100000"},
		{"timeout", "milter.timeout = \"5\"\n", `is no duration`},
		{"timeout, negative", "milter.timeout = \"-5m\"\n", `is no duration`},
		{"socket_mode", "[milter]\nlisten = \"unix:/run/a\"\nsocket_mode = \"660x\"\n", "3:15: milter.socket_mode: \"660x\" is no permission"},
		{"socket_mode and umask", "[milter]\nlisten = \"unix:/run/a\"\nsocket_mode = \"660\"\numask = \"7\"\n", "4:9: milter.umask: says the same"},
		{"umask of a port", "[milter]\nlisten = \"inet:127.0.0.1:1\"\numask = \"7\"\n", `3:9: milter.umask: is for a Unix socket, and listen is "inet:127.0.0.1:1"`},
		{"next_hop", "relay.next_hop = \"mail.example.net\"\n", `relay.next_hop: "mail.example.net" is not "host:port"`},
		{"next_hop port", "relay.next_hop = \"mail.example.net:0\"\n", "port 0"},
		{"relay on a socket", "relay.listen = \"unix:/run/a\"\n", "1:16: relay.listen: the relay needs an address and a port"},
		{"relay without any listen", "[relay]\ntrusted = []\n", "1:2: relay.listen: is missing"},
		{"listener without listen", "[[relay.listener]]\ntls = \"off\"\n", "1:9: relay.listener[0].listen: is missing"},
		{"tls of no listener", "[relay]\ntls = \"offered\"\n[[relay.listener]]\nlisten = \"127.0.0.1:1\"\n", "2:7: relay.tls: means nothing in [relay] without listen"},
		{"two listeners at one place", "[[relay.listener]]\nlisten = \"127.0.0.1:1\"\n[[relay.listener]]\nlisten = \"127.0.0.1:1\"\n", "4:10: relay.listener[1].listen: inet:127.0.0.1:1 is taken by relay.listener[0].listen"},
		{"one listener of several", "[relay.listener]\nlisten = \"127.0.0.1:1\"\n", "write [[relay.listener]]"},
		{"tls of the relay", "[relay]\nlisten = \"127.0.0.1:1\"\ntls = \"yes\"\n", `3:7: relay.tls: is "yes": want "off", "offered", "required", "implicit"`},
		{"tls without certificate", "[relay]\nlisten = \"127.0.0.1:1\"\ntls = \"offered\"\nkey = \"k\"\n", "1:2: relay.certificate: is missing"},
		{"certificate without tls", "[relay]\nlisten = \"127.0.0.1:1\"\ncertificate = \"c\"\n", "3:15: relay.certificate: means nothing"},
		{"legacy without tls", "[relay]\nlisten = \"127.0.0.1:1\"\nprofile = \"legacy\"\n", "3:11: relay.profile: means nothing"},
		{"profile", "[relay]\nlisten = \"127.0.0.1:1\"\nprofile = \"old\"\n", `want "modern", "legacy"`},
		{"proxy", "relay.listen = \"127.0.0.1:1\"\nrelay.proxy = [\"x\"]\n", "relay.proxy[0]: \"x\" is no network"},
		{"from", "relay.listen = \"127.0.0.1:1\"\nrelay.from = [\"a b\"]\n", "2:15: relay.from[0]: domain"},
		{"bare_newlines", "relay.bare_newlines = \"accept\"\n", `want "refuse", "normalise"`},
		{"max_size", "relay.max_size = \"10kB\"\n", "relay.max_size: is \"10kB\": want a size from 64KiB"},
		{"no size", "relay.max_size = \"much\"\n", "relay.max_size: is \"much\": want a size from 64KiB"},
		{"max_recipients", "relay.max_recipients = 10\n", "1:24: relay.max_recipients: is 10: want 100 to 100000"},
		{"password in clear", "[[relay.user]]\nname = \"a\"\npassword = \"secret\"\n", "3:12: relay.user[0].password: want the hash"},
		{"user without name", "[[relay.user]]\npassword = \"$argon2id$\"\n", "relay.user[0].name: want the name"},
		{"user twice", "[[relay.user]]\nname = \"a\"\n[[relay.user]]\nname = \"a\"\n", "4:8: relay.user[1].name: \"a\" is already relay.user[0]"},
		{"route", "[[route]]\ndestination = \"*.example.com\"\n", `2:15: route[0].destination: domain`},
		{"route twice", "[[route]]\ndestination = \"A.example\"\n[[route]]\ndestination = \"a.example\"\n", "4:15: route[1].destination: a.example is already route[0]"},
		{"route's user without password", "[[route]]\ndestination = \"a.example\"\nvia = \"h.example:25\"\nuser = \"u\"\n", "4:8: route[0].user: user and password_file go together"},
		{"route's user without via", "[[route]]\ndestination = \"a.example\"\nuser = \"u\"\npassword_file = \"p\"\n", "3:8: route[0].user: is for the server named by via"},
		{"route's password in clear", "[[route]]\ndestination = \"a.example\"\nvia = \"h.example:25\"\nuser = \"u\"\npassword_file = \"p\"\ntls = \"none\"\n", "6:7: route[0].tls: \"none\" would send"},
		{"route's tls", "[[route]]\ndestination = \"a.example\"\ntls = \"dane\"\n", `3:7: route[0].tls: is "dane": want "none", "may"`},
		{"route's via", "[[route]]\ndestination = \"a.example\"\nvia = \"h.example\"\n", `is not "host:port"`},
		{"queue.max_age", "queue.max_age = \"0\"\n", "1:17: queue.max_age: \"0\" is no duration"},
		{"queue.retry_first", "queue.retry_first = \"5h\"\n", "1:21: queue.retry_first: is longer than retry_most, 4h"},
		{"queue.retry_most", "queue.retry_most = \"1ms\"\n", "too often"},
		{"queue.connections", "queue.connections = 0\n", "1:21: queue.connections: is 0: want 1 to 10000"},
		{"postgres", "store.url = \"postgres://u:secret@h/db\"\n", "1:13: store.url: PostgreSQL is not supported yet: want"},
		{"store", "store.url = \"mysql:x\"\n", "\"mysql:x\" is no store"},
		{"store in memory", "store.url = \"sqlite::memory:\"\n", "path of a file"},
		{"store with options", "store.url = \"sqlite:a?b\"\n", "without options"},
		{"store without path", "store.url = \"sqlite:\"\n", "is empty"},
		{"resolver", "dns.resolvers = [\"1.1.1.1\", \"1.1.1.1:x\"]\n", "1:29: dns.resolvers[1]: \"x\" is no port number"},
		{"resolver by name", "dns.resolvers = [\"1.1.1.1\", \"dns.example.net\"]\n", "1:29: dns.resolvers[1]: \"dns.example.net\" is no IP address"},
		{"resolver by name and port", "dns.resolvers = [\"localhost:53\"]\n", "1:18: dns.resolvers[0]: \"localhost\" is no IP address"},
		{"resolver at port 0", "dns.resolvers = [\"1.1.1.1:0\"]\n", "port 0"},
		{"panel at port 0", "dns.panel = \"ns.panel.example:0\"\n", "1:13: dns.panel: port 0"},
		{"policy.refused", "policy.refused = \"defer\"\n", `want "hold", "reject", "pass"`},
		{"policy.unknown", "policy.unknown = \"reject\"\n", `want "hold", "defer", "pass"`},
		{"policy.foreign", "policy.foreign = \"\"\n", `policy.foreign: is "": want "pass", "hold", "reject"`},
		{"via", "release.via = \"\"\n", "release.via: \"\" is not"},
		{"via a closed relay", "release.via = \"relay\"\n", "there is no section [relay]"},
		{"max_age", "hold.max_age = \"500d\"\n", "is no duration"},
		{"release_rate", "hold.release_rate = -1\n", "1:21: hold.release_rate: is -1: want messages a minute"},
		{"notify_after", "hold.notify_after = \"4\"\n", `1:21: hold.notify_after: "4" is no duration: want one up to 365d`},
		{"postmaster", "hold.postmaster = \"root\"\n", `1:19: hold.postmaster: "root" is no address`},
		{"postmaster without domain", "hold.postmaster = \"postmaster\"\n", "it has no domain; want one as"},
		{"postmaster, null", "hold.postmaster = \"<>\"\n", "is no address"},
		{"digest", "[hold]\ndigest = \"daily\"\n", `2:10: hold.digest: "daily" is no duration`},
		{"keep_bodies", "hold.keep_bodies = \"-1d\"\n", "hold.keep_bodies: \"-1d\" is no duration"},
		{"keep_log", "hold.keep_log = \"3651d\"\n", "want one up to 3650d"},
		{"max_bytes", "hold.max_bytes = \"10 gigs\"\n", `1:18: hold.max_bytes: "10 gigs" is no size: want bytes`},
		{"max_bytes, a number", "hold.max_bytes = 10\n", "is a number: want a string within quotes"},
		{"recheck", "hold.recheck = \"10ms\"\n", "too often"},
		{"control socket", "control.socket = \"\"\n", "control.socket: is empty"},
		{"NUL in a path", "control.socket = \"/a\\u0000b\"\n", "holds a NUL"},
		{"domain without name", "[[domain]]\nkeys = [ { selector = \"a\", file = \"b\" } ]\n", "1:3: domain[0].name: is missing"},
		{"domain", "[[domain]]\nname = \"*\"\nkeys = [ { selector = \"a\", file = \"b\" } ]\n", `2:8: domain[0].name: domain "*"`},
		{"domain without keys", "[[domain]]\nname = \"example.com\"\n", "1:3: domain[0].keys: is missing"},
		{"domain twice", key + key, "7:8: domain[1].name: example.com is already domain[0]"},
		{"sub-domains of a wildcard", strings.Replace(key, "\"example", "\"*.example", 1) + "subdomains = true\n", "5:14: domain[0].subdomains: *.example.com stands for"},
		{"selector missing", "[[domain]]\nname = \"example.com\"\nkeys = [ { file = \"b\" } ]\n", "3:10: domain[0].keys[0].selector: is missing"},
		{"selector", strings.Replace(key, `"a"`, `"a b"`, 1), "4:23: domain[0].keys[0].selector: no selector"},
		{"whole record as selector", strings.Replace(key, `"a"`, `"a._domainkey"`, 1), "only what stands before"},
		{"selector twice", strings.Replace(key, "} ]", "}, { selector = \"A\", file = \"a.pem\" } ]", 1), "4:59: domain[0].keys[1].selector: a second key for a._domainkey.example.com"},
		{"selector of two domains", key + strings.NewReplacer("\"example.com", "\"*.example.com", "a.pem", "b.pem").Replace(key), "8:23: domain[1].keys[0].selector: a second key"},
		{"file missing", strings.Replace(key, "a.pem", "", 1), "4:35: domain[0].keys[0].file: is missing"},
		{"identity without @", strings.Replace(key, "a.pem\"", "a.pem\", identity = \"example.com\"", 1), "has no @"},
		{"identity elsewhere", strings.Replace(key, "a.pem\"", "a.pem\", identity = \"@example.net\"", 1), "not under the signing domain example.com"},
		{"expire", key + "expire = \"0s\"\n", "domain[0].expire: \"0s\" is no duration"},
		{"destination", "[[tls]]\nlevel = \"may\"\n", "1:3: tls[0].destination: domain \"\": empty"},
		{"destination twice", "[[tls]]\nlevel = \"may\"\ndestination = \"A.example\"\n[[tls]]\nlevel = \"may\"\ndestination = \"a.example\"\n", "6:15: tls[1].destination: a.example is already tls[0]"},
		{"level", "[[tls]]\ndestination = \"a.example\"\nlevel = \"off\"\n", `3:9: tls[0].level: is "off": want "none", "may", `},
		{"level missing", "[[tls]]\ndestination = \"a.example\"\n", `1:3: tls[0].level: is missing, and nothing else is set`},
		{"min_version", "[[tls]]\ndestination = \"a.example\"\nmin_version = \"2\"\n", "3:15: tls[0].min_version: \"2\" is no TLS version"},
		{"ciphers", "[[tls]]\ndestination = \"a.example\"\nciphers = [\"AES128-SHA\"]\n", "3:12: tls[0].ciphers[0]: \"AES128-SHA\" is no cipher suite"},
		{"cipher of TLS 1.3", "[[tls]]\ndestination = \"a.example\"\nciphers = [\"TLS_AES_128_GCM_SHA256\"]\n", "is no cipher suite"},
		{"curves", "[[tls]]\ndestination = \"a.example\"\ncurves = \"x25519\"\n", `3:10: tls[0].curves: is "x25519": want "classic"`},
		{"match", "[[tls]]\ndestination = \"a.example\"\nlevel = \"secure\"\nmatch = [\"a b\"]\n", "4:10: tls[0].match[0]: domain"},
		{"server_name", "[[tls]]\ndestination = \"a.example\"\nserver_name = \"a b\"\n", "3:15: tls[0].server_name: domain"},
		{"next hop's port", "[[tls]]\ndestination = \"[a.example]:smtp\"\nlevel = \"may\"\n", "2:15: tls[0].destination: \"[a.example]:smtp\" is no next hop"},
		{"next hop's name", "[[tls]]\ndestination = \"[a b]:25\"\nlevel = \"may\"\n", "2:15: tls[0].destination: domain"},
		{"Postfix", "[socketmap]\nlisten = \"inet:127.0.0.1:1\"\npostfix = \"2.11\"\n", `3:11: socketmap.postfix: version 2.11 is too old`},
		{"no version", "[socketmap]\nlisten = \"inet:127.0.0.1:1\"\npostfix = \"new\"\n", `is no version of Postfix`},
		{"reports from nobody", "[tls_reports]\nenabled = true\n", "2:11: tls_reports.enabled: needs tls_reports.from"},
		{"version", "[[tls]]\ndestination = \"a.example\"\nlevel = \"may\"\nmax_version = \"1.4\"\n", "4:15: tls[0].max_version: \"1.4\" is no TLS version"},
		{"no reason", "[[tls]]\ndestination = \"a.example\"\nlevel = \"none\"\nexpires = 2027-01-01\n", "1:3: tls[0].reason: is missing"},
		{"no expiry", "[[tls]]\ndestination = \"a.example\"\nlevel = \"none\"\nreason = \"x\"\n", "1:3: tls[0].expires: is missing"},
		{"version of none", "[[tls]]\ndestination = \"a.example\"\nlevel = \"none\"\nreason = \"x\"\nexpires = 2027-01-01\nmax_version = \"1.0\"\n", "6:15: tls[0].max_version: means nothing"},
		{"socket_mode with sticky bit", "[milter]\nlisten = \"unix:/run/a\"\nsocket_mode = \"1660\"\n", "3:15: milter.socket_mode: \"1660\" is no permission"},
		{"listen without host", "[web]\nlisten = \":80\"\n", `write "0.0.0.0" or "[::]"`},
		{"identity of no domain", strings.Replace(key, "a.pem\"", "a.pem\", identity = \"@a b\"", 1), "identity: domain"},
		{"identity with an odd local part", strings.Replace(key, "a.pem\"", "a.pem\", identity = \"a b@example.com\"", 1), "identity: path"},
		{"name missing, keys apart", "[[domain]]\n[[domain.keys]]\nselector = \"a\"\nfile = \"b\"\n", "1:3: domain[0].name: is missing"},
		{"several keys missing, dotted", "relay.trusted = []\nrelay.next_hop = \"\"\n", "1:1: relay.listen: is missing"},
		{"true for a string", "mode = true\n", "is true or false: want a string"},
		{"list for a string", "mode = [\"a\"]\n", "1:1: mode: is a list: want a string"},
		{"table for a string", "mode = { a = 1 }\n", "1:8: mode: is a table: want a string"},
		{"number for tables", "tls = 1\n", "1:7: tls: is a number: want a list of tables"},
		{"long value", "mode = \"" + long + "\"\n", `"…: want`},
		{"long key", long + " = 1\n", "unknown key; known here: mode, engine, hostname"},
		{"impossible date", "[[tls]]\nexpires = 2027-02-30\n", "2:19: tls.expires: impossible date"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse([]byte(tt.text), "c.toml")
			var all Errors
			if c != nil || !errors.As(err, &all) {
				t.Fatalf("got %v, %v", c, err)
			}
			if len(all) == 0 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			told := map[string]bool{}
			for _, fault := range all {
				if told[fault.Key] {
					t.Errorf("%s is told twice: %v", fault.Key, err)
				}
				told[fault.Key] = true
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "c.toml:") || len(line) > 400 || strings.Contains(line, "secret") {
					t.Errorf("line %q", line)
				}
			}
		})
	}
}

// All faults of a file are told at once, in its order.
func TestAllErrors(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "faults.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "faults.txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(data, "faults.toml")
	if err == nil || err.Error()+"\n" != string(want) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var one *Error
	if !errors.As(err, &one) || one.Line != 2 || one.Column != 10 || one.Key != "mode" || one.File != "faults.toml" {
		t.Errorf("first error: %+v", one)
	}
}
