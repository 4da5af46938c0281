package publish

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"
	"github.com/libdns/rfc2136"

	"mailgate/internal/dnsview"
)

// update is a primary server that takes dynamic updates. What is there is asked by a
// plain query; only a server that doesn't answer those is asked for the whole zone,
// so that the key needs the right to update, but none to transfer.
//
// A change is one UPDATE message, so nobody sees half of it. libdns sends it without
// prerequisites: what somebody else changes at the name in the moment between our
// reading and our writing is lost.
type update struct {
	provider *rfc2136.Provider
	dns      *dnsview.Resolver
}

func openUpdate(a Account) (*update, error) {
	if _, err := base64.StdEncoding.DecodeString(a.Secret.text()); err != nil {
		return nil, errors.New("rfc2136: the TSIG key isn't in base64: want what is after secret in the name server's configuration, without quotes")
	}
	dns, err := dnsview.New(dnsview.Options{Panel: a.Server, NoAuthoritative: true})
	if err != nil {
		return nil, fmt.Errorf("rfc2136: %w", err)
	}
	return &update{dns: dns, provider: &rfc2136.Provider{
		KeyName: strings.ToLower(a.KeyName), KeyAlg: a.KeyAlgorithm, Key: a.Secret.text(), Server: a.Server,
	}}, nil
}

func (u *update) fits(string) error { return nil }

func (u *update) read(ctx context.Context, zone, name string) ([]value, string, error) {
	ctx = dnsview.Fresh(ctx, 0)
	if alias, _ := u.dns.Panel(ctx, name, "CNAME"); alias.Status == dnsview.Found {
		return nil, alias.Records[0].Text, nil
	}
	answer, _ := u.dns.Panel(ctx, name, "TXT")
	if answer.Status == dnsview.Unknown {
		return u.transfer(ctx, zone, name)
	}
	var values []value
	for _, r := range answer.Records {
		values = append(values, value{text: r.Text, ttl: time.Duration(r.TTL) * time.Second})
	}
	return values, "", nil
}

// transfer reads the whole zone (RFC 5936).
func (u *update) transfer(ctx context.Context, zone, name string) ([]value, string, error) {
	records, err := u.provider.GetRecords(ctx, zone+".")
	if err != nil {
		return nil, "", u.fault(fmt.Errorf("%s answers no query for it, and allows no transfer: %w", u.provider.Server, err))
	}
	values, alias := at(records, zone, name, unescape)
	return values, alias, nil
}

// write only adds where nothing has to go, and gives the name the whole new set
// otherwise.
func (u *update) write(ctx context.Context, zone string, c Change) error {
	zone, name := zone+".", c.Name+"."
	left := slices.Concat(c.Keep, c.Add)
	var err error
	switch {
	case len(c.Remove) == 0:
		_, err = u.provider.AppendRecords(ctx, zone, texted(name, c.TTL, c.Add))
	case len(left) == 0:
		_, err = u.provider.DeleteRecords(ctx, zone, []libdns.Record{libdns.RR{Name: name, Type: "TXT"}})
	default:
		for _, text := range c.Keep {
			if strings.ContainsFunc(text, unprintable) {
				return fmt.Errorf("%w: %q beside it can't be given back as it is", ErrCannot, text)
			}
		}
		_, err = u.provider.SetRecords(ctx, zone, texted(name, c.TTL, left))
	}
	return u.fault(err)
}

func texted(name string, ttl time.Duration, values []string) []libdns.Record {
	var list []libdns.Record
	for _, text := range values {
		list = append(list, libdns.TXT{Name: name, TTL: ttl, Text: text})
	}
	return list
}

// fault says what a refusal of the server means. libdns and the DNS library give it as
// text only.
func (u *update) fault(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return strings.Contains(text, s) })
	}
	switch {
	case has("NOTAUTH", "bad xfr rcode: 9", "bad authentication", "no signature found", "bad signature", "bad time", "bad key"):
		return fmt.Errorf("%w: %s doesn't know the TSIG key %s, its secret or algorithm differ, the clocks differ by more than 5 minutes, or it isn't the zone's primary server (%w)", ErrLogin, u.provider.Server, u.provider.KeyName, err)
	case has("REFUSED", "bad xfr rcode: 5"):
		return fmt.Errorf("%w: the TSIG key %s may not do that at %s: allow it to update TXT records (%w)", ErrLogin, u.provider.KeyName, u.provider.Server, err)
	case has("NOTZONE"):
		return fmt.Errorf("%w: %w", ErrZone, err)
	}
	return err
}

// unescape turns the presentation form of a text (RFC 1035, section 5.1) into what it
// stands for.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if n, ok := decimal(s[i+1:]); ok {
			b.WriteByte(n)
			i += 3
			continue
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}

// decimal reads the three digits of an escape.
func decimal(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return byte(n), n < 256
}
