package preflight

import (
	"fmt"
	"strings"
)

// tag is one name=value of a tag list.
type tag struct{ name, value string }

// parseTags reads a tag list: RFC 6376 section 3.2, which DMARC shares. Folding
// white space around names and values is dropped; inside values it is kept.
func parseTags(s string) ([]tag, error) {
	var tags []tag
	for spec := range strings.SplitSeq(s, ";") {
		spec = trimFWS(spec)
		if spec == "" {
			continue // the list may end in a semicolon; more of them are forgiven
		}
		name, value, found := strings.Cut(spec, "=")
		name, value = trimFWS(name), trimFWS(value)
		if !found || !isTagName(name) {
			return nil, fmt.Errorf("%q is not tag=value", clip(spec, 40))
		}
		for _, t := range tags {
			if t.name == name {
				return nil, fmt.Errorf("tag %s= occurs twice", name)
			}
		}
		tags = append(tags, tag{name, value})
	}
	return tags, nil
}

func isTagName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

const fws = " \t\r\n"

func trimFWS(s string) string { return strings.Trim(s, fws) }

// dropFWS removes all white space, as RFC 6376 section 3.6.1 allows it anywhere
// inside p=.
func dropFWS(s string) string {
	if !strings.ContainsAny(s, fws) {
		return s
	}
	return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s)
}

// colonList splits a colon-separated value.
func colonList(s string) []string {
	var list []string
	for item := range strings.SplitSeq(s, ":") {
		if item = trimFWS(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// clip shortens s to about n bytes for people to read.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
