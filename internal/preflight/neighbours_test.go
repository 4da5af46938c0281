package preflight

import (
	"slices"
	"strings"
	"testing"
)

// neighbours are, for each diagnosis, those it is easily taken for: the same record
// with one more mistake, or the same symptom of another cause.
var neighbours = map[string]string{
	"dkim-missing":                "dkim-only-on-local-dns dkim-wrong-provider-zone dkim-name-doubled dkim-name-lacks-subdomain dkim-cname-dangling dkim-revoked dns-unreachable wildcard-txt ns-disagree",
	"dkim-only-on-local-dns":      "dkim-missing dkim-wrong-provider-zone dkim-key-mismatch ns-disagree",
	"dkim-wrong-provider-zone":    "dkim-missing dkim-only-on-local-dns",
	"dkim-name-doubled":           "dkim-missing dkim-name-lacks-subdomain dkim-cname-dangling",
	"dkim-name-lacks-subdomain":   "dkim-missing dkim-name-doubled",
	"dkim-key-mismatch":           "dkim-syntax dkim-truncated-at-255 dkim-several-records dkim-key-short ns-disagree old-record-cached-until dkim-only-on-local-dns",
	"dkim-key-short":              "dkim-key-mismatch dkim-truncated-at-255 dkim-ed25519-only",
	"dkim-revoked":                "dkim-missing dkim-truncated-at-semicolon dkim-testing dkim-syntax",
	"dkim-testing":                "dkim-revoked dkim-service-not-email",
	"dkim-truncated-at-semicolon": "dkim-syntax dkim-revoked dkim-truncated-at-255 dkim-quotes-in-value dkim-split-into-two-records",
	"dkim-truncated-at-255":       "dkim-syntax dkim-key-mismatch dkim-split-into-two-records dkim-truncated-at-semicolon dkim-key-short",
	"dkim-split-into-two-records": "dkim-several-records dkim-truncated-at-255 dkim-truncated-at-semicolon dkim-quotes-in-value",
	"dkim-quotes-in-value":        "dkim-pem-header-in-value dkim-truncated-at-semicolon dkim-syntax dkim-split-into-two-records dkim-spaces-in-p",
	"dkim-pem-header-in-value":    "dkim-quotes-in-value dkim-syntax dkim-spaces-in-p",
	"dkim-spaces-in-p":            "dkim-syntax dkim-pem-header-in-value dkim-quotes-in-value",
	"dkim-cname-dangling":         "dkim-missing dkim-name-doubled",
	"dkim-ed25519-only":           "dkim-key-mismatch dkim-key-short",
	"dkim-several-records":        "dkim-split-into-two-records dkim-key-mismatch",

	"spf-missing":               "spf-several-records spf-syntax spf-type-99-only dns-unreachable",
	"spf-several-records":       "spf-missing spf-syntax",
	"spf-fail":                  "spf-softfail spf-neutral spf-egress-not-listed spf-ipv6-missing",
	"spf-softfail":              "spf-fail spf-neutral spf-egress-not-listed spf-ipv6-missing",
	"spf-neutral":               "spf-fail spf-softfail spf-missing",
	"spf-egress-not-listed":     "spf-fail spf-softfail spf-ipv6-missing",
	"spf-ipv6-missing":          "spf-egress-not-listed spf-softfail spf-fail",
	"spf-too-many-lookups":      "spf-too-many-void-lookups spf-include-missing spf-syntax",
	"spf-too-many-void-lookups": "spf-too-many-lookups spf-include-missing",
	"spf-plus-all":              "spf-neutral spf-softfail",
	"spf-syntax":                "spf-missing spf-several-records spf-include-missing",
	"spf-type-99-only":          "spf-missing spf-syntax",
	"spf-include-missing":       "spf-too-many-void-lookups spf-syntax spf-missing dns-unreachable",

	"dmarc-missing":         "dmarc-syntax dmarc-several-records dns-unreachable",
	"dmarc-several-records": "dmarc-syntax dmarc-missing",
	"dmarc-syntax":          "dmarc-missing dmarc-several-records",
	"dmarc-unaligned-dkim":  "dmarc-missing dkim-key-mismatch",
	"dmarc-unaligned-spf":   "dmarc-missing spf-fail",
	"dmarc-refuses-us":      "dmarc-missing dmarc-syntax",

	"ns-disagree":           "ns-lame dkim-missing spf-missing dns-unreachable",
	"ns-lame":               "ns-disagree dns-unreachable",
	"dns-unreachable":       "dnssec-bogus ns-lame dkim-missing",
	"negative-cached-until": "dkim-missing old-record-cached-until ns-disagree",
	"dnssec-bogus":          "dns-unreachable dkim-missing",
	"wildcard-txt":          "dkim-missing dkim-revoked dkim-syntax dkim-several-records",
	"ptr-missing":           "ptr-not-confirmed ipv6-without-ptr",
	"ptr-not-confirmed":     "ptr-missing helo-unresolvable",
	"ipv6-without-ptr":      "ptr-missing ptr-not-confirmed",
	"helo-unresolvable":     "ptr-not-confirmed ptr-missing",
}

// Every diagnosis has a zone of its own in which it, and nothing that is easily
// taken for it, is found.
func TestToldApart(t *testing.T) {
	found := map[string][][]string{} // code → what else each zone that has it gives
	for _, c := range diagnoses() {
		var codes []string
		for _, f := range c.report(t).Findings {
			if f.Status != Pass && !slices.Contains(codes, f.Code) {
				codes = append(codes, f.Code)
			}
		}
		for _, code := range codes {
			found[code] = append(found[code], codes)
		}
	}
	for _, code := range strings.Fields(named) {
		like := strings.Fields(neighbours[code])
		if len(like) < 2 {
			t.Errorf("%s: no neighbours are named", code)
		}
		for _, other := range like {
			if _, known := Explain(other); !known || other == code {
				t.Errorf("%s: its neighbour %s is no other code", code, other)
			}
			if slices.ContainsFunc(found[code], func(codes []string) bool { return slices.Contains(codes, other) }) {
				t.Errorf("a zone gives both %s and %s", code, other)
			}
		}
		if !slices.ContainsFunc(found[code], func(codes []string) bool { return len(codes) == 1 }) && !inCompany[code] {
			t.Errorf("no zone gives %s alone", code)
		}
	}
	for code := range neighbours {
		if !slices.Contains(strings.Fields(named), code) {
			t.Errorf("%s has neighbours, but isn't promised", code)
		}
	}
}

// inCompany are diagnoses that follow from others, or have them follow.
var inCompany = map[string]bool{"dmarc-refuses-us": true}
