package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"mailgate/internal/mail"
)

// builder makes a Config of a file and notes every fault at its place.
type builder struct {
	in  file
	src *source
	dir string // that relative paths are relative to
}

func (b *builder) build() *Config {
	c := &Config{
		Mode:      enum(b, "mode", b.in.Mode, Enforce, Observe),
		Engine:    enum(b, "engine", b.in.Engine, EngineAuto, EngineGo),
		Hostname:  b.hostname(),
		Egress:    each(b, "egress", b.in.Egress, parseAddr),
		Milter:    b.milter(),
		Relay:     b.relay(),
		Socketmap: b.socketmap(),
		Web:       Web{b.listen("web", b.in.Web.Listen)},
		Control:   Control{b.socket("control.socket", b.in.Control.Socket)},
		Store:     b.store(),
		DNS:       b.dns(),
		Policy: Policy{
			Refused: enum(b, "policy.refused", b.in.Policy.Refused, ActionHold, ActionReject, ActionPass),
			Unknown: enum(b, "policy.unknown", b.in.Policy.Unknown, ActionHold, ActionDefer, ActionPass),
			Foreign: enum(b, "policy.foreign", b.in.Policy.Foreign, ActionPass, ActionHold, ActionReject),
		},
		Release: b.release(),
		Hold:    b.hold(),
		Queue:   b.queue(),
		Domains: b.domains(),
		Routes:  b.routes(),
		TLS:     b.overrides(),
		MTASTS:  MTASTS(b.in.MTASTS),
		Reports: b.reports(),

		Keys:       b.keys(),
		Publishers: b.publishers(),
	}
	b.checkDoors(c)
	c.unsupported = b.unsupported(c)
	return c
}

// one parses the value at path.
func one[T any](b *builder, path, s string, parse func(string) (T, error)) T {
	v, err := parse(s)
	if err != nil {
		b.src.fail(path, "%v", err)
	}
	return v
}

// optional is one for a value that may be left out.
func optional[T any](b *builder, path, s string, parse func(string) (T, error)) T {
	if s == "" {
		var zero T
		return zero
	}
	return one(b, path, s, parse)
}

// each parses the list at path.
func each[T any](b *builder, path string, list []string, parse func(string) (T, error)) []T {
	var values []T
	for i, s := range list {
		values = append(values, one(b, fmt.Sprintf("%s[%d]", path, i), s, parse))
	}
	return values
}

// enum checks that s is one of the words allowed at path.
func enum[T ~string](b *builder, path, s string, allowed ...T) T {
	words := make([]string, len(allowed))
	for i, word := range allowed {
		if s == string(word) {
			return word
		}
		words[i] = fmt.Sprintf("%q", string(word))
	}
	b.src.fail(path, "is %s: want %s", shown(s), strings.Join(words, ", "))
	return ""
}

func (b *builder) hostname() mail.Domain {
	name, from := b.in.Hostname, "hostname"
	if name == "" {
		name, _ = os.Hostname()
		from = "the system's hostname"
	}
	d, err := mail.ParseDomain(name)
	if err != nil {
		b.src.fail("hostname", "%s cannot be used: %v", from, err)
	}
	return d
}

// listen reads where a door listens; without its section the door stays closed.
func (b *builder) listen(section, s string) Listen {
	path := section + ".listen"
	switch {
	case !b.src.has(section) && !b.src.has(path):
		return Listen{}
	case s == "":
		b.src.fail(path, `is missing: want an address, as "127.0.0.1:2525", or leave out the section [%s] to keep the door closed`, section)
		return Listen{}
	}
	l := one(b, path, s, ParseListen)
	if l.Network == "unix" {
		l.Address = b.socket(path, l.Address)
	}
	return l
}

// file makes a path absolute.
func (b *builder) file(path, s string) string {
	if err := checkPath(s); err != nil {
		b.src.fail(path, "%v", err)
		return ""
	}
	if !filepath.IsAbs(s) {
		s = filepath.Join(b.dir, s)
	}
	return filepath.Clean(s)
}

func (b *builder) socket(path, s string) string {
	s = b.file(path, s)
	if len(s) > maxSocketPath {
		b.src.fail(path, "the path of a socket has at most %d bytes, this has %d", maxSocketPath, len(s))
	}
	return s
}

func (b *builder) milter() Milter {
	in := b.in.Milter
	m := Milter{
		Listen:         b.listen("milter", in.Listen),
		Trusted:        each(b, "milter.trusted", in.Trusted, parsePrefix),
		MaxConnections: int(in.MaxConnections),
		Timeout:        one(b, "milter.timeout", in.Timeout, ParseDuration),
	}
	if in.MaxConnections < 1 || in.MaxConnections > 100_000 {
		b.src.fail("milter.max_connections", "is %d: want 1 to 100000", in.MaxConnections)
	}
	m.SocketMode = b.socketMode(m.Listen)
	return m
}

