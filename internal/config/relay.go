package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// Relay is the SMTP door and the way out of what it takes.
type Relay struct {
	Listeners []RelayListener // none: the door is closed
	NextHop   string          // "host:port"; empty: the recipient domain's MX
	Users     []RelayUser
	Normalise bool // a bare CR or LF in a message becomes CRLF; false: the message is refused

	MaxSize        int64 // of a message, in bytes
	MaxRecipients  int   // of a message
	MaxConnections int   // of all listeners together
	MaxPerClient   int   // connections of one address

	Origin mail.Domain // that "mailgate sendmail" gives to addresses without one; empty: Hostname
}

// RelayListener is one address of the SMTP door.
type RelayListener struct {
	Path             string // of its keys in the file: "relay" or "relay.listener[0]"
	Listen           Listen
	Trusted          []netip.Prefix // clients that may send without a login
	From             []mail.Domain  // From domains these clients may write as; empty: any
	TLS              TLSMode
	Certificate, Key string // files; empty where TLS is off
	Legacy           bool   // TLS 1.0 and RSA key exchange, for old clients
	Proxy            []netip.Prefix
}

// TLSMode says what a listener of the relay does about TLS.
type TLSMode string

const (
	TLSOff      TLSMode = "off"
	TLSOffered  TLSMode = "offered"
	TLSRequired TLSMode = "required"
	TLSImplicit TLSMode = "implicit" // from the first byte on, as on port 465
)

// RelayUser may log in.
type RelayUser struct {
	Name string
	Hash string        // argon2id, in PHC string form
	From []mail.Domain // From domains this user may write as; empty: any
}

const (
	minMessageSize = 64 << 10 // what every server must take (RFC 5321 section 4.5.3.1.7)
	minRecipients  = 100      // likewise (section 4.5.3.1.8)
)

func (b *builder) relay() Relay {
	in := b.in.Relay
	r := Relay{
		Listeners:      b.relayListeners(),
		NextHop:        optional(b, "relay.next_hop", in.NextHop, destination),
		Users:          b.relayUsers(),
		Normalise:      enum(b, "relay.bare_newlines", in.BareNewlines, "refuse", "normalise") == "normalise",
		MaxSize:        one(b, "relay.max_size", in.MaxSize, messageSize),
		MaxRecipients:  b.number("relay.max_recipients", in.MaxRecipients, minRecipients, 100_000),
		MaxConnections: b.number("relay.max_connections", in.MaxConnections, 1, 100_000),
		MaxPerClient:   b.number("relay.max_per_client", in.MaxPerClient, 1, 100_000),
		Origin:         optional(b, "relay.origin", in.Origin, mail.ParseDomain),
	}
	return r
}

// messageSize reads the bound on a message's size.
func messageSize(s string) (int64, error) {
	n, err := ParseSize(s)
	if err != nil || n < minMessageSize || n > 1<<40 {
		return 0, fmt.Errorf(`is %s: want a size from 64KiB to 1TiB, as "35MB"`, shown(s))
	}
	return n, nil
}

func (b *builder) number(path string, n, least, most int64) int {
	if n < least || n > most {
		b.src.fail(path, "is %d: want %d to %d", n, least, most)
	}
	return int(n)
}

// relayListeners reads [relay], if it has a listen of its own, and every
// [[relay.listener]], which inherits trusted and from of it.
func (b *builder) relayListeners() []RelayListener {
	in := b.in.Relay
	inherited := b.clientsOf("relay", in.Trusted, in.From)
	var list []RelayListener
	if b.src.has("relay.listen") || len(in.Listener) == 0 {
		first := b.relayListener("relay", fileRelayListener{
			Listen: in.Listen, TLS: in.TLS, Certificate: in.Certificate, Key: in.Key, Profile: in.Profile, Proxy: in.Proxy,
		})
		if first.Listen.IsZero() { // no section, or a fault that is told
			return nil
		}
		list = append(list, inherited.into(first))
	} else {
		for _, key := range []string{"tls", "certificate", "key", "profile", "proxy"} {
			if b.src.has("relay." + key) {
				b.src.fail("relay."+key, "means nothing in [relay] without listen: put it into [[relay.listener]]")
			}
		}
	}
	for i, l := range in.Listener {
		path := fmt.Sprintf("relay.listener[%d]", i)
		clients := b.clientsOf(path, l.Trusted, l.From)
		if !b.src.has(path + ".trusted") {
			clients.trusted = inherited.trusted
		}
		if !b.src.has(path + ".from") { // else a restriction would be lost unseen
			clients.from = inherited.from
		}
		list = append(list, clients.into(b.relayListener(path, l)))
	}
	return list
}

// clients are those that need no login, and what they may write as.
type clients struct {
	trusted []netip.Prefix
	from    []mail.Domain
}

