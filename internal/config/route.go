package config

import (
	"fmt"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// Route sends mail for some destinations another way than the rest.
type Route struct {
	Destination  string // recipient domain, ".example.net" for its sub-domains, "*" for all
	Via          string // "host:port"; empty: the MX hosts after all
	User         string // for AUTH; empty: none
	PasswordFile string
	TLS          TLSLevel // at least this; empty: as the policy says, and with a user verify
}

// Queue is how long and how often the relay tries.
type Queue struct {
	MaxAge         time.Duration // then a message is returned to its sender
	DelayNotice    time.Duration // then its sender is told that it is late; 0: never
	RetryFirst     time.Duration // between the first two tries; it doubles
	RetryMost      time.Duration // the longest time between two tries
	PerDestination int           // connections to one destination at once
	Connections    int           // in all
}

// routes reads every [[route]].
func (b *builder) routes() []Route {
	var list []Route
	seen := map[string]string{}
	for i, in := range b.in.Route {
		path := fmt.Sprintf("route[%d]", i)
		r := Route{
			Destination: one(b, path+".destination", in.Destination, parseRoute),
			Via:         optional(b, path+".via", in.Via, destination),
			User:        in.User,
			TLS: TLSLevel(optional(b, path+".tls", in.TLS, func(string) (TLSLevel, error) {
				return enum(b, path+".tls", in.TLS, TLSNone, TLSMay, TLSEncrypt, TLSVerify, TLSSecure), nil
			})),
		}
		if in.PasswordFile != "" {
			r.PasswordFile = b.file(path+".password_file", in.PasswordFile)
		}
		switch {
		case (in.User == "") != (in.PasswordFile == ""):
			b.src.fail(path+".user", "user and password_file go together: give both or neither")
		case in.User != "" && in.Via == "":
			b.src.fail(path+".user", "is for the server named by via, and there is none")
		case in.User != "" && in.TLS == string(TLSNone):
			b.src.fail(path+".tls", `"none" would send the password in clear text`)
		}
		if first, ok := seen[r.Destination]; ok && r.Destination != "" {
			b.src.fail(path+".destination", "%s is already %s", r.Destination, first)
		} else {
			seen[r.Destination] = path
		}
		list = append(list, r)
	}
	return list
}

// parseRoute normalises what a route is for.
func parseRoute(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	parent, name := "", s
	if strings.HasPrefix(s, ".") {
		parent, name = ".", s[1:]
	}
	d, err := mail.ParseDomain(name)
	if err != nil {
		return "", fmt.Errorf(`%w; want "example.com", ".example.com" for its sub-domains, or "*" for all`, err)
	}
	return parent + string(d), nil
}

func (b *builder) queue() Queue {
	in := b.in.Queue
	q := Queue{
		MaxAge:         one(b, "queue.max_age", in.MaxAge, ParseDuration),
		DelayNotice:    optional(b, "queue.delay_notice", in.DelayNotice, parseSpan),
		RetryFirst:     one(b, "queue.retry_first", in.RetryFirst, parseInterval),
		RetryMost:      one(b, "queue.retry_most", in.RetryMost, parseInterval),
		PerDestination: b.number("queue.per_destination", in.PerDestination, 1, 1000),
		Connections:    b.number("queue.connections", in.Connections, 1, 10_000),
	}
	if q.RetryFirst > q.RetryMost && q.RetryMost > 0 {
		b.src.fail("queue.retry_first", "is longer than retry_most, %s", in.RetryMost)
	}
	return q
}
