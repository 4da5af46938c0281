package smtpd

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// allWell finds nothing wrong with anybody.
type allWell struct{}

func (allWell) Check(_ context.Context, id preflight.Identity) *preflight.Report {
	return &preflight.Report{From: id.From, MailFrom: id.MailFrom, Facts: preflight.Facts{
		DKIM:  []preflight.KeyFact{{Domain: id.From, Selector: "mail", Algorithm: "rsa", Bits: 2048, Valid: preflight.Yes, Aligned: preflight.Yes}},
		SPF:   preflight.SPFFact{Domain: id.MailFrom, Result: preflight.SPFPass, PlusAll: preflight.No, Aligned: preflight.Yes},
		DMARC: preflight.DMARCFact{Published: preflight.Yes, Policy: preflight.PolicyNone},
		SOA:   preflight.SOAFact{From: preflight.Yes, MailFrom: preflight.Yes},
	}}
}

func (a allWell) Recheck(ctx context.Context, id preflight.Identity) *preflight.Report {
	return a.Check(ctx, id)
}

func (allWell) Provider(context.Context, mail.Domain) preflight.Provider { return preflight.Google }

// oracleGate is the real gate, with keys for two domains.
func oracleGate(t *testing.T) Gate {
	t.Helper()
	var domains []sign.DomainKeys
	for _, d := range []mail.Domain{"example.com", "other.example"} {
		signer, err := sign.Generate("ed25519")
		if err != nil {
			t.Fatal(err)
		}
		domains = append(domains, sign.DomainKeys{Pattern: string(d), Keys: []sign.Key{{Domain: d, Selector: "mail", Signer: signer}}})
	}
	ring, err := sign.NewKeyring(domains)
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Config{Refused: gate.PolicyHold, Unknown: gate.PolicyHold, Foreign: gate.PolicyPass, Hostname: "mx1.example.com"}, ring, allWell{}, nil)
	return Current(func() *gate.Gate { return g })
}

// authors are headers, and whose signature they may get: that of one domain, or no
// answer but a refusal.
var authors = []struct{ header, signs string }{
	{"From: ann@example.com", "example.com"},
	{"FROM: Ann <ANN@EXAMPLE.COM>", "example.com"},
	{"From:\r\n ann@example.com", "example.com"},
	{"From: Ann\r\n\t<ann@example.com>", "example.com"},
	{"From: \"eve@other.example\" <ann@example.com>", "example.com"},
	{"From: =?utf-8?q?eve=40other=2Eexample?= <ann@example.com>", "example.com"},
	{"Sender: eve@other.example\r\nFrom: ann@example.com", "example.com"},
	{"Resent-From: eve@other.example\r\nFrom: ann@example.com", "example.com"},
	{"X: y\r\n From: eve@other.example\r\nFrom: ann@example.com", "example.com"},
	{"From: ann@example.com\r\n\r\nFrom: eve@other.example", "example.com"},
	{"From: eve@other.example\r\n\r\nFrom: ann@example.com", "other.example"},
	{"From: \"ann@example.com\" <eve@other.example>", "other.example"},
	{"From: ann@nowhere.example", "nowhere.example"}, // no key: nothing to sign with
	{"From: ann@sub.example.com", "sub.example.com"},
	{"From: ann@example.com.evil.example", "example.com.evil.example"},

	{"From: eve@other.example\r\nFrom: ann@example.com", ""},
	{"From: ann@example.com\r\nFrom: ann@example.com", ""},
	{"From: ann@example.com\r\nfrom : eve@other.example", ""},
	{"From: ann@example.com\r\nFROM\t: eve@other.example", ""},
	{"From: eve@other.example, ann@example.com", ""},
	{"From: ann@example.com, bob@example.com", ""},
	{"From: ann@example.com eve@other.example", ""},
	{"From: <ann@example.com> <eve@other.example>", ""},
	{"From: ann@example.com;", ""},
	{"From: ann@example.com (eve@other.example)", ""},
	{"From: ann@EXAMPLE。COM", ""},
	{"From: ann@example.com.", ""},
	{"From: ann@[127.0.0.1]", ""},
	{"From: \"ann@example.com\"@other.example", ""},
	{"From: Friends: ann@example.com, eve@other.example;", ""},
	{"From: =?utf-8?q?ann=40example=2Ecom?=", ""},
	{"From: <@other.example:ann@example.com>", ""},
	{"From: ann@example.com@other.example", ""},
	{"From: ann@example.com\x00@other.example", ""},
	{"From: ann", ""},
	{"From: <>", ""},
	{"From:", ""},
	{"From: undisclosed:;", ""},
	{"Fro\x00m: ann@example.com", ""},
	{"From ann@example.com", ""},
	{"Subject: nobody", ""},
	{" From: ann@example.com", ""},
}

