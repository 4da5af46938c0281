package bounce

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// ourAddress finds the client address that a reply names, in the ways replies do.
var ourAddress = regexp.MustCompile(`(?i)(?:\[|\bfrom:? |\bip:? ?(?:address:? ?)?|\bip=|\bhost |\baddress |\bclient |/query/(?:ip|bl\?ip)[/=]|\?ip=)\[?([0-9a-f.:]*[0-9a-f]+[.:][0-9a-f.:]+[0-9a-f])`)

// domainWords finds a domain behind words that stand before one. Most replies have
// none of them, and looking for the mark, in lower case, is far cheaper.
type domainWords struct {
	mark string
	re   *regexp.Regexp
}

// aboutDomain finds the sending domain that a reply names.
var aboutDomain = []domainWords{
	{"unauthenticated email from ", regexp.MustCompile(`(?i)unauthenticated email from ([^\s,;]+)`)},
	{"sending domain ", regexp.MustCompile(`(?i)sending domain \[?([a-z0-9._-]+\.[a-z0-9-]+)\]?`)},
	{"'s dmarc", regexp.MustCompile(`(?i)(?:due to|policy of) (?:the )?([a-z0-9._-]+\.[a-z0-9-]+)'s dmarc`)},
	{"header ", regexp.MustCompile(`(?i)from:? header \(?[^)]*\)? ?\[([a-z0-9._-]+\.[a-z0-9-]+)\]`)},
	{"dmarc policy of ", regexp.MustCompile(`(?i)dmarc policy of ([a-z0-9._-]+\.[a-z0-9-]+)`)},
}

// spfDomain finds the domain that SPF was looked up for: MAIL FROM's.
var spfDomain = []domainWords{
	{"spf [", regexp.MustCompile(`(?i)\bspf \[([^\]\s]+)\] with ip`)},
	{"mail from domain [", regexp.MustCompile(`(?i)mail from domain \[([^\]\s]+)\]`)},
	{"the domain ", regexp.MustCompile(`(?i)the domain ([a-z0-9._-]+\.[a-z0-9-]+) (?:has|does not designate)`)},
}

// maxText bounds what of a reply's text is looked at, in bytes.
const maxText = 8 << 10

// readText finds in the reply who it is about.
func (r *Reading) readText() {
	r.Reply.Text = cut(r.Reply.Text, maxText)
	text := r.Reply.Text
	if r.MailFrom == "" {
		r.MailFrom = domainOf(r.Sender)
	}
	if d := firstDomain(spfDomain, text); d != "" && r.MailFrom == "" {
		r.MailFrom = d
	}
	if d := firstDomain(aboutDomain, text); d != "" {
		r.Domain = d
	}
	if r.Domain == "" {
		r.Domain = r.MailFrom
	}
	if r.OurIP == "" && !r.Local {
		r.OurIP = r.clientAddress(text)
	}
	r.Lists = listsIn(text)
	r.Results = resultsIn(text)
}

// clientAddress is the first address the reply names that isn't the answering
// server's.
func (r *Reading) clientAddress(text string) string {
	for _, m := range ourAddress.FindAllStringSubmatch(text, 20) {
		ip, err := netip.ParseAddr(strings.TrimRight(m[1], ".:"))
		if err != nil || ip.Unmap().String() == r.RemoteIP {
			continue
		}
		if strings.HasPrefix(ip.Unmap().String(), "127.") {
			continue // what a blocklist answered
		}
		return ip.Unmap().String()
	}
	return ""
}

func firstDomain(ways []domainWords, text string) mail.Domain {
	low := strings.ToLower(text)
	for _, way := range ways {
		if !strings.Contains(low, way.mark) {
			continue
		}
		if m := way.re.FindStringSubmatch(text); m != nil {
			if d := domainFrom(m[1]); d != "" {
				return d
			}
		}
	}
	return ""
}

