package preflight

import (
	"slices"
	"strings"
	"testing"

	"mailgate/internal/dnsview"
)

// Wild is a fixture of this package's tests, for those of packages above.
type Wild struct {
	Name string
	Want []string // what is found: "code status"
	c    diagnosis
	dns  *fakeDNS
}

// WildZones are all fixtures.
func WildZones() []*Wild {
	var all []*Wild
	for _, c := range diagnoses() {
		want := slices.DeleteFunc(slices.Clone(c.want), func(s string) bool { return s == "" })
		all = append(all, &Wild{Name: c.name, Want: want, c: c})
	}
	return all
}

// Report checks the zone.
func (w *Wild) Report(t *testing.T) (*Report, Identity) {
	if w.dns == nil {
		w.dns = newFakeDNS(goodZone, w.c.zone)
		if w.c.dns != nil {
			w.c.dns(w.dns)
		}
	}
	id := goodIdentity()
	if w.c.id != nil {
		w.c.id(&id)
	}
	return check(t, w.dns, id), id
}

// Texts are the TXT values at a name, and what it is a CNAME for.
func (w *Wild) Texts(t *testing.T, name string) (values []string, known bool, alias string) {
	a := w.dns.Published(t.Context(), name, "TXT")
	if len(a.CNAMEs) > 0 {
		alias = a.CNAMEs[0]
	}
	return a.Texts(), a.Status != dnsview.Unknown, alias
}

// Publish does what advice says: gone goes, of every server, and value is added.
func (w *Wild) Publish(name, value string, gone []string, alias bool) {
	if alias {
		delete(w.dns.records, "auth "+name+" CNAME")
	}
	for key, records := range w.dns.records {
		if words := strings.Fields(key); words[1] == name && words[2] == "TXT" && (words[0] == "auth" || words[0][0] == '@') {
			w.dns.records[key] = slices.DeleteFunc(slices.Clone(records), func(r dnsview.Record) bool { return slices.Contains(gone, r.Text) })
		}
	}
	key := "auth " + name + " TXT"
	if !slices.ContainsFunc(w.dns.records[key], func(r dnsview.Record) bool { return r.Text == value }) { // RFC 2181 section 5
		w.dns.records[key] = append(w.dns.records[key], textRecords([]string{value})...)
	}
}

// KeyRecord is the record of a key that signs.
func KeyRecord(k Key) string {
	algorithm, _ := describeKey(k.Public)
	if algorithm == "" {
		return ""
	}
	return "v=DKIM1; k=" + algorithm + "; p=" + publishedForm(k.Public)
}