func (b *builder) clientsOf(path string, trusted, from []string) clients {
	return clients{each(b, path+".trusted", trusted, parsePrefix), each(b, path+".from", from, mail.ParseDomain)}
}

func (c clients) into(l RelayListener) RelayListener {
	l.Trusted, l.From = c.trusted, c.from
	return l
}

func (b *builder) relayListener(path string, in fileRelayListener) RelayListener {
	l := RelayListener{
		Path:   path,
		Listen: b.listen(path, in.Listen),
		TLS:    enum(b, path+".tls", cmp.Or(in.TLS, string(TLSOff)), TLSOff, TLSOffered, TLSRequired, TLSImplicit),
		Legacy: enum(b, path+".profile", cmp.Or(in.Profile, "modern"), "modern", "legacy") == "legacy",
		Proxy:  each(b, path+".proxy", in.Proxy, parsePrefix),
	}
	if l.Listen.Network == "unix" {
		b.src.fail(path+".listen", "the relay needs an address and a port: clients are known by their addresses")
	}
	b.certificate(path, in, &l)
	return l
}

// certificate reads certificate and key, which go with TLS and only with it.
func (b *builder) certificate(path string, in fileRelayListener, l *RelayListener) {
	for _, f := range []struct {
		key, given string
		into       *string
	}{{"certificate", in.Certificate, &l.Certificate}, {"key", in.Key, &l.Key}} {
		switch {
		case f.given == "" && l.TLS != TLSOff && l.TLS != "":
			b.src.fail(path+"."+f.key, "is missing: tls is %q, want the path of a file in PEM form", string(l.TLS))
		case f.given != "" && l.TLS == TLSOff:
			b.src.fail(path+"."+f.key, `means nothing with tls = "off"; want "offered", "required" or "implicit"`)
		case f.given != "":
			*f.into = b.file(path+"."+f.key, f.given)
		}
	}
	if l.Legacy && l.TLS == TLSOff {
		b.src.fail(path+".profile", `means nothing with tls = "off"`)
	}
}

func (b *builder) relayUsers() []RelayUser {
	var users []RelayUser
	seen := map[string]string{}
	for i, in := range b.in.Relay.User {
		path := fmt.Sprintf("relay.user[%d]", i)
		u := RelayUser{Name: in.Name, Hash: in.Password, From: each(b, path+".from", in.From, mail.ParseDomain)}
		switch {
		case in.Name == "" || len(in.Name) > 255 || strings.ContainsFunc(in.Name, isControl):
			b.src.fail(path+".name", "want the name that the user logs in with")
		case seen[in.Name] != "":
			b.src.fail(path+".name", "%s is already %s", shown(in.Name), seen[in.Name])
		}
		seen[in.Name] = path
		if !strings.HasPrefix(in.Password, "$argon2id$") { // never shown: it may be the password itself
			b.src.fail(path+".password", `want the hash of a password, as "mailgate relay passwd" prints it`)
		}
		users = append(users, u)
	}
	return users
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (c *Config) warnRelay(w *warner) {
	for _, l := range c.Relay.Listeners {
		for _, p := range l.Trusted {
			w.add(p.Bits() == 0, "%s.trusted: %s lets the whole Internet send through the relay: it is open", l.Path, p)
		}
		w.add(len(l.Trusted) == 0 && (l.TLS == TLSOff || len(c.Relay.Users) == 0),
			"%s.trusted: empty, and nobody can log in there (that takes tls and a [[relay.user]]): nobody can send through it", l.Path)
		w.add(l.Legacy, "%s.profile: legacy takes TLS 1.0 and RSA key exchange, which can be read by who records them and gets the key; use it for old servers only", l.Path)
		w.add(c.Relay.NextHop != "" && reaches(c.Relay.NextHop, l.Listen),
			"relay.next_hop: %s is the relay itself: mail would go in a circle", c.Relay.NextHop)
		for i, r := range c.Routes {
			w.add(r.Via != "" && reaches(r.Via, l.Listen), "route[%d].via: %s is the relay itself: mail would go in a circle", i, r.Via)
		}
	}
	closed := len(c.Relay.Listeners) == 0
	noTLS := !slices.ContainsFunc(c.Relay.Listeners, func(l RelayListener) bool { return l.TLS != TLSOff })
	w.add(!closed && len(c.Relay.Users) > 0 && noTLS, "relay.user: nobody can log in, as passwords are only taken over TLS; set tls, certificate and key")
	w.add(closed && len(c.Routes) > 0, "route: means nothing without [relay]")
	w.add(c.Queue.DelayNotice > 0 && c.Queue.DelayNotice >= c.Queue.MaxAge,
		"queue.delay_notice: mail is returned at max_age, before its sender would be told that it is late; want less than max_age")
}
