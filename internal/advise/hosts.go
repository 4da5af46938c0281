package advise

import (
	"fmt"
	"net/netip"
	"strings"

	"mailgate/internal/preflight"
)

// hosts publishes the addresses of the HELO name where it has none.
func (a *adviser) hosts() {
	troubles := a.troubles(func(f preflight.Finding) bool { return f.Code == "helo-unresolvable" })
	if len(troubles) == 0 || a.report.Helo == "" {
		return
	}
	for _, address := range a.report.Egress {
		address = address.Unmap()
		kind := "A"
		if address.Is6() {
			kind = "AAAA"
		}
		a.publish(Record{
			Check: preflight.Host, Codes: codes(troubles), Type: kind,
			Name: string(a.report.Helo), Value: address.WithZone("").String(),
		})
	}
}

// steps says what to do about findings that no record above mends.
func (a *adviser) steps() {
	mended := map[string]bool{}
	for _, r := range a.advice.Records {
		for _, code := range r.Codes {
			mended[code] = true
		}
	}
	type place struct{ code, name, address string }
	seen := map[place]bool{}
	for _, f := range a.troubles(func(f preflight.Finding) bool { return !mended[f.Code] }) {
		at := place{f.Code, f.Name, f.Address}
		if seen[at] {
			continue
		}
		seen[at] = true
		if text := a.step(f); text != "" {
			a.advice.Steps = append(a.advice.Steps, Step{Check: f.Check, Code: f.Code, Name: stepName(f), Text: text})
		}
	}
}

// stepName spares people the names PTR records have.
func stepName(f preflight.Finding) string {
	if f.Check == preflight.PTR && f.Address != "" {
		return f.Address
	}
	return f.Name
}

// step is what to do about one finding.
func (a *adviser) step(f preflight.Finding) string {
	address, err := netip.ParseAddr(f.Address)
	if f.Check == preflight.PTR && err == nil {
		return a.ptrStep(f.Code, address)
	}
	c, _ := preflight.Explain(f.Code)
	return strings.TrimSpace(f.Text + " " + c.Mend)
}

// ptrStep names who can set a PTR record: whoever routes the address, hardly ever
// the DNS host of the domain.
func (a *adviser) ptrStep(code string, address netip.Addr) string {
	helo := string(a.report.Helo)
	if helo == "" {
		helo = "the gateway's host name"
	}
	text := fmt.Sprintf("Ask the provider of %s (who rents you the server or the line, not the DNS host of %s) to set its PTR record: %s to %s.",
		address, a.report.From, reverseName(address), helo)
	if code == "ptr-not-confirmed" {
		kind := "A"
		if address.Is6() {
			kind = "AAAA"
		}
		text += fmt.Sprintf(" %s then needs the %s record %s.", helo, kind, address)
	}
	if address.Is6() {
		text += " Until then send over IPv4 only."
	}
	return text
}

// reverseName is the name an address's PTR record has. RFC 1035 section 3.5, RFC
// 3596 section 2.5.
func reverseName(address netip.Addr) string {
	const hex = "0123456789abcdef"
	address = address.Unmap()
	var labels []string
	bytes := address.AsSlice()
	for i := len(bytes) - 1; i >= 0; i-- {
		if b := bytes[i]; address.Is4() {
			labels = append(labels, fmt.Sprint(b))
		} else {
			labels = append(labels, hex[b&15:b&15+1], hex[b>>4:b>>4+1])
		}
	}
	if address.Is4() {
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	return strings.Join(labels, ".") + ".ip6.arpa"
}
