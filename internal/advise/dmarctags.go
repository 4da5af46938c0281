package advise

import (
	"regexp"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// dmarcMeant is what was meant by a DMARC record that may be at fault.
type dmarcMeant struct {
	names   []string          // tags in their order, each once, v= left out
	values  map[string]string // as receivers can read them
	unclear []string          // what they can't, as "tag=value"
}

var (
	dmarcVersionTag = regexp.MustCompile(`(?i)v\s*=\s*DMARC1?\s*:?`)
	// dmarcTagged matches the beginning of a tag, by whatever it is separated from
	// the one before. An address may hold an equals sign, too.
	dmarcTagged = regexp.MustCompile(`(?i)(?:^|[;,\s]|:\s)(p|sp|np|adkim|aspf|rua|ruf|fo|t|psd|pct)\s*=`)
)

// dmarcTags takes apart what was meant to be a DMARC record.
func dmarcTags(txt string) dmarcMeant {
	m := dmarcMeant{values: map[string]string{}}
	txt = strings.NewReplacer(`\`, "", `"`, " ", "“", " ", "”", " ").Replace(txt)
	txt = dmarcVersionTag.ReplaceAllString(txt, ";")
	starts := dmarcTagged.FindAllStringSubmatchIndex(txt, -1)
	for i, at := range starts {
		end := len(txt)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		value, _, _ := strings.Cut(txt[at[1]:end], ";")
		m.add(strings.ToLower(txt[at[2]:at[3]]), value)
	}
	return m
}

// add takes one tag, unless it was there before.
func (m *dmarcMeant) add(name, value string) {
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r <= ' ' || r == 0x7f })
	if len(words) == 0 {
		return
	}
	separator := ","
	if name != "rua" && name != "ruf" {
		words, separator = []string{strings.Trim(words[0], ":'")}, ""
	}
	var good []string
	for _, word := range words {
		if separator != "" {
			if strings.EqualFold(word, "mailto:") {
				continue // the address follows
			}
			word = mailURI(strings.TrimRight(word, ":"))
		}
		if isReadable(name, word) {
			good = append(good, word)
		} else {
			m.unclear = append(m.unclear, name+"="+word)
		}
	}
	if len(good) == 0 || slices.Contains(m.names, name) {
		return
	}
	m.names = append(m.names, name)
	m.values[name] = strings.Join(good, separator)
}

// mailURI writes an address of which mailto: was forgotten with it.
func mailURI(word string) string {
	if strings.Contains(word, "@") && !strings.Contains(word, ":") {
		return "mailto:" + word
	}
	return word
}

// isReadable reports that receivers can read a tag's value.
func isReadable(name, value string) bool {
	if address, isMail := strings.CutPrefix(strings.ToLower(value), "mailto:"); isMail {
		local, host, _ := strings.Cut(address, "@")
		if local == "" || host == "" {
			return false
		}
	}
	return !preflight.ExplainDMARC(name + "=" + value)[0].Fault
}

// record writes the tags, but for p=, behind a policy.
func (m dmarcMeant) record(policy string) string {
	value := dmarcVersion + "; p=" + policy
	for _, n := range m.names {
		if n != "p" {
			value += "; " + n + "=" + m.values[n]
		}
	}
	return value
}

// reportHosts are the domains that reports go to by mail.
func (m dmarcMeant) reportHosts() []string {
	var hosts []string
	for _, tag := range []string{"rua", "ruf"} {
		for uri := range strings.SplitSeq(m.values[tag], ",") {
			address, isMail := strings.CutPrefix(strings.ToLower(uri), "mailto:")
			_, host, _ := strings.Cut(address, "@")
			host, _, _ = strings.Cut(host, "!") // a limit of size
			if isMail && host != "" && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}
