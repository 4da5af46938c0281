package preflight

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

const (
	noKey   = "- mail._domainkey.example.com TXT\n"
	noSPF   = `example.com TXT "other"` + "\n"
	rejects = `_dmarc.example.com TXT "v=DMARC1; p=reject"` + "\n"
)

func TestPredict(t *testing.T) {
	ed := func(id *Identity) { id.Keys[0].Public = edKey() }
	const edZone = `mail._domainkey.example.com TXT "v=DKIM1; k=ed25519; p={ED}"` + "\n"
	tests := []struct {
		name  string
		zone  string
		id    func(*Identity)
		extra Extra
		by    Provider
		want  Verdict
		rule  string
		reply string   // part of it
		codes []string // all of them
	}{
		{name: "all is well", by: Google, want: Accept},
		{name: "only in the panel, SPF softfail", by: Google, want: Refuse, rule: "gmail-unauthenticated", reply: "550 5.7.26",
			zone:  noKey + `panel mail._domainkey.example.com TXT "v=DKIM1; p={KEY}"` + "\n" + `example.com TXT "v=spf1 ip4:198.51.100.1 ~all"`,
			codes: []string{"dkim-only-on-local-dns", "spf-softfail"}},
		{name: "no key, no SPF", zone: noKey + noSPF, by: Google, want: Refuse, rule: "gmail-unauthenticated", reply: "[203.0.113.9]", codes: []string{"dkim-missing", "spf-missing"}},
		{name: "no key but SPF", zone: noKey, by: Google, want: Accept},
		{name: "no SPF but a key", zone: noSPF, by: Google, want: Accept},
		{name: "-all fails, no key", zone: noKey + `example.com TXT "v=spf1 -all"`, by: Google, want: Refuse, rule: "gmail-spf-hardfail", reply: "-all", codes: []string{"spf-fail", "dkim-missing"}},
		{name: "-all fails, key", zone: `example.com TXT "v=spf1 -all"`, by: Google, want: Accept},
		{name: "p=reject, nothing passes", zone: noKey + noSPF + rejects, by: Google, want: Refuse, rule: "gmail-dmarc-reject", reply: "DMARC policy", codes: []string{"dmarc-refuses-us", "dkim-missing", "spf-missing"}},
		{name: "p=reject, key passes", zone: noSPF + rejects, by: Google, want: Accept},
		{name: "p=reject, foreign bounce domain passes SPF alone", zone: noKey + rejects + `esp.example TXT "v=spf1 ip4:203.0.113.9 -all"` + "\nesp.example SOA ns1.host.example",
			id: func(id *Identity) { id.MailFrom = "esp.example" }, by: Google, want: Refuse, rule: "gmail-dmarc-reject"},
		{name: "Ed25519 is unsigned to Gmail", zone: edZone + noSPF, id: ed, by: Google, want: Refuse, rule: "gmail-unauthenticated", codes: []string{"dkim-ed25519-only", "spf-missing"}},
		{name: "Ed25519 elsewhere", zone: edZone + noSPF, id: ed, by: Yahoo, want: Accept},
		{name: "Ed25519 beside RSA", zone: `e._domainkey.example.com TXT "v=DKIM1; k=ed25519; p={ED}"` + "\n" + noSPF, by: Google, want: Accept,
			id: func(id *Identity) {
				id.Keys = append(id.Keys, Key{Domain: "example.com", Selector: "e", Public: edKey()})
			}},
		{name: "+all", zone: `example.com TXT "v=spf1 +all"`, by: Google, want: Refuse, rule: "gmail-spf-suspicious", reply: "5.7.24", codes: []string{"spf-plus-all"}},
		{name: "IPv6 without PTR", id: egress("203.0.113.9", "2001:db8::7"), zone: `example.com TXT "v=spf1 ip4:203.0.113.9 ip6:2001:db8::/32 -all"`,
			by: Google, want: Refuse, rule: "gmail-ipv6-ptr", reply: "[2001:db8::7]", codes: []string{"ipv6-without-ptr"}},
		{name: "IPv6 without PTR elsewhere", id: egress("203.0.113.9", "2001:db8::7"), zone: `example.com TXT "v=spf1 ip4:203.0.113.9 ip6:2001:db8::/32 -all"`, by: Yahoo, want: Accept},
		{name: "IPv4 without PTR", zone: "- 9.113.0.203.in-addr.arpa PTR", by: Google, want: Accept},

		{name: "key unknown, no SPF", zone: noSPF + "fault mail._domainkey.example.com TXT", by: Google, want: UnknownVerdict, rule: "gmail-unauthenticated", codes: []string{"dns-unreachable"}},
		{name: "key unknown, SPF passes", zone: "fault mail._domainkey.example.com TXT", by: Google, want: Accept},
		{name: "no egress set, no key", zone: noKey, id: egress(), by: Google, want: UnknownVerdict, codes: []string{"egress-not-set"}},
		{name: "no egress set, key", id: egress(), by: Google, want: Accept},

		{name: "foreign, no SPF", zone: noSPF, extra: Extra{Unsigned: true}, by: Google, want: Refuse, rule: "gmail-unauthenticated"},
		{name: "foreign, but signed already", zone: noSPF + rejects, extra: Extra{Unsigned: true, Signature: []mail.Domain{"example.com"}}, by: Google, want: Accept},
		{name: "signed already by somebody else", zone: noSPF + rejects, extra: Extra{Unsigned: true, Signature: []mail.Domain{"list.example"}}, by: Google, want: Refuse, rule: "gmail-dmarc-reject"},
		{name: "signed already by the organisation", zone: noSPF + rejects, extra: Extra{Unsigned: true, Signature: []mail.Domain{"a.example.com"}}, by: Google, want: Accept},

		{name: "bulk, SPF missing", zone: noSPF, extra: Extra{Bulk: true}, by: Google, want: Refuse, rule: "gmail-bulk-spf", reply: "5.7.27"},
		{name: "bulk, key missing", zone: noKey, extra: Extra{Bulk: true}, by: Google, want: Refuse, rule: "gmail-bulk-dkim", reply: "5.7.30"},
		{name: "bulk, DMARC missing", zone: "- _dmarc.example.com TXT", extra: Extra{Bulk: true}, by: Google, want: Refuse, rule: "gmail-bulk-dmarc", reply: "5.7.40", codes: []string{"dmarc-missing"}},
		{name: "bulk, all is well", extra: Extra{Bulk: true}, by: Google, want: Accept},
		{name: "bulk to Microsoft", zone: noSPF, extra: Extra{Bulk: true}, by: Microsoft, want: Refuse, rule: "microsoft-bulk-unauthenticated", reply: "5.7.515"},

		{name: "Microsoft, p=reject", zone: noKey + noSPF + rejects, by: Microsoft, want: Refuse, rule: "microsoft-dmarc-reject", reply: "5.7.509"},
		{name: "Microsoft, nothing published", zone: noKey + noSPF, by: Microsoft, want: Accept},
		{name: "Microsoft, -all fails", zone: noKey + `example.com TXT "v=spf1 -all"`, by: Microsoft, want: Refuse, rule: "microsoft-spf-fail"},
		{name: "Microsoft, IPv6 unauthenticated", zone: noKey + noSPF, id: egress("2001:db8::9"), by: Microsoft, want: Refuse, rule: "microsoft-ipv6-unauthenticated", reply: "450 4.7.26"},
		{name: "Yahoo, nothing published", zone: noKey + noSPF, by: Yahoo, want: Refuse, rule: "yahoo-unauthenticated", reply: "5.7.9"},
		{name: "Yahoo, p=reject", zone: noKey + noSPF + rejects, by: Yahoo, want: Refuse, rule: "yahoo-dmarc-reject", reply: "554"},
		{name: "Yahoo, domain without SOA", id: func(id *Identity) { id.MailFrom = "gone.example.net" }, by: Yahoo, want: Refuse, rule: "yahoo-no-soa", codes: []string{"soa-missing"}},
		{name: "Apple, nothing published", zone: noKey + noSPF, by: Apple, want: Refuse, rule: "apple-unauthenticated", reply: "[HME1]"},
		{name: "Apple, p=reject", zone: noKey + noSPF + rejects, by: Apple, want: Refuse, rule: "apple-dmarc-reject"},
		{name: "QQ, SPF fails", zone: `example.com TXT "v=spf1 -all"`, by: QQ, want: Refuse, rule: "qq-spf", reply: "SPF check failed"},
		{name: "QQ, p=reject", zone: noKey + noSPF + rejects, by: QQ, want: Refuse, rule: "qq-dmarc", reply: "DMARC check failed"},
		{name: "others have no rules", zone: noKey + noSPF + rejects, by: Other, want: Accept},
		{name: "MX not known, somebody would refuse", zone: noKey + noSPF, by: UnknownProvider, want: UnknownVerdict, rule: "gmail-unauthenticated"},
		{name: "MX not known, nobody would", by: UnknownProvider, want: Accept},
	}
	tried := map[string]bool{}
	for _, c := range tests {
		tried[c.rule] = true
		t.Run(c.name, func(t *testing.T) {
			r := diagnosis{zone: c.zone, id: c.id}.report(t)
			p := Predict(c.by, r, c.extra)
			if p.Verdict != c.want || c.rule != "" && p.Rule != c.rule || !strings.Contains(p.Reply, c.reply) {
				t.Errorf("%+v, want %s %s %s\n%s", p, c.want, c.rule, c.reply, r)
			}
			if c.codes != nil && !slices.Equal(p.Codes, c.codes) {
				t.Errorf("codes %q, want %q", p.Codes, c.codes)
			}
			if p.Why == "" || !strings.HasSuffix(p.Why, ".") || strings.Contains(p.Reply+p.Why, "{") {
				t.Errorf("why %q, reply %q", p.Why, p.Reply)
			}
			if (p.Verdict == Refuse) != (p.Reply != "") {
				t.Errorf("%s with reply %q", p.Verdict, p.Reply)
			}
		})
	}
	for _, rule := range rules {
		if rule.For == everybody && !tried[rule.ID] {
			t.Errorf("no case refuses by %s", rule.ID)
		}
		if rule.Source == "" || rule.Reply == "" || len(rule.Rests) == 0 {
			t.Errorf("rule %s is not complete", rule.ID)
		}
	}
}

