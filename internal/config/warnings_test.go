package config

import (
	"strings"
	"testing"
	"time"
)

const sound = `
hostname = "mx1.example.com"
egress = ["203.0.113.9"]
[milter]
listen = "127.0.0.1:8891"
[relay]
listen = "127.0.0.1:2525"
[[domain]]
name = "example.com"
keys = [ { selector = "a", file = "a.pem" } ]
[[tls]]
destination = "a.example"
level = "may"
expires = 2027-03-31
`

const publisherOf = "[[publisher]]\nname = \"dns\"\nprovider = \"cloudflare\"\nsecret_file = \"x\"\n"

func TestWarnings(t *testing.T) {
	now := time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC)
	tests := []struct{ name, old, new, want string }{
		{"none", "", "", ""},
		{"observe", "hostname", "mode = \"observe\"\nhostname", "mode: observe"},
		{"single label", "mx1.example.com", "mx1", "hostname: mx1 is a single label"},
		{"no egress", `"203.0.113.9"`, "", "egress: empty"},
		{"private egress", "203.0.113.9", "10.0.0.9", "egress: receivers never see 10.0.0.9"},
		{"validating, on this machine", "[milter]", "[dns]\nvalidating = true\nresolvers = [\"127.0.0.1\", \"[::1]:5353\"]\n[milter]", ""},
		{"validating, elsewhere", "[milter]", "[dns]\nvalidating = true\nresolvers = [\"127.0.0.53\", \"192.0.2.53\"]\n[milter]", "dns.validating: on the way from 192.0.2.53:53"},
		{"validating, the system's", "[milter]", "[dns]\nvalidating = true\n[milter]", "dns.validating: the system's resolvers"},
		{"elsewhere, not validating", "[milter]", "[dns]\nresolvers = [\"192.0.2.53\"]\n[milter]", ""},
		{"trusts all", "[relay]", "[relay]\ntrusted = [\"0.0.0.0/0\"]", "relay.trusted: 0.0.0.0/0 lets the whole Internet"},
		{"refused passes", "[milter]", "[policy]\nrefused = \"pass\"\n[milter]", "policy.refused"},
		{"via our relay", "[milter]", "[release]\nvia = \"localhost:2525\"\n[milter]", `release.via: localhost:2525 is our own relay; write "relay"`},
		{"via our milter", "[milter]", "[release]\nvia = \"127.0.0.1:8891\"\n[milter]", "release.via: 127.0.0.1:8891 is our own milter door"},
		{"via a relay on all addresses", "[milter]\nlisten = \"127.0.0.1:8891\"\n[relay]\nlisten = \"127.0.0.1:2525\"",
			"[release]\nvia = \"127.0.0.1:2525\"\n[relay]\nlisten = \"0.0.0.0:2525\"", "release.via"},
		{"circle", "[relay]", "[relay]\nnext_hop = \"127.0.0.1:2525\"", "relay.next_hop"},
		{"a route in a circle", "[[tls]]", "[[route]]\ndestination = \"*\"\nvia = \"127.0.0.1:2525\"\n[[tls]]", "route[0].via: 127.0.0.1:2525 is the relay itself"},
		{"nobody may send", "[relay]", "[relay]\ntrusted = []", "relay.trusted: empty, and nobody can log in there"},
		{"nobody may log in", "\"127.0.0.1:2525\"", "\"127.0.0.1:2525\"\ntrusted = []\ntls = \"offered\"\ncertificate = \"c\"\nkey = \"k\"", "relay.trusted: empty"},
		{"users without TLS", "[[domain]]", "[[relay.user]]\nname = \"a\"\npassword = \"$argon2id$\"\n[[domain]]", "relay.user: nobody can log in"},
		{"legacy", "\"127.0.0.1:2525\"", "\"127.0.0.1:2525\"\ntls = \"offered\"\ncertificate = \"c\"\nkey = \"k\"\nprofile = \"legacy\"", "relay.profile: legacy"},
		{"delay told too late", "[milter]", "[queue]\ndelay_notice = \"5d\"\n[milter]", "queue.delay_notice: mail is returned"},
		{"open web", "[relay]", "[web]\nlisten = \"0.0.0.0:80\"\n[relay]", "web.listen"},
		{"short grace", "[milter]", "[keys]\ngrace = \"1s\"\n[milter]", "keys.grace: 1s is short"},
		{"two publishers, one the owner's", "[[domain]]", publisherOf + "[[domain]]\nname = \"c.example.com\"\nsign_as = \"example.com\"\npublisher = \"dns\"\nkeys = [ { selector = \"b\", file = \"b.pem\" } ]\n[[domain]]", `domain c.example.com: signs with the keys of example.com, which the publisher named there writes, if any, and not "dns"`},
		{"two publishers, none the owner's", "name = \"example.com\"", "name = \"*.example.com\"\nkeys = [ { selector = \"b\", file = \"b.pem\" } ]\n" + publisherOf + "[[domain]]\nname = \"c.example.com\"\nsign_as = \"example.com\"\npublisher = \"dns\"", "domain c.example.com: signs as example.com, and so does *.example.com, with another publisher"},
		{"foreign sign_as", "[[tls]]", "sign_as = \"example.net\"\n[[tls]]", "sign_as example.net is not above it"},
		{"told too late", "[milter]", "[hold]\nnotify_after = \"5d\"\n[milter]", "hold.notify_after: mail is returned at max_age"},
		{"told, never returned", "[milter]", "[hold]\nnotify_after = \"5d\"\nmax_age = \"0\"\n[milter]", ""},
		{"bodies beyond the log", "[milter]", "[hold]\nkeep_log = \"6d\"\n[milter]", "hold.keep_log: is less than keep_bodies"},
		{"bodies for ever", "[milter]", "[hold]\nkeep_bodies = \"0\"\n[milter]", "hold.keep_log: is less than keep_bodies"},
		{"all for ever", "[milter]", "[hold]\nkeep_bodies = \"0\"\nkeep_log = \"0\"\n[milter]", ""},
		{"rare re-checks", "[milter]", "[hold]\nrecheck = \"16m\"\n[milter]", "hold.recheck: is above 15m"},
		{"the rarest re-checks", "[milter]", "[hold]\nrecheck = \"15m\"\n[milter]", ""},
		{"small store", "[milter]", "[hold]\nmax_bytes = \"9MB\"\n[milter]", "hold.max_bytes: is below 10MB"},
		{"smallest store", "[milter]", "[hold]\nmax_bytes = \"10MB\"\n[milter]", ""},
		{"no bound", "[milter]", "[hold]\nmax_bytes = \"0\"\n[milter]", ""},
		{"expired", "2027-03-31", "2027-03-30", "the override for a.example expired on 2027-03-30"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := parse(t, strings.Replace(sound, tt.old, tt.new, 1)).warnings(now)
			switch {
			case tt.want == "" && len(list) > 0:
				t.Errorf("got %q", list)
			case tt.want != "" && (len(list) != 1 || !strings.Contains(list[0], tt.want)):
				t.Errorf("got %q, want %q", list, tt.want)
			}
		})
	}
	if list := parse(t, minimal).warnings(now); len(list) != 3 { // no door, no egress, no domain
		t.Errorf("an empty configuration: %q", list)
	}
}
