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
		g.add(serverWord([]string{k.Server}, k.View), cmp.Or(rcodeWord(k.Rcode, "", k.AA), "–"), keyWord(k), milliseconds(k.RTT))
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

// serverWord names servers, and whose view it is where it isn't that of the domain's
// own name servers; one without a name was not even asked.
func serverWord(servers []string, view dnsview.View) string {
	var names []string
	for _, server := range servers {
		if server != "" {
			names = append(names, strings.TrimSuffix(plain(server, 60), ":53"))
		}
	}
	switch {
	case len(names) == 0:
		return "not asked (" + string(view) + ")"
	case view != dnsview.Authoritative:
		return strings.Join(names, ", ") + " (" + string(view) + ")"
	}
	return strings.Join(names, ", ")
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

// said is what one or several servers answered to one question.
type said struct {
	view              dnsview.View
	name, kind, rcode string
	records           string
	heard             bool // with authority or by a resolver that knows
	servers           []string
	fastest, slowest  time.Duration
}

// saidOf gathers the evidence of a finding, servers that said the same together.
// How the zone and its servers were found is in the JSON.
func saidOf(f preflight.Finding) []said {
	var all []said
	for _, o := range f.Evidence {
		if o.Error == "" && f.Check != preflight.SOA && (o.Type == "SOA" || o.Type == "NS") {
			continue
		}
		one := said{
			view: o.View, name: o.Name, kind: o.Type, rcode: rcodeWord(o.Rcode, o.Error, o.AA), records: strings.Join(o.Records, "\n"),
			heard: o.Rcode == "NOERROR" || o.Rcode == "NXDOMAIN", fastest: o.RTT, slowest: o.RTT,
		}
		at := slices.IndexFunc(all, func(x said) bool {
			return x.view == one.view && x.name == one.name && x.kind == one.kind && x.rcode == one.rcode && x.records == one.records
		})
		if at < 0 {
			at, all = len(all), append(all, one)
		}
		x := &all[at]
		x.servers = append(x.servers, o.Server)
		x.fastest, x.slowest = min(x.fastest, o.RTT), max(x.slowest, o.RTT)
	}
	return all
}

// observations prints what servers said about the thing itself.
func (s checkScreen) observations(f preflight.Finding) {
	all := saidOf(f)
	g := &grid{cut: []int{0, 1, 3}}
	g.add("", "", "", "", "")
	for _, x := range all {
		question := ""
		if x.name != f.Name {
			question = plain(x.name, 60) + " " + x.kind
		}
		took := milliseconds(x.slowest)
		if milliseconds(x.fastest) != took {
			took = strings.TrimSuffix(milliseconds(x.fastest), " ms") + "–" + took
		}
		g.add(serverWord(x.servers, x.view), x.rcode, question, relevant(f, x.records, x.heard, len(all)), took)
	}
	s.rows(g)
}

// relevant is what matters of an answer: the record itself where the servers'
// answers differ.
func relevant(f preflight.Finding, records string, heard bool, answers int) string {
	prefix := map[preflight.Check]string{preflight.SPF: "v=spf1", preflight.DMARC: "v=DMARC1"}[f.Check]
	if prefix == "" || !heard {
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
// throughout are left out, and so are rows that say nothing new.
func (s checkScreen) rows(g *grid) {
	g.rows = slices.CompactFunc(g.rows, slices.Equal)
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
