package preflight

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A key is written as rsa+ (valid), rsa- (definitely not) or rsa? (not known), with an s
// before it for one on standby.
func TestSettleSigners(t *testing.T) {
	tests := []struct{ keys, want string }{
		{"rsa+", "rsa+"},
		{"rsa-", "rsa-"},
		{"rsa?", "rsa?"},
		{"rsa+ rsa+", "rsa+ rsa+"},
		{"rsa- rsa+", "rsa+"},
		{"rsa? rsa+", "rsa? rsa+"}, // unknown is not bad
		{"rsa- rsa?", "rsa- rsa?"}, // nothing is known to be valid
		{"rsa- rsa-", "rsa- rsa-"},
		{"rsa- ed+", "ed+"},
		{"rsa+ ed-", "rsa+"},
		{"rsa- ed?", "rsa- ed?"},

		{"rsa+ srsa+", "rsa+"},
		{"rsa+ srsa-", "rsa+"},
		{"rsa- srsa+", "srsa+"},
		{"rsa- srsa?", "rsa- srsa?"}, // DNS keeping silent is no reason to leave it out
		{"rsa- ed+ srsa?", "ed+ srsa?"},
		{"rsa- srsa-", "rsa-"},
		{"rsa? srsa+", "rsa?"},
		{"rsa- srsa+ srsa+", "srsa+"}, // one of them is enough
		{"rsa- ed+ srsa+", "ed+ srsa+"},
		{"rsa+ sed+", "rsa+ sed+"}, // no other of its algorithm
		{"rsa+ sed-", "rsa+"},
		{"rsa- rsa+ srsa+", "rsa+"},
		{"srsa+", "srsa+"},
		{"srsa-", "srsa-"}, // there is nothing else: never unsigned
		{"srsa? sed-", "srsa? sed-"},

		{"- +", "- +"}, // keys of which only the selector is known: all are taken to sign
		{"", ""},
	}
	for _, c := range tests {
		facts := Facts{DKIM: keyFacts(c.keys)}
		settleSigners(facts.DKIM)
		if got := strings.Join(facts.Signing(), " "); got != c.want {
			t.Errorf("of %q sign %q, want %q", c.keys, got, c.want)
		}
	}
}

// keyFacts reads keys in the notation of TestSettleSigners, which is also their
// selector.
func keyFacts(keys string) []KeyFact {
	var facts []KeyFact
	for text := range strings.FieldsSeq(keys) {
		f := KeyFact{Selector: text, Aligned: Yes, Bits: 2048}
		f.Valid = map[byte]Tri{'+': Yes, '-': No, '?': Maybe}[text[len(text)-1]]
		f.Algorithm, f.Standby = strings.CutPrefix(text[:len(text)-1], "s")
		f.Algorithm = strings.Replace(f.Algorithm, "ed", "ed25519", 1)
		facts = append(facts, f)
	}
	return facts
}

const edPublished = `e._domainkey.example.com TXT "v=DKIM1; k=ed25519; p={ED}"` + "\n"

func addKey(k Key) func(*Identity) {
	return func(id *Identity) {
		k.Domain = "example.com"
		id.Keys = append(id.Keys, k)
	}
}

