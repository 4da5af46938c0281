package publish

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"
	"github.com/libdns/rfc2136"

	"mailgate/internal/dnsview"
)

// update is a primary server that takes dynamic updates. What is there is asked by a
// plain query; only a server that doesn't answer those is asked for the whole zone,
// so that the key needs the right to update, but none to transfer. What a wildcard
// makes up for a name isn't there.
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
	dns, err := dnsview.New(dnsview.Options{Panel: a.Server, NoAuthoritative: true, LookupTime: readTime, Timeout: tryTime, Retries: tries - 1})
	if err != nil {
		return nil, fmt.Errorf("rfc2136: %w", err)
	}
	return &update{dns: dns, provider: &rfc2136.Provider{
		KeyName: strings.ToLower(a.KeyName), KeyAlg: a.KeyAlgorithm, Key: a.Secret.text(), Server: a.Server,
	}}, nil
}

const (
	// tries is how often a server is asked for the same that doesn't answer: libdns
	// gives it two seconds, and a busy one takes longer.
	tries    = 4
	readTime = 10 * time.Second        // for one question
	tryTime  = 1500 * time.Millisecond // of it, for one try
)

// patient tries again what timed out. An UPDATE does no more the second time, if the
// first one was heard.
func patient(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		var late net.Error
		if try == tries || ctx.Err() != nil || !errors.As(err, &late) || !late.Timeout() {
			return err
		}
	}
}

func (u *update) fits(string) error { return nil }

func (u *update) read(ctx context.Context, zone, name string) ([]value, string, error) {
	ctx = dnsview.Fresh(ctx, 0)
	if alias, _ := u.dns.Panel(ctx, name, "CNAME"); alias.Status == dnsview.Found {
		if !u.literal(ctx, zone, alias) {
			return nil, "", nil
		}
		return nil, alias.Records[0].Text, nil
	}
	answer, _ := u.dns.Panel(ctx, name, "TXT")
	if answer.Status == dnsview.Unknown {
		return u.transfer(ctx, zone, name)
	}
	if answer.Status != dnsview.Found || !u.literal(ctx, zone, answer) {
		return nil, "", nil
	}
	var values []value
	for _, r := range answer.Records {
		values = append(values, value{text: r.Text, raw: presented(r.Strings), ttl: time.Duration(r.TTL) * time.Second})
	}
	return values, "", nil
}

// literal reports whether an answer's records are at its name, and not made of a
// wildcard (RFC 4592): that one would answer for the names below it, too.
func (u *update) literal(ctx context.Context, zone string, a dnsview.Answer) bool {
	same := func(name string) bool {
		other, _ := u.dns.Panel(ctx, name, a.Type)
		return other.Status == dnsview.Found && slices.Equal(slices.Sorted(slices.Values(other.Texts())), slices.Sorted(slices.Values(a.Texts())))
	}
	if !same("_mailgate." + a.Name) {
		return true
	}
	for over := a.Name; strings.HasSuffix(over, "."+zone); {
		_, over, _ = strings.Cut(over, ".")
		if same("*." + over) {
			return false
		}
	}
	return true
}

// transfer reads the whole zone (RFC 5936).
func (u *update) transfer(ctx context.Context, zone, name string) ([]value, string, error) {
	var records []libdns.Record
	err := patient(ctx, func() (err error) {
		records, err = u.provider.GetRecords(ctx, zone+".")
		return err
	})
	if err != nil {
		return nil, "", u.fault(fmt.Errorf("%s answers no query for it, and allows no transfer: %w", u.provider.Server, err))
	}
	values, alias := at(records, zone, name, dnsview.Unescape)
	for i, v := range values { // libdns has joined its strings
		values[i].raw = presented(split(v.text))
	}
	return values, alias, nil
}

// write only adds where something is there and nothing of it has to go, and gives the
// name the whole new set otherwise, with what stays as it was: so the rare record that
// was taken for a wildcard's doesn't stay beside the new one.
func (u *update) write(ctx context.Context, zone string, c Change) error {
	zone, name := zone+".", c.Name+"."
	var left []libdns.Record
	put := func(raw string) { // libdns would split what it knows for a TXT record in its own way
		left = append(left, libdns.RR{Name: name, Type: "TYPE16", TTL: c.TTL, Data: raw})
	}
	for _, text := range c.Add {
		put(presented(split(text)))
	}
	order := u.provider.AppendRecords
	if len(c.was) == 0 || len(c.Remove) > 0 {
		for _, v := range c.staying() {
			put(v.raw)
		}
		if order = u.provider.SetRecords; len(left) == 0 {
			order, left = u.provider.DeleteRecords, []libdns.Record{libdns.RR{Name: name, Type: "TXT"}}
		}
	}
	return u.fault(patient(ctx, func() error {
		_, err := order(ctx, zone, left)
		return err
	}))
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
	case has("FORMERR", "NOTIMP"):
		return fmt.Errorf("%w: %s doesn't take this update, and its log may say why; enter the record by hand (%w)", ErrCannot, u.provider.Server, err)
	case has("SERVFAIL"):
		return fmt.Errorf("%s took the update and failed at it, for a reason in its log (%w)", u.provider.Server, err)
	}
	return err
}
