package advise

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mailgate/internal/preflight"
)

// everyState is advice with a record in every state.
func everyState() Advice {
	const zone = "example.com"
	record := func(check preflight.Check, name, value string, state State) Record {
		return Record{Check: check, Type: "TXT", Name: name, Zone: zone, TTL: 3600, Value: value, State: state}
	}
	key := record(preflight.DKIM, "mail._domainkey.example.com", rsaRecord(2048), ToAdd)
	long := record(preflight.DKIM, "long._domainkey.example.com", rsaRecord(3072), ToReplace)
	long.Alias = "long.dkim.esp.example"
	alias := record(preflight.DKIM, "esp._domainkey.example.com", rsaRecord(2048), AsItIs)
	alias.Alias = "esp.dkim.esp.example"
	lags := record(preflight.DKIM, "lags._domainkey.example.com", "v=DKIM1; p=AAAA", Partly)
	spf := record(preflight.SPF, "example.com", "v=spf1 ip4:203.0.113.9 mx ~all", ToReplace)
	spf.Replaces = []string{"v=spf1 mx ~all", "v=spf1 a ~all\nevil.example. IN A 192.0.2.1"}
	spf.Notes = []string{"One record only."}
	faulty := record(preflight.SPF, "news.example.com", "v=spf1 include:gone.example ~all", Faulty)
	unsure := record(preflight.SPF, "mx1.example.com", "v=spf1 ip4:203.0.113.9 ~all", Unsure)
	dmarc := record(preflight.DMARC, "_dmarc.example.com", `v=DMARC1; p=none; rua=mailto:"a\b"@example.com`, AsItIs)
	dmarc.Next = []string{"p=quarantine.", "p=reject."}
	return Advice{
		Records: []Record{key, long, alias, lags, spf, faulty, unsure, dmarc},
		Steps:   []Step{{Check: preflight.SPF, Code: "spf-include-missing", Name: "news.example.com", Text: "Remove it.\nevil.example. IN A 192.0.2.1"}},
	}
}

// TestListing compares with testdata/listing-HOST.golden what is printed.
func TestListing(t *testing.T) {
	for _, host := range Hosts() {
		t.Run(string(host), func(t *testing.T) {
			var got bytes.Buffer
			l := Listing{Advice: everyState(), HostOf: Always(host, ""), Head: []string{"example.com", "! a note\nevil.example. IN A 192.0.2.1"}}
			if err := WriteListing(&got, l); err != nil {
				t.Fatal(err)
			}
			golden(t, "listing-"+string(host), got.Bytes())
		})
	}
}

// Everything that is printed for BIND is a zone file: it has the records wanted, each
// once, without those that may stand beside others nobody has seen.
func TestListingIsZoneFile(t *testing.T) {
	var got bytes.Buffer
	advice := everyState()
	if err := WriteListing(&got, Listing{Advice: advice, HostOf: Always(BIND, ""), Head: []string{"a\nb", ""}}); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	parser := dns.NewZoneParser(&got, "wrong.example.", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.TrimSuffix(rr.Header().Name, ".")
		if _, again := found[name]; again {
			t.Errorf("%s twice", name)
		}
		found[name] = dns.TypeToString[rr.Header().Rrtype]
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	for _, r := range advice.Records {
		want := map[bool]string{true: "CNAME", false: "TXT"}[r.State == AsItIs && r.Alias != ""]
		if r.State == Unsure {
			want = ""
		}
		if found[r.Name] != want {
			t.Errorf("%s is there as %q, want %q", r.Name, found[r.Name], want)
		}
		delete(found, r.Name)
	}
	if len(found) > 0 {
		t.Errorf("nobody asked for %v", found)
	}
}

// Where zones are on different hosts, each has its form.
func TestListingOfSeveralHosts(t *testing.T) {
	advice := everyState()
	advice.Records[0].Zone = "_domainkey.example.com"
	var got bytes.Buffer
	hostOf := func(zone string) (Host, string) {
		if zone == "example.com" {
			return Aliyun, "Aliyun"
		}
		return BIND, ""
	}
	if err := WriteListing(&got, Listing{Advice: advice, HostOf: hostOf}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"At the zone's name servers, zone _domainkey.example.com:\n  + DKIM mail: to add\n      mail._domainkey.example.com. 3600 IN TXT \"v=DKIM1;",
		"\nAt Aliyun, zone example.com:\n", "      Type TXT   Name @   Value v=spf1 ip4:203.0.113.9 mx ~all\n", "It does not fit: 582 characters",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(got.String())
	}
}