func TestPredictWarnings(t *testing.T) {
	r := diagnosis{zone: noSPF + "- 9.113.0.203.in-addr.arpa PTR"}.report(t)
	p := Predict(Google, r, Extra{})
	var ids []string
	for _, w := range p.Warnings {
		id, _, _ := strings.Cut(w, ":")
		ids = append(ids, id)
	}
	if want := []string{"gmail-ptr", "gmail-bulk-spf"}; p.Verdict != Accept || !slices.Equal(ids, want) {
		t.Errorf("%s with warnings %q, want accept with %q", p.Verdict, p.Warnings, want)
	}
}

func TestStaleNeverRefuses(t *testing.T) {
	r := diagnosis{zone: noKey + noSPF}.report(t)
	stale := *r
	stale.Stale = true
	p := Predict(Google, &stale, Extra{})
	if p.Verdict != UnknownVerdict || p.Reply != "" || p.Rule != "gmail-unauthenticated" {
		t.Errorf("from a stale report: %+v", p)
	}
}

// TestLessKnownNeverFlips checks that taking knowledge away gives the same
// verdict or unknown, never the opposite.
func TestLessKnownNeverFlips(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		r := randomReport(random)
		x := Extra{Bulk: random.IntN(4) == 0, Unsigned: random.IntN(4) == 0}
		p := append(KnownProviders(), Other)[random.IntN(6)]
		before := Predict(p, r, x)
		if before.Verdict == UnknownVerdict {
			t.Fatalf("unknown from definite facts: %+v", r.Facts)
		}
		weaken(random, &r.Facts)
		after := Predict(p, r, x)
		if after.Verdict != before.Verdict && after.Verdict != UnknownVerdict {
			t.Fatalf("%s became %s (%s) by knowing less: %+v", before.Verdict, after.Verdict, after.Rule, r.Facts)
		}
	}
}