// Client, login and From: nobody gets a signature of a domain he may not write as, and
// none at all where From can be read in two ways, however it is spelled.
func TestSigningOracle(t *testing.T) {
	for name, c := range map[string]struct {
		trusted func(netip.Addr) (Rights, bool)
		login   string // user
		may     []mail.Domain
		all     bool
	}{
		"trusted":                 {trusted: loopback(), all: true},
		"trusted for one domain":  {trusted: only("example.com"), may: []mail.Domain{"example.com"}},
		"trusted for another":     {trusted: only("nowhere.example"), may: []mail.Domain{"nowhere.example"}},
		"stranger":                {trusted: nobody},
		"stranger, wrong login":   {trusted: nobody, login: "eve"},
		"user":                    {trusted: nobody, login: "ann", may: []mail.Domain{"example.com"}},
		"user at a trusted place": {trusted: loopback(), login: "ann", may: []mail.Domain{"example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := oracleGate(t)
			hash, err := HashPassword("secret")
			if err != nil {
				t.Fatal(err)
			}
			users, err := NewAccounts([]Account{{"ann", hash, Rights{SendAs: []mail.Domain{"example.com"}}}})
			if err != nil {
				t.Fatal(err)
			}
			r := secured(t, TLSOffered, func(config *Config, l *Listener) {
				config.Gate, config.Limits.Errors, l.Trusted, l.Users = g, 1000, c.trusted, users
			})
			k := r.talk(t)
			if c.login != "" {
				k.startTLS()
				k.say("AUTH PLAIN "+b64("\x00"+c.login+"\x00secret"), map[string]string{"ann": "235", "eve": "535"}[c.login])
			}
			for _, sender := range []string{"<ann@example.com>", "<eve@evil.example>", "<>"} {
				for _, a := range authors {
					k.say("RSET", "250")
					k.say("MAIL FROM:"+sender, "250")
					if !c.all && c.may == nil {
						k.say("RCPT TO:<bob@gmail.com>", "550 5.7.1 relaying denied")
						k.say("DATA", "503")
						continue
					}
					k.say("RCPT TO:<bob@gmail.com>", "250")
					k.say("DATA", "354")
					k.send(a.header + "\r\nX: y\r\n\r\nbody\r\n.\r\n")
					r.oracle(t, k.reply(), sender, a.header, a.signs, c.may)
				}
			}
		})
	}
}

func only(d mail.Domain) func(netip.Addr) (Rights, bool) {
	return func(netip.Addr) (Rights, bool) { return Rights{SendAs: []mail.Domain{d}}, true }
}

var signedBy = regexp.MustCompile(`(?m)^DKIM-Signature:(?:[^\r]|\r\n[ \t])*?[ \t;]d=([^;]*);`)

// oracle checks the answer to a message, and the signature it got.
func (r *rig) oracle(t *testing.T, answer, sender, header, signs string, may []mail.Domain) {
	t.Helper()
	r.spool.mu.Lock()
	taken := r.spool.taken
	r.spool.taken = nil
	r.spool.mu.Unlock()
	var by []string
	for _, m := range taken {
		for _, found := range signedBy.FindAllStringSubmatch(string(m.Prefix), -1) {
			by = append(by, found[1])
		}
	}
	allowed := len(may) == 0
	for _, d := range may {
		allowed = allowed || string(d) == signs
	}
	want := ""
	if allowed && (signs == "example.com" || signs == "other.example") {
		want = signs
	}
	if got := strings.Join(by, " "); got != want {
		t.Errorf("%q from %s: signed by %q, want %q; %s", header, sender, got, want, answer)
	}
	// A bounce without an author passes as it is, where anybody may be written as.
	bounce := signs == "" && sender == "<>" && len(may) == 0
	if refused := strings.HasPrefix(answer, "550 5."); refused != (signs == "" || !allowed) && !(bounce && !refused) {
		t.Errorf("%q from %s: %s", header, sender, answer)
	}
}