// socketMode reads socket_mode, or umask as OpenDKIM has it.
func (b *builder) socketMode(l Listen) fs.FileMode {
	const modePath, maskPath = "milter.socket_mode", "milter.umask"
	in := b.in.Milter
	mode := optional(b, modePath, in.SocketMode, parseMode)
	mask := optional(b, maskPath, in.Umask, parseMode)
	switch given := in.SocketMode + in.Umask; {
	case in.SocketMode != "" && in.Umask != "":
		b.src.fail(maskPath, "says the same as socket_mode: leave out one")
	case l.Network != "unix" && !l.IsZero() && given != "":
		path := modePath
		if in.Umask != "" {
			path = maskPath
		}
		b.src.fail(path, `is for a Unix socket, and listen is %q: leave it out`, l)
	case l.Network != "unix":
		return 0
	case given == "":
		return 0o660
	case in.Umask != "":
		return 0o777 &^ mask
	}
	return mode
}

func (b *builder) store() Store {
	const path = "store.url"
	scheme, name, _ := strings.Cut(b.in.Store.URL, ":")
	switch scheme {
	case "sqlite":
	case "postgres", "postgresql":
		b.src.fail(path, `PostgreSQL is not supported yet: want "sqlite:/path/of/mailgate.db"`)
		return Store{}
	default:
		b.src.fail(path, `%s is no store: want "sqlite:/path/of/mailgate.db"`, shown(b.in.Store.URL))
		return Store{}
	}
	name = strings.TrimPrefix(name, "//")
	if strings.HasPrefix(name, ":") || strings.ContainsAny(name, "?#") {
		b.src.fail(path, `want the path of a file without options, as "sqlite:/var/lib/mailgate/mailgate.db"`)
		return Store{}
	}
	return Store{Driver: "sqlite", Path: b.file(path, name)}
}

func (b *builder) dns() DNS {
	return DNS{
		Resolvers:     each(b, "dns.resolvers", b.in.DNS.Resolvers, resolver),
		Authoritative: b.in.DNS.Authoritative,
		Panel:         optional(b, "dns.panel", b.in.DNS.Panel, server),
		Validating:    b.in.DNS.Validating,
	}
}

// server is the "host:port" of a DNS server.
func server(s string) (string, error) {
	hp, err := hostPort(s, "53")
	if err == nil && strings.HasSuffix(hp, ":0") {
		return "", errPortZero
	}
	return hp, err
}

// resolver is a server that is asked before any name can be looked up.
func resolver(s string) (string, error) {
	hp, err := server(s)
	if err != nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(hp)
	if _, err := netip.ParseAddr(host); err != nil {
		return "", fmt.Errorf("%s is no IP address: a resolver can't be looked up by its name", shown(host))
	}
	return hp, nil
}

// release reads the way out. Where there is a relay and no milter, mail didn't come
// from a server that could take it back: it leaves through the relay.
func (b *builder) release() Release {
	via := b.in.Release.Via
	if !b.src.has("release.via") && b.src.has("relay") && !b.src.has("milter") {
		via = ReleaseViaRelay
	}
	if via != ReleaseViaRelay {
		return Release{one(b, "release.via", via, destination)}
	}
	if !b.src.has("relay") {
		b.src.fail("release.via", `is "relay", and there is no section [relay]`)
	}
	return Release{ReleaseViaRelay}
}

// checkDoors refuses two doors at one place.
func (b *builder) checkDoors(c *Config) {
	seen := map[string]string{}
	if c.Control.Socket != "" {
		seen["unix:"+c.Control.Socket] = "control.socket"
	}
	for _, door := range c.doors() {
		at := door.listen.String()
		if strings.HasSuffix(at, ":0") {
			continue
		}
		if other, ok := seen[at]; ok {
			b.src.fail(door.section+".listen", "%s is taken by %s", at, other)
		}
		seen[at] = door.section + ".listen"
	}
}

type door struct {
	section string
	listen  Listen
}

// doors lists the open ones.
func (c *Config) doors() []door {
	var open []door
	doors := []door{{"milter", c.Milter.Listen}, {"socketmap", c.Socketmap.Listen}, {"web", c.Web.Listen}}
	for _, l := range c.Relay.Listeners {
		doors = append(doors, door{l.Path, l.Listen})
	}
	for _, d := range doors {
		if !d.listen.IsZero() {
			open = append(open, d)
		}
	}
	return open
}

var errNoName = errors.New(`is missing: want a domain, as "example.com" or "*.example.com"`)
