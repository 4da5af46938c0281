package preflight

import (
	"encoding/asn1"
	"fmt"
	"regexp"
	"strings"

	"mailgate/internal/dnsview"
)

// quoteMarks are what people and their word processors quote with.
const quoteMarks = "\"'“”„‘’«»"

func dropQuotes(r rune) rune {
	if strings.ContainsRune(quoteMarks, r) {
		return -1
	}
	return r
}

// pemLine matches a line of a PEM file, and where an editor took the dashes for a
// rule, what is left of it.
var pemLine = regexp.MustCompile(`-----\s*(BEGIN|END)|(BEGIN|END) (RSA )?(PUBLIC|PRIVATE) KEY`)

// judgeSpelling finds what people paste wrong in a record that can't be read.
func judgeSpelling(text string) (keyVerdict, bool) {
	switch {
	case pemLine.MatchString(text) && strings.Contains(text, "PRIVATE KEY"):
		return keyFails("dkim-pem-header-in-value", "", "The private key is published: anybody can sign as the domain. Take it out, and make a new key under a new selector."), true
	case pemLine.MatchString(text):
		return keyFails("dkim-pem-header-in-value", text,
			"The record has the lines of the PEM file (-----BEGIN …-----) in it."), true
	case !hasTag(text, "p") && !longKey.MatchString(text):
		return keyFails("dkim-truncated-at-semicolon", text,
			"The record is only %q: everything after a semicolon is lost.", clip(text, 40)), true
	case isZoneLine(text):
		return keyFails("dkim-quotes-in-value", text,
			"The whole line of a zone file is in the value, with its name and quotation marks."), true
	case hasQuotes(text):
		return keyFails("dkim-quotes-in-value", text,
			"The record has quotation marks in its value."), true
	}
	return keyVerdict{}, false
}

// hasTag reports whether a tag occurs, in whatever case and after whatever.
func hasTag(text, name string) bool {
	for before, rest := "", text; ; {
		head, tail, found := strings.Cut(rest, "=")
		if !found {
			return false
		}
		before, rest = strings.TrimRight(head, fws), tail
		at := len(before) - len(name)
		if at >= 0 && strings.EqualFold(before[at:], name) && (at == 0 || !isTagName(before[at-1:at])) {
			return true
		}
	}
}

// isZoneLine reports whether the value is what key generators print for a zone file:
// mail._domainkey IN TXT ( "v=DKIM1; …" ) ; ----- DKIM key mail.
func isZoneLine(text string) bool {
	name, _, _ := strings.Cut(strings.ToLower(text), "v=dkim1")
	return strings.Contains(name, "_domainkey") || strings.Contains(name, "in txt") || strings.Contains(name, "in\ttxt")
}

// hasQuotes reports quotation marks elsewhere than in n=, which is for people.
func hasQuotes(text string) bool {
	for spec := range strings.SplitSeq(text, ";") {
		name, _, _ := strings.Cut(spec, "=")
		if trimFWS(name) != "n" && strings.ContainsAny(spec, quoteMarks) {
			return true
		}
	}
	return false
}

// cutShort reports whether the record is one string of (nearly) 255 bytes that ends
// inside a key: the one that signs, or any whose beginning says that it is longer.
func cutShort(key Key, r dnsview.Record) (length int, cut bool) {
	_, p, found := strings.Cut(r.Text, "p=")
	if !found || len(r.Text) < 250 || len(r.Text) > 256 || len(r.Strings) > 1 {
		return 0, false
	}
	p = dropFWS(p)
	if key.Public != nil {
		if ours := publishedForm(key.Public); len(p) < len(ours) && strings.HasPrefix(ours, p) {
			return len(r.Text), true
		}
	}
	_, _, short := endsEarly(p)
	return len(r.Text), short
}

// endsEarly reports whether base64 text ends before the structure it begins does,
// and how long the text is and ought to be. X.690 section 8.1.
func endsEarly(p string) (have, want int, short bool) {
	der, err := decodeBase64(p[:len(p)/4*4])
	if err != nil || len(der) < 8 {
		return 0, 0, false
	}
	var whole asn1.RawValue
	if _, err := asn1.Unmarshal(der, &whole); err == nil {
		return 0, 0, false
	}
	if der[0] != 0x30 || der[1] != 0x82 { // a sequence, its length in two bytes: as RSA keys begin
		return 0, 0, false
	}
	length := 4 + int(der[2])<<8 + int(der[3])
	return len(p), (length + 2) / 3 * 4, length > len(der)
}

// whyUnreadable says what a record that can't be read has wrong.
func whyUnreadable(text string, err error) string {
	_, p, _ := strings.Cut(text, "p=")
	p, _, _ = strings.Cut(p, ";")
	have, want, short := endsEarly(dropFWS(p))
	version, _, _ := strings.Cut(dropFWS(text), ";")
	switch {
	case strings.Contains(text, `\;`):
		return `there are backslashes before its semicolons, which are for zone files only`
	case strings.Contains(p, `\n`) || strings.Contains(p, `\r`):
		return `line breaks are written into the key, as \n`
	case hasTag(text, "p") && !strings.Contains(text, "p="):
		return "its tags are in capitals, and verifiers know only small ones"
	case !hasTag(text, "p"):
		return "the key is there, but not p= before it"
	case strings.HasPrefix(version, "v=DKIM1") && len(version) > len("v=DKIM1"):
		return "there is no semicolon after v=DKIM1"
	case short:
		return fmt.Sprintf("the key ends after %d of %d characters", have, want)
	}
	return err.Error()
}
