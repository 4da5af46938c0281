package preflight

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"
)

// expandSPF expands the macros of a domain-spec in the record of domain as
// evaluation does: it has the library evaluate a record of nothing else, and takes
// the name that it would ask for.
func expandSPF(spec, domain, own, helo string, address netip.Addr) (string, bool) {
	if strings.ContainsAny(domain, " %") {
		return "", false
	}
	m := &macroReader{records: map[string]string{own: "v=spf1 redirect=" + domain}}
	m.records[domain] = "v=spf1 exists:" + spec
	_, _ = spf.CheckHostWithSender(address.AsSlice(), helo, "postmaster@"+own, spf.WithResolver(m))
	return m.asked, m.asked != ""
}

// macroReader is a DNS that only remembers the host it was asked for.
type macroReader struct {
	records map[string]string
	asked   string
}

func (m *macroReader) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{m.records[name]}, nil
}

func (m *macroReader) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	m.asked = host
	return nil, notFound(host)
}

func (m *macroReader) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return nil, notFound(name)
}

func (m *macroReader) LookupAddr(_ context.Context, address string) ([]string, error) {
	return nil, notFound(address)
}
