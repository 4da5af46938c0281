package preflight

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnsview"
)

// fakeDNS answers from a zone written as text, a record a line:
//
//	name TYPE "string" "string"      on every server
//	@ns1 name TYPE "string"          on one authoritative server only
//	panel name TYPE "string"         on the panel's server
//	resolver name TYPE "string"      what the resolvers say instead; no string: none
//	fault name TYPE                  no answer, in the authoritative and recursive view
//	bogus name TYPE                  SERVFAIL from the resolvers
//	- name TYPE                      takes a record of an earlier text away
//	lame ns2                         that server does not answer for the zone
//	zone apex ns1.esp.example        a zone of its own, and its one name server
//
// {KEY} stands for p= of the key that signs, {OLD}, {K1024}, {K768} and {ED} for
// other keys.
type fakeDNS struct {
	records map[string][]dnsview.Record // "view name TYPE"
	faults  map[string]bool
	lame    map[string]bool
	zones   map[string]string // apex → name server, beside apex
	apex    string
	panelAt string
	now     func() time.Time
	ttl     time.Duration
	queries atomic.Int64
	down    atomic.Bool
	hook    atomic.Pointer[func(ctx context.Context, name, qtype string)] // may block or panic
}

var fakeServers = []string{"ns1.host.example", "ns2.host.example"}

func newFakeDNS(texts ...string) *fakeDNS {
	d := &fakeDNS{
		records: map[string][]dnsview.Record{}, faults: map[string]bool{}, lame: map[string]bool{}, zones: map[string]string{},
		apex: "example.com", panelAt: "127.0.0.1:53", now: time.Now, ttl: 300 * time.Second,
	}
	for _, text := range texts {
		d.add(text)
	}
	return d
}

// add reads a zone text; its records replace what earlier texts said of the same
// name and type.
func (d *fakeDNS) add(text string) {
	replaced := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(keyNames().Replace(line))
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.SplitN(line, " ", 4)
		view := "auth"
		switch first := words[0]; {
		case first == "zone":
			d.zones[words[1]] = words[2]
			continue
		case first == "lame":
			d.lame[words[1]+".host.example"] = true
			continue
		case first == "fault", first == "bogus":
			d.faults[first+" "+words[1]+" "+words[2]] = true
			continue
		case first == "-":
			delete(d.records, "auth "+words[1]+" "+words[2])
			continue
		case first == "panel", first == "resolver", first[0] == '@':
			view, words = first, words[1:]
			words = strings.SplitN(strings.Join(words, " "), " ", 3)
		default:
			words = strings.SplitN(line, " ", 3)
		}
		key := view + " " + words[0] + " " + words[1]
		if !replaced[key] {
			delete(d.records, key)
			if view[0] == '@' {
				delete(d.records, "auth "+words[0]+" "+words[1])
			}
			replaced[key] = true
		}
		if len(words) < 3 {
			d.records[key] = []dnsview.Record{}
			continue
		}
		d.records[key] = append(d.records[key], fakeRecord(words[1], words[2]))
	}
}

func fakeRecord(qtype, value string) dnsview.Record {
	r := dnsview.Record{TTL: 300, Text: value}
	switch qtype {
	case "TXT", "SPF":
		r.Text = ""
		for value = strings.TrimSpace(value); value != ""; value = strings.TrimSpace(value) {
			quoted, err := strconv.QuotedPrefix(value)
			if err != nil {
				panic("zone text: " + value)
			}
			value = value[len(quoted):]
			text, _ := strconv.Unquote(quoted)
			r.Strings = append(r.Strings, text)
			r.Text += text
		}
	case "MX":
		preference, host, _ := strings.Cut(value, " ")
		n, _ := strconv.Atoi(preference)
		r.Preference, r.Text = uint16(n), host
	}
	return r
}

// lookup finds records, a wildcard's where the name itself has none of any type.
func (d *fakeDNS) lookup(view, name, qtype string) ([]dnsview.Record, bool) {
	if records, found := d.records[view+" "+name+" "+qtype]; found || d.exists(view, name) {
		return records, found || d.exists(view, name)
	}
	for _, rest, more := strings.Cut(name, "."); more; _, rest, more = strings.Cut(rest, ".") {
		if records, found := d.records[view+" *."+rest+" "+qtype]; found {
			return records, true
		}
		if d.exists(view, rest) {
			break
		}
	}
	return nil, false
}

