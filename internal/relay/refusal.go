package relay

import (
	"slices"
	"strings"
)

// pattern is a reply by which a receiver says for good that it doesn't believe who
// a message is from. Names of rules are those of pre-flight's predictions.
type pattern struct {
	provider string   // of pre-flight; empty: any
	codes    []int    // basic codes; empty: any 5xx
	enhanced []string // enhanced codes; empty: any
	text     []string // one of these is in the text, in lower case; empty: any text
	rule     string
}

// refusals are looked through in order: the more specific come first. Temporary
// answers (421 4.7.26, 450 4.7.26, 451 4.7.26) are not among them: the receiver
// asks for another try.
//
// Sources: Google, email sender guidelines and SMTP error reference; Microsoft, NDR
// codes of Exchange Online; Yahoo, SMTP error codes; Apple and QQ, rejections seen
// (all spring 2026); RFC 7372 and its codes for the rest.
var refusals = []pattern{
	{"google", []int{550}, []string{"5.7.26"}, []string{"dmarc policy"}, "gmail-dmarc-reject"},
	{"google", []int{550}, []string{"5.7.26"}, []string{"hard fail policy"}, "gmail-spf-hardfail"},
	{"google", []int{550}, []string{"5.7.26"}, nil, "gmail-unauthenticated"},
	{"google", []int{550}, []string{"5.7.24"}, nil, "gmail-spf-suspicious"},
	{"google", []int{550}, []string{"5.7.1"}, []string{"ipv6 sending guidelines"}, "gmail-ipv6-ptr"},
	{"google", []int{550}, []string{"5.7.25"}, nil, "gmail-ptr"},
	{"google", []int{550}, []string{"5.7.27"}, nil, "gmail-bulk-spf"},
	{"google", []int{550}, []string{"5.7.30"}, nil, "gmail-bulk-dkim"},
	{"google", nil, []string{"5.7.32"}, nil, "gmail-bulk-unaligned"},
	{"google", []int{550}, []string{"5.7.40"}, nil, "gmail-bulk-dmarc"},

	{"microsoft", []int{550}, []string{"5.7.515"}, nil, "microsoft-bulk-unauthenticated"},
	{"microsoft", []int{550}, []string{"5.7.509"}, nil, "microsoft-dmarc-reject"},
	{"microsoft", []int{550}, []string{"5.7.23"}, nil, "microsoft-spf-fail"},

	{"yahoo", []int{550, 554}, []string{"5.7.9"}, []string{"requires all senders", "unauthenticated"}, "yahoo-unauthenticated"},
	{"yahoo", []int{550, 554}, []string{"5.7.9"}, nil, "yahoo-dmarc-reject"},
	{"yahoo", []int{554}, nil, []string{" soa"}, "yahoo-no-soa"},

	{"apple", []int{554}, []string{"5.7.1"}, []string{"dmarc policy"}, "apple-dmarc-reject"},
	{"apple", []int{554}, []string{"5.7.1"}, []string{"failing both spf and dkim"}, "apple-unauthenticated"},

	{"qq", nil, nil, []string{"dmarc check failed"}, "qq-dmarc"},
	{"qq", nil, nil, []string{"spf check failed"}, "qq-spf"},

	{"", []int{550}, []string{"5.7.20", "5.7.21", "5.7.22"}, nil, "dkim-refused"},
	{"", []int{550}, []string{"5.7.23", "5.7.24"}, nil, "spf-refused"},
	{"", []int{550}, []string{"5.7.25"}, nil, "ptr-refused"},
	{"", []int{550}, []string{"5.7.26"}, nil, "unauthenticated"},
}

// authenticationRefusal returns the rule that a reply falls under, "" for none.
func authenticationRefusal(provider string, a reply) string {
	if a.code/100 != 5 {
		return ""
	}
	text := strings.ToLower(a.text)
	for _, r := range refusals {
		if r.provider != "" && r.provider != provider ||
			len(r.codes) > 0 && !slices.Contains(r.codes, a.code) ||
			len(r.enhanced) > 0 && !slices.Contains(r.enhanced, a.enhanced) ||
			len(r.text) > 0 && !slices.ContainsFunc(r.text, func(s string) bool { return strings.Contains(text, s) }) {
			continue
		}
		return r.rule
	}
	return ""
}

// providerOf tells who runs a server by its name; known is what was found out when
// the message was taken.
func providerOf(host, known string) string {
	for _, p := range [...]struct{ suffix, provider string }{
		{"google.com", "google"}, {"googlemail.com", "google"},
		{"outlook.com", "microsoft"}, {"mx.microsoft", "microsoft"},
		{"yahoodns.net", "yahoo"}, {"mail.icloud.com", "apple"}, {"qq.com", "qq"},
	} {
		if host == p.suffix || strings.HasSuffix(host, "."+p.suffix) {
			return p.provider
		}
	}
	return known
}
