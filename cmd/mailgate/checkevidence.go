package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/preflight"
)

// keyEvidence prints what every server has of a key, compared with the one that
// signs; of a key that is well only what the panel has instead. It reports false
// where the finding is about something else.
func (s checkScreen) keyEvidence(c *checked, f preflight.Finding) bool {
	at := slices.IndexFunc(c.Keys, func(k keyEvidence) bool { return k.Selector == f.Selector })
	if f.Check != preflight.DKIM || at < 0 || f.Code == "dkim-name-doubled" || f.Code == "dkim-name-lacks-subdomain" {
		return false
	}
	g, remark := &grid{cut: []int{0, 2}}, ""
	g.add("", "", "", "")
	published := slices.ContainsFunc(c.Keys[at].Servers, func(k preflight.KeyServer) bool {
		return k.View != dnsview.Panel && k.Match == preflight.KeyMatches
	})
	for _, k := range c.Keys[at].Servers {
		panel := k.View == dnsview.Panel
		if f.Status == preflight.Pass && !s.evidence && !(panel && (k.Match == preflight.KeyOther || k.Match == preflight.KeyInvalid)) {
			continue
		}
		server := strings.TrimSuffix(plain(k.Server, 60), ":53")
		if k.View != dnsview.Authoritative {
			server += " (" + string(k.View) + ")"
		}
		g.add(server, cmp.Or(rcodeWord(k.Rcode, "", k.AA), "–"), keyWord(k), milliseconds(k.RTT))
		if panel {
			remark = panelRemark(k.Match, published)
		}
	}
	s.rows(g)
	if remark != "" {
		s.detail(remark)
	}
	return true
}

// panelRemark says what to make of what the panel's own server has.
func panelRemark(match preflight.KeyMatch, published bool) string {
	switch {
	case match == preflight.KeyMatches && !published:
		return "<- only your own server sees this; the world asks the others"
	case match == preflight.KeyOther, match == preflight.KeyInvalid:
		return "<- your own server and the world may differ: the world asks the others"
	}
	return ""
}

// keyWord says what a server has.
func keyWord(server preflight.KeyServer) string {
	switch server.Match {
	case preflight.KeyMatches:
		return "matches the signing key"
	case preflight.KeyOther:
		return "another key"
	case preflight.KeyInvalid:
		return "no valid key record"
	case preflight.KeyAlias:
		return "an alias (CNAME)"
	case preflight.KeyNone:
		return "no record"
	}
	return cmp.Or(plain(server.Error, 60), "no answer that counts")
}

func rcodeWord(rcode, fault string, aa bool) string {
	said := plain(rcode, 0)
	if fault != "" {
		said = strings.TrimPrefix(said+", "+plain(fault, 60), ", ")
	}
	if aa {
		said += " aa"
	}
	return said
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// observations prints what servers said about the thing itself: those that said
// the same in one line. How the zone and its servers were found is in the JSON.
func (s checkScreen) observations(f preflight.Finding) {
	type said struct {
		view              dnsview.View
		name, kind, rcode string
		records           string
		servers           []string
		fastest, slowest  time.Duration
	}
	var all []said
	for _, o := range f.Evidence {
		if o.Error == "" && f.Check != preflight.SOA && (o.Type == "SOA" || o.Type == "NS") {
			continue
		}
		one := said{o.View, o.Name, o.Type, rcodeWord(o.Rcode, o.Error, o.AA), strings.Join(o.Records, "\n"), nil, o.RTT, o.RTT}
		at := slices.IndexFunc(all, func(x said) bool {
			return x.view == one.view && x.name == one.name && x.kind == one.kind && x.rcode == one.rcode && x.records == one.records
		})
		if at < 0 {
			at, all = len(all), append(all, one)
		}
		x := &all[at]
		x.servers = append(x.servers, strings.TrimSuffix(plain(o.Server, 60), ":53"))
		x.fastest, x.slowest = min(x.fastest, o.RTT), max(x.slowest, o.RTT)
	}
	g := &grid{cut: []int{0, 1, 3}}
	g.add("", "", "", "", "")
	for _, x := range all {
		servers := strings.Join(x.servers, ", ")
		if x.view != dnsview.Authoritative {
			servers += " (" + string(x.view) + ")"
		}
		question := ""
		if x.name != f.Name {
			question = plain(x.name, 60) + " " + x.kind
		}
		took := milliseconds(x.slowest)
		if milliseconds(x.fastest) != took {
			took = strings.TrimSuffix(milliseconds(x.fastest), " ms") + "–" + took
		}
		g.add(servers, x.rcode, question, relevant(f, x.records, len(all)), took)
	}
	s.rows(g)
}

// relevant is what matters of an answer: the record itself where the servers'
// answers differ.
func relevant(f preflight.Finding, records string, answers int) string {
	prefix := map[preflight.Check]string{preflight.SPF: "v=spf1", preflight.DMARC: "v=DMARC1"}[f.Check]
	if prefix == "" {
		return ""
	}
	for record := range strings.SplitSeq(records, "\n") {
		if !strings.HasPrefix(strings.ToLower(record), strings.ToLower(prefix)) {
			continue
		}
		if answers < 2 {
			return "the record"
		}
		return plain(record, 60)
	}
	return "no " + prefix + " record"
}

// rows prints a grid without its heading, indented. Columns that are empty
// throughout are left out.
func (s checkScreen) rows(g *grid) {
	if len(g.rows) < 2 {
		return
	}
	used := make([]bool, len(g.rows[0]))
	for _, row := range g.rows[1:] {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	shown := &grid{}
	for i, n := 0, 0; i < len(used); i++ {
		if !used[i] {
			continue
		}
		if slices.Contains(g.cut, i) {
			shown.cut = append(shown.cut, n)
		}
		n++
	}
	for _, row := range g.rows {
		var kept []string
		for i, cell := range row {
			if used[i] {
				kept = append(kept, cell)
			}
		}
		shown.rows = append(shown.rows, kept)
	}
	var b strings.Builder
	width := 0
	if s.width > 0 {
		width = max(s.width-len(screenIndent), 20)
	}
	shown.write(&b, width)
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	if strings.TrimSpace(lines[0]) == "" { // the heading, unless the rows are stacked
		lines = lines[1:]
	}
	for _, line := range lines {
		fmt.Fprintln(s.out, screenIndent+line)
	}
}