func (d *fakeDNS) exists(view, name string) bool {
	for key, records := range d.records {
		words := strings.Split(key, " ")
		under := words[1] == name || strings.HasSuffix(words[1], "."+name)
		if words[0] == view && under && len(records) > 0 && words[1][0] != '*' {
			return true
		}
	}
	return false
}

func (d *fakeDNS) observe(ctx context.Context, name, qtype string) {
	d.queries.Add(1)
	if hook := d.hook.Load(); hook != nil {
		(*hook)(ctx, name, qtype)
	}
}

// onAnswer has f called before every answer; nil: nothing.
func (d *fakeDNS) onAnswer(f func(ctx context.Context, name, qtype string)) {
	if f == nil {
		d.hook.Store(nil)
		return
	}
	d.hook.Store(&f)
}

func (d *fakeDNS) unknown(name, qtype string) dnsview.Answer {
	return dnsview.Answer{
		Name: name, Type: qtype, Status: dnsview.Unknown, Expires: d.now().Add(5 * time.Second),
		Observations: []dnsview.Observation{{View: dnsview.Authoritative, Server: fakeServers[0], Name: name, Type: qtype, Error: "timeout"}},
	}
}

func (d *fakeDNS) finish(a dnsview.Answer, found bool) dnsview.Answer {
	a.Expires = d.now().Add(d.ttl)
	switch {
	case len(a.Records) > 0:
		a.Status = dnsview.Found
		return a
	case found:
		a.Status = dnsview.NoData
	default:
		a.Status = dnsview.NXDomain
	}
	a.Expires = d.now().Add(min(d.ttl, 30*time.Second))
	return a
}

func (d *fakeDNS) Published(ctx context.Context, name, qtype string) dnsview.Answer {
	d.observe(ctx, name, qtype)
	if d.down.Load() || ctx.Err() != nil || d.faults["fault "+name+" "+qtype] {
		return d.unknown(name, qtype)
	}
	a := dnsview.Answer{Name: name, Type: qtype}
	a.Zone, a.NameServers = d.cut(name)
	final := name
	for target, found := d.lookup("auth", final, "CNAME"); found && len(target) > 0 && len(a.CNAMEs) < 8; target, found = d.lookup("auth", final, "CNAME") {
		final = target[0].Text
		a.CNAMEs = append(a.CNAMEs, final)
	}
	known := false
	for _, server := range a.NameServers {
		o := dnsview.Observation{View: dnsview.Authoritative, Server: server, Address: "192.0.2.53:53", Name: final, Type: qtype,
			Rcode: "NOERROR", AA: true, TTL: 300, When: d.now()}
		if d.lame[server] {
			o.Rcode, o.AA = "REFUSED", false
			a.Observations = append(a.Observations, o)
			continue
		}
		records, found := d.lookup("auth", final, qtype)
		own, ownFound := d.lookup("@"+server[:3], final, qtype)
		records, found = append(slices.Clone(records), own...), found || ownFound
		if !found {
			o.Rcode = "NXDOMAIN"
		}
		o.Records = dnsview.Answer{Records: records}.Texts()
		a.Observations = append(a.Observations, o)
		if len(a.Observations) > 1 && !slices.Equal(o.Records, a.Observations[0].Records) {
			a.Disagree = true
		}
		if len(a.Records) == 0 {
			a.Records = records
		}
		known = known || found
	}
	return d.finish(a, known)
}

func (d *fakeDNS) Recursive(ctx context.Context, name, qtype string) dnsview.Answer {
	d.observe(ctx, name, qtype)
	if d.down.Load() || ctx.Err() != nil || d.faults["fault "+name+" "+qtype] {
		return d.unknown(name, qtype)
	}
	o := dnsview.Observation{View: dnsview.Recursive, Server: "127.0.0.53:53", Name: name, Type: qtype, Rcode: "NOERROR", TTL: 300, When: d.now()}
	a := dnsview.Answer{Name: name, Type: qtype}
	if d.faults["bogus "+name+" "+qtype] {
		o.Rcode = "SERVFAIL"
		a.Status, a.Observations, a.Expires = dnsview.Unknown, []dnsview.Observation{o}, d.now().Add(5*time.Second)
		return a
	}
	records, found := d.records["resolver "+name+" "+qtype]
	if !found {
		if a = d.Published(ctx, name, qtype); a.Status == dnsview.Unknown {
			return a
		}
		records, found = a.Records, a.Status != dnsview.NXDomain
		d.queries.Add(-1)
	}
	a.Records, a.Disagree = records, false
	o.Records = a.Texts()
	a.Observations = []dnsview.Observation{o}
	return d.finish(a, found)
}