// What is predicted rests on the signatures that will really be there.
func TestPredictionRestsOnSigners(t *testing.T) {
	standby := Key{Selector: "next", Public: madeUpKey("old", 2048), Standby: true}
	const nextPublished = `next._domainkey.example.com TXT "v=DKIM1; p={OLD}"` + "\n"
	ed := Key{Selector: "e", Public: edKey()}
	tests := []struct {
		name    string
		zone    string
		key     Key
		by      Provider
		extra   Extra
		want    Verdict
		signing string
		codes   []string
		unused  []string // findings about keys that don't sign: "code status"
	}{
		{name: "only Ed25519 is left", zone: noKey + noSPF + edPublished, key: ed, by: Google,
			want: Refuse, signing: "e", codes: []string{"dkim-missing", "spf-missing"}, unused: []string{"dkim-missing fail"}},
		{name: "elsewhere that is enough", zone: noKey + noSPF + edPublished, key: ed, by: Yahoo,
			want: Accept, signing: "e", unused: []string{"dkim-missing fail"}},
		{name: "a key on standby isn't published yet", zone: noSPF, key: standby, by: Google,
			want: Accept, signing: "mail", unused: []string{"dkim-missing warn"}},
		{name: "nor does it weigh on another refusal", zone: noSPF, key: standby, by: Microsoft, extra: Extra{Bulk: true},
			want: Refuse, signing: "mail", codes: []string{"spf-missing"}, unused: []string{"dkim-missing warn"}},
		{name: "a key on standby steps in", zone: noKey + noSPF + nextPublished, key: standby, by: Google,
			want: Accept, signing: "next", unused: []string{"dkim-missing fail"}},
		{name: "a key on standby that doesn't sign helps nobody", zone: noSPF + edPublished + "fault mail._domainkey.example.com TXT\n" + nextPublished, key: standby, by: Google,
			want: UnknownVerdict, signing: "mail", codes: []string{"dns-unreachable"}, unused: []string{"dkim-ok pass"}},
		{name: "neither is published", zone: noKey + noSPF, key: standby, by: Google,
			want: Refuse, signing: "mail", codes: []string{"dkim-missing", "spf-missing"}, unused: []string{"dkim-missing warn"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			id := goodIdentity()
			addKey(c.key)(&id)
			r := check(t, newFakeDNS(goodZone, c.zone), id)
			p := Predict(c.by, r, c.extra)
			if p.Verdict != c.want {
				t.Errorf("%s, want %s: %s", p.Verdict, c.want, p.Why)
			}
			if c.codes != nil && !slices.Equal(p.Codes, c.codes) {
				t.Errorf("rests on %v, want %v", p.Codes, c.codes)
			}
			if got := strings.Join(r.Facts.Signing(), " "); got != c.signing {
				t.Errorf("%s sign, want %s", got, c.signing)
			}
			var unused []string
			for _, f := range r.Findings {
				if f.Unused {
					unused = append(unused, f.Code+" "+string(f.Status))
				}
			}
			if !slices.Equal(unused, c.unused) {
				t.Errorf("findings about unused keys %v, want %v", unused, c.unused)
			}
		})
	}
}

// Where there was no time to ask, a key on standby doesn't sign either.
func TestUnansweredLeavesStandbyOut(t *testing.T) {
	id := goodIdentity()
	addKey(Key{Selector: "next", Public: edKey(), Standby: true})(&id)
	r := unanswered(id, time.Now())
	if got := r.Facts.Signing(); !slices.Equal(got, []string{"mail"}) {
		t.Errorf("%v sign", got)
	}
}

// How many name servers have a key is counted whatever comes of it.
func TestServersAreCounted(t *testing.T) {
	const at = "mail._domainkey.example.com"
	tests := map[string]struct {
		zone             string
		servers, serving int
	}{
		"all have it": {"", 2, 2},
		"none has it": {noKey, 2, 0},
		"one has it":  {"@ns1 " + at + ` TXT "v=DKIM1; p={KEY}"`, 2, 1},
		"one is lame": {"lame ns2", 2, 1},
		"another key": {at + ` TXT "v=DKIM1; p={OLD}"`, 2, 0},
		"no answer":   {"fault " + at + " TXT", 1, 0}, // one was asked
	}
	for name, c := range tests {
		f := check(t, newFakeDNS(goodZone, c.zone), goodIdentity()).Facts.DKIM[0]
		if f.Servers != c.servers || f.Serving != c.serving {
			t.Errorf("%s: %d of %d, want %d of %d", name, f.Serving, f.Servers, c.serving, c.servers)
		}
	}
}

// Each report that DNS was asked for is told of once; one from memory isn't.
func TestFoundIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := make(chan *Report, 10)
		c := New(newFakeDNS(goodZone), Options{Found: func(r *Report) { found <- r }})
		first := c.Check(t.Context(), goodIdentity())
		if r := <-found; r != first {
			t.Error("another report was told of")
		}
		c.Check(t.Context(), goodIdentity())
		again := c.Recheck(t.Context(), goodIdentity())
		if r := <-found; r != again || len(found) > 0 {
			t.Errorf("told of %p, want %p; %d more", r, again, len(found))
		}
	})
}