// domainFrom is a domain of at least two labels, "" for anything else.
func domainFrom(s string) mail.Domain {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	d, err := mail.ParseDomain(strings.Trim(s, "[]<>()'\".,;"))
	if err != nil || d.Parent() == "" {
		return ""
	}
	return d
}

// domainOf is the domain of an address, "" where it has none.
func domainOf(address string) mail.Domain {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return ""
	}
	return domainFrom(address[i+1:])
}

// bareAddress takes an address out of brackets. "<>" stays.
func bareAddress(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
		s = s[i:]
	}
	if s == "<>" {
		return s
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	return strings.TrimPrefix(s, "mailto:")
}

// resultWords are authentication results as replies write them.
var resultWords = regexp.MustCompile(`(?i)\b(spf|dkim|dmarc)\b(?:-result)?(?: ?\[[^\]]*\])?(?: with ip(?: address)?: ?\[?[0-9a-f.:]+\]?)? ?= ?(did not pass|pass(?:ed)?|fail(?:ed|ure)?|softfail|neutral|none|temperror|permerror)\b`)

// resultsIn returns authentication results that the reply tells of, "dkim=fail".
func resultsIn(text string) []string {
	var list []string
	if !strings.Contains(text, "=") {
		return nil
	}
	for _, m := range resultWords.FindAllStringSubmatch(text, 10) {
		word := strings.ToLower(m[2])
		switch word {
		case "did not pass", "failed", "failure":
			word = "fail"
		case "passed":
			word = "pass"
		}
		if s := strings.ToLower(m[1]) + "=" + word; !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// lists are blocklists by what replies write of them.
var lists = []struct{ mark, name string }{
	{"zen.spamhaus.org", "Spamhaus ZEN"}, {"sbl.spamhaus.org", "Spamhaus SBL"}, {"spamhaus sbl", "Spamhaus SBL"}, {"query/sbl", "Spamhaus SBL"},
	{"xbl.spamhaus.org", "Spamhaus XBL"}, {"spamhaus xbl", "Spamhaus XBL"}, {"pbl.spamhaus.org", "Spamhaus PBL"}, {"spamhaus pbl", "Spamhaus PBL"}, {"query/pbl", "Spamhaus PBL"},
	{"dbl.spamhaus.org", "Spamhaus DBL"}, {"spamhaus dbl", "Spamhaus DBL"}, {"spamhaus.org/dbl", "Spamhaus DBL"}, {"spamhaus", "Spamhaus"},
	{"bl.spamcop.net", "SpamCop"}, {"spamcop", "SpamCop"}, {"barracudacentral", "Barracuda"}, {"uceprotect", "UCEPROTECT"},
	{"sorbs", "SORBS"}, {"abusix", "Abusix"}, {"mail.abusix.zone", "Abusix"}, {"proofpoint.com/dnsbl", "Proofpoint"}, {"ipcheck.proofpoint", "Proofpoint"},
	{"cloudmark", "Cloudmark CSI"}, {"csi.cloudmark", "Cloudmark CSI"}, {"psbl.surriel", "PSBL"}, {"psbl.org", "PSBL"}, {"mailspike", "Mailspike"},
	{"surbl.org", "SURBL"}, {"uribl", "URIBL"}, {"invaluement", "invaluement"}, {"trendmicro", "Trend Micro ERS"}, {"senderscore", "Sender Score"},
	{"nixspam", "NiX Spam"}, {"hostkarma", "HostKarma"}, {"blocklist.de", "blocklist.de"}, {"s5h.net", "s5h.net"}, {"gbudb", "GBUdb"},
}

// listsIn names the blocklists that a reply refers to; the more exact name of one
// stands for it.
func listsIn(text string) []string {
	low := strings.ToLower(text)
	var found []string
	for _, l := range lists {
		known := slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, l.name) })
		if !known && strings.Contains(low, l.mark) {
			found = append(found, l.name)
		}
	}
	return found
}