func (d *fakeDNS) Panel(ctx context.Context, name, qtype string) (dnsview.Answer, bool) {
	d.observe(ctx, name, qtype)
	if !slices.ContainsFunc(slices.Collect(maps.Keys(d.records)), func(k string) bool { return strings.HasPrefix(k, "panel ") }) {
		return dnsview.Answer{}, false
	}
	records, found := d.lookup("panel", name, qtype)
	o := dnsview.Observation{View: dnsview.Panel, Server: d.panelAt, Address: d.panelAt, Name: name, Type: qtype, Rcode: "NOERROR", AA: true}
	a := dnsview.Answer{Name: name, Type: qtype, Records: records}
	o.Records = a.Texts()
	a.Observations = []dnsview.Observation{o}
	return d.finish(a, found), true
}

func (d *fakeDNS) ZoneOf(ctx context.Context, name string) dnsview.Zone {
	if d.down.Load() {
		return dnsview.Zone{Status: dnsview.Unknown}
	}
	apex, servers := d.cut(name)
	return dnsview.Zone{Apex: apex, NameServers: servers, Status: dnsview.Found, Expires: d.now().Add(d.ttl)}
}

// cut returns the zone a name is in.
func (d *fakeDNS) cut(name string) (apex string, servers []string) {
	for apex, server := range d.zones {
		if name == apex || strings.HasSuffix(name, "."+apex) {
			return apex, []string{server}
		}
	}
	return d.apex, slices.Clone(fakeServers)
}

// madeUpKey returns a public key that is always the same. Nobody has its private
// half, which no test needs.
func madeUpKey(name string, bits int) *rsa.PublicKey {
	var b []byte
	for i := uint32(0); len(b) < bits/8; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(name), i))
		b = append(b, sum[:]...)
	}
	b = b[:bits/8]
	b[0] |= 0x80
	b[len(b)-1] |= 1
	return &rsa.PublicKey{N: new(big.Int).SetBytes(b), E: 65537}
}

func ourKey() crypto.PublicKey { return madeUpKey("ours", 2048) }
func edKey() crypto.PublicKey {
	seed := sha256.Sum256([]byte("ed"))
	return ed25519.NewKeyFromSeed(seed[:]).Public()
}

var keyNames = sync.OnceValue(func() *strings.Replacer {
	ours := publishedForm(ourKey())
	return strings.NewReplacer(
		"{KEY}", ours, "{KEY1}", ours[:200], "{KEY2}", ours[200:],
		"{CUT}", ours[:255-len("v=DKIM1; k=rsa; p=")],
		"{CUTOLD}", publishedForm(madeUpKey("old", 2048))[:255-len("v=DKIM1; k=rsa; p=")],
		"{CUT9}", ours[:300], "{KEYA}", ours[:64], "{KEYB}", ours[64:],
		"{SPACED}", ours[:100]+" "+ours[100:],
		"{OLD}", publishedForm(madeUpKey("old", 2048)),
		"{K1024}", publishedForm(madeUpKey("short", 1024)),
		"{K768}", publishedForm(madeUpKey("tiny", 768)),
		"{ED}", publishedForm(edKey()),
	)
})

// goodZone is a domain that has everything right.
const goodZone = `
mail._domainkey.example.com TXT "v=DKIM1; k=rsa; p={KEY1}" "{KEY2}"
example.com TXT "google-site-verification=abc"
example.com TXT "v=spf1 ip4:203.0.113.9 ip6:2001:db8::9 -all"
example.com SOA ns1.host.example
_dmarc.example.com TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.com"
mx1.example.com A 203.0.113.9
mx1.example.com AAAA 2001:db8::9
mx1.example.com TXT "v=spf1 ip4:203.0.113.9 ip6:2001:db8::9 -all"
9.113.0.203.in-addr.arpa PTR mx1.example.com
9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mx1.example.com
`

// goodIdentity is mail that goodZone is right for.
func goodIdentity() Identity {
	return Identity{
		From: "example.com", MailFrom: "example.com", Helo: "mx1.example.com",
		Keys:   []Key{{Domain: "example.com", Selector: "mail", Public: ourKey()}},
		Egress: []netip.Addr{netip.MustParseAddr("203.0.113.9")},
	}
}

// check asks in a bubble, where no time passes but that of DNS.
func check(t *testing.T, dns *fakeDNS, id Identity) (r *Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { r = New(dns, Options{}).Check(t.Context(), id) })
	return r
}
