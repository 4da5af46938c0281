package gate

import (
	"bufio"
	"context"
	"crypto"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// fakeChecker gives one report for every identity and tells Gmail from the rest.
type fakeChecker struct {
	facts  preflight.Facts
	checks int
	afresh int
	slow   time.Duration // that a recipient domain takes
}

func (c *fakeChecker) Check(context.Context, preflight.Identity) *preflight.Report {
	c.checks++
	return &preflight.Report{From: "example.com", MailFrom: "example.com", Facts: c.facts}
}

func (c *fakeChecker) Recheck(ctx context.Context, id preflight.Identity) *preflight.Report {
	c.afresh++
	return c.Check(ctx, id)
}

func (c *fakeChecker) Provider(ctx context.Context, d mail.Domain) preflight.Provider {
	if c.slow > 0 { // otherwise it is known, however late one asks
		select {
		case <-ctx.Done():
			return preflight.UnknownProvider
		case <-time.After(c.slow):
		}
	}
	if d == "gmail.com" {
		return preflight.Google
	}
	return preflight.Other
}

// facts makes what DNS says: whether the key is published, and what SPF gives.
func facts(key preflight.Tri, spf preflight.SPFResult) preflight.Facts {
	return preflight.Facts{
		DKIM:  []preflight.KeyFact{{Domain: "example.com", Selector: "mail", Algorithm: "rsa", Bits: 2048, Valid: key, Aligned: preflight.Yes}},
		SPF:   preflight.SPFFact{Domain: "example.com", Result: spf, PlusAll: preflight.No, Aligned: preflight.Yes},
		DMARC: preflight.DMARCFact{Published: preflight.Yes, Policy: preflight.PolicyNone},
		SOA:   preflight.SOAFact{From: preflight.Yes, MailFrom: preflight.Yes},
	}
}

func wellPublished() preflight.Facts { return facts(preflight.Yes, preflight.SPFPass) }
func unpublished() preflight.Facts   { return facts(preflight.No, preflight.SPFSoftFail) }
func dnsDown() preflight.Facts       { return facts(preflight.Maybe, preflight.SPFTempError) }

func newKey(t *testing.T) sign.Key {
	t.Helper()
	signer, err := sign.Generate("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	return sign.Key{Domain: "example.com", Selector: "mail", Signer: signer}
}

func keyring(t *testing.T, keys ...sign.Key) *sign.Keyring {
	t.Helper()
	ring, err := sign.NewKeyring([]sign.DomainKeys{{Pattern: "example.com", Keys: keys}})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// broken is a key whose engine fails.
type broken struct{ crypto.Signer }

func (broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the engine is gone")
}

var enforce = Config{Refused: PolicyHold, Unknown: PolicyHold, Foreign: PolicyPass, Hostname: "mx1.example.com"}

func parse(t *testing.T, message string) (mail.Header, string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(strings.ReplaceAll(message, "\n", "\r\n")))
	h, err := mail.ReadHeader(r, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return h, string(body)
}

func path(t *testing.T, s string) mail.Address {
	t.Helper()
	a, err := mail.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func envelope(t *testing.T, from string, to ...string) mail.Envelope {
	t.Helper()
	e := mail.Envelope{From: path(t, from)}
	for _, s := range to {
		e.To = append(e.To, path(t, s))
	}
	return e
}

const letter = "From: Ann <ann@example.com>\nTo: bob@gmail.com\nSubject: Hi\n\nHello\n"

// run takes a message through the gate as a door does.
func run(t *testing.T, g *Gate, env mail.Envelope, message string) *Outcome {
	t.Helper()
	header, body := parse(t, message)
	return finish(t, g.Begin(t.Context(), env, header, true), body)
}

func finish(t *testing.T, tx *Transaction, body string) *Outcome {
	t.Helper()
	if tx.Refusal() != nil {
		return tx.Explain()
	}
	if tx.NeedsBody() {
		_, _ = tx.Write([]byte(body)) // Finish tells
	}
	return tx.Finish(t.Context())
}

func noTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{IsNotFound: true}
}
