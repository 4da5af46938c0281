package config

import (
	"fmt"
	"strconv"
	"strings"

	"mailgate/internal/mail"
)

func (b *builder) socketmap() Socketmap {
	in := b.in.Socketmap
	s := Socketmap{
		Listen:  b.listen("socketmap", in.Listen),
		Postfix: one(b, "socketmap.postfix", in.Postfix, parsePostfix),
		Trusted: each(b, "socketmap.trusted", in.Trusted, parsePrefix),
	}
	if !b.src.has("socketmap.trusted") {
		for _, p := range b.in.Milter.Trusted { // what is wrong with one is told there
			if prefix, err := parsePrefix(p); err == nil {
				s.Trusted = append(s.Trusted, prefix)
			}
		}
	}
	return s
}

// parsePostfix reads a version of Postfix, "3.6" or "3.6.4". TLS policies by socketmap
// are asked for by all since 2.10; mailgate knows those since 3.4.
func parsePostfix(s string) (string, error) {
	parts := strings.Split(s, ".")
	var numbers [2]int
	for i := range numbers {
		if i >= len(parts) {
			break
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return "", fmt.Errorf(`%s is no version of Postfix: want one as "3.6", which "postconf mail_version" shows`, shown(s))
		}
		numbers[i] = n
	}
	if numbers[0] < 3 || numbers[0] == 3 && numbers[1] < 4 {
		return "", fmt.Errorf(`version %s is too old: want "3.4" or later`, s)
	}
	return fmt.Sprintf("%d.%d", numbers[0], numbers[1]), nil
}

// reports reads whom reports about TLS come from; the postmaster, if nobody is named.
func (b *builder) reports() TLSReports {
	in := b.in.Reports
	r := TLSReports{Enabled: in.Enabled, Name: in.Name}
	if in.From == "" {
		in.From = b.in.Hold.Postmaster
	}
	r.From = optional(b, "tls_reports.from", in.From, parseMailbox)
	if r.Enabled && r.From == (mail.Address{}) {
		b.src.fail("tls_reports.enabled", `needs tls_reports.from, or hold.postmaster: want an address as "postmaster@example.com"`)
	}
	return r
}