func randomReport(random *rand.Rand) *Report {
	tri := func() Tri { return Tri(1 - 2*random.IntN(2)) }
	pick := func(results ...SPFResult) SPFResult { return results[random.IntN(len(results))] }
	r := &Report{From: "example.com", MailFrom: "example.com"}
	for range random.IntN(3) {
		algorithm := []string{"rsa", "ed25519"}[random.IntN(2)]
		r.Facts.DKIM = append(r.Facts.DKIM, KeyFact{Algorithm: algorithm, Bits: 2048, Valid: tri(), Aligned: tri()})
	}
	for i := range random.IntN(3) {
		address := netip.MustParseAddr([]string{"203.0.113.9", "2001:db8::9"}[i])
		result := pick(SPFPass, SPFPass, SPFNone, SPFSoftFail, SPFFail, SPFPermError)
		r.Facts.SPF.Addresses = append(r.Facts.SPF.Addresses, AddressSPF{address, result})
		r.Facts.PTR = append(r.Facts.PTR, PTRFact{address, tri()})
	}
	r.Facts.SPF.Result, r.Facts.SPF.Aligned, r.Facts.SPF.PlusAll = SPFNone, tri(), tri()
	if r.Facts.DMARC.Published = tri(); r.Facts.DMARC.Published == Yes {
		r.Facts.DMARC.Policy = []Policy{PolicyNone, PolicyQuarantine, PolicyReject}[random.IntN(3)]
	}
	r.Facts.SOA = SOAFact{tri(), tri()}
	return r
}

// weaken makes some facts unknown.
func weaken(random *rand.Rand, f *Facts) {
	forget := func(t *Tri) {
		if random.IntN(3) == 0 {
			*t = Maybe
		}
	}
	for i := range f.DKIM {
		forget(&f.DKIM[i].Valid)
		forget(&f.DKIM[i].Aligned)
	}
	for i := range f.SPF.Addresses {
		if random.IntN(3) == 0 {
			f.SPF.Addresses[i].Result = SPFTempError
		}
		forget(&f.PTR[i].Confirmed)
	}
	forget(&f.SPF.Aligned)
	forget(&f.SPF.PlusAll)
	if forget(&f.DMARC.Published); f.DMARC.Published == Maybe {
		f.DMARC.Policy = ""
	}
	forget(&f.SOA.From)
	forget(&f.SOA.MailFrom)
}

func TestTri(t *testing.T) {
	values := []Tri{No, Maybe, Yes}
	for _, a := range values {
		for _, b := range values {
			if a.And(b) != b.And(a) || a.Or(b) != b.Or(a) || a.And(b).Not() != a.Not().Or(b.Not()) {
				t.Errorf("%s, %s: the connectives don't fit together", a, b)
			}
		}
		var back Tri
		text, _ := a.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != a {
			t.Errorf("%s comes back as %s, %v", a, back, err)
		}
	}
	if No.And(Maybe) != No || Yes.And(Maybe) != Maybe || Yes.Or(Maybe) != Yes || No.Or(Maybe) != Maybe || Maybe.Not() != Maybe {
		t.Error("not Kleene's logic")
	}
}
