package advise

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Listing is all the records a domain should publish, to be printed.
type Listing struct {
	Advice Advice
	HostOf HostOf
	Head   []string            // lines before, for people
	Mark   func(State) string  // a sign for a state; nil: a plain one
	Clean  func(string) string // makes foreign text fit for the screen; nil: control characters are replaced
}

// WriteListing prints every record with its state, in the form of its DNS host,
// and then the steps. Where that is a zone file for all zones, what is printed is
// one: all that is for people is in comments, and so are records that may do harm
// beside ones that weren't seen.
func WriteListing(w io.Writer, l Listing) error {
	if l.Clean == nil {
		l.Clean = printable
	}
	if l.Mark == nil {
		l.Mark = stateMark
	}
	p := page{Listing: l, comment: l.isZoneFile()}
	for _, line := range l.Head {
		p.say(0, line)
	}
	zones := zonesOf(l.Advice.Records)
	for _, zone := range zones {
		host, title := l.HostOf(zone)
		if title == "" {
			title = host.Title()
		}
		if zone != "" {
			title += ", zone " + zone
		}
		p.gap()
		p.say(0, "At "+title+":")
		for _, r := range l.Advice.Records {
			if r.Zone == zone {
				p.record(r, host)
			}
		}
	}
	if len(l.Advice.Steps) > 0 {
		p.gap()
		p.say(0, "Do:")
	}
	for _, s := range l.Advice.Steps {
		p.say(1, s.Code+"   "+s.Name)
		p.say(3, s.Text)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (l Listing) isZoneFile() bool {
	zones := zonesOf(l.Advice.Records)
	if len(zones) == 0 {
		zones = []string{""}
	}
	return !slices.ContainsFunc(zones, func(zone string) bool { host, _ := l.HostOf(zone); return !isZoneFile(host) })
}

// page is what is printed.
type page struct {
	Listing
	comment bool // lines for people are comments
	said    []string
	b       strings.Builder
}

// say prints a line for people.
func (p *page) say(indent int, line string) {
	start := ""
	if p.comment {
		start = "; "
	}
	p.b.WriteString(strings.TrimRight(start+strings.Repeat("  ", indent)+p.Clean(line), " ") + "\n")
}

// mark prints the state of a record. The sign may be coloured.
func (p *page) mark(r Record) {
	start := "  "
	if p.comment {
		start = ";   "
	}
	about := strings.ToUpper(string(r.Check))
	if selector, _, found := strings.Cut(r.Name, "._domainkey."); found {
		about += " " + selector
	}
	fmt.Fprintf(&p.b, "%s%s %s: %s\n", start, p.Mark(r.State), p.Clean(about), p.Clean(stateWords(r)))
}

func (p *page) gap() {
	if p.b.Len() > 0 {
		p.b.WriteString("\n")
	}
}

// record prints one record: its state, what is entered, what goes, and what to mind.
func (p *page) record(r Record, host Host) {
	p.mark(r)
	f := Form(r, host)
	if isZoneFile(host) {
		line := ZoneLine(r)
		if r.State == Unsure && r.Check != "dkim" || !p.comment {
			p.say(3, line)
		} else {
			p.b.WriteString(line + "\n")
		}
	} else {
		p.say(3, fmt.Sprintf("Type %s   Name %s   %s %s", f.Type, f.Name, f.Label, f.Value))
	}
	if r.State == ToReplace && r.Alias != "" {
		p.say(3, "delete CNAME: "+r.Alias)
	}
	for _, old := range r.Replaces {
		p.say(3, "today: "+old)
	}
	for _, note := range slices.Concat(f.problems(), r.Notes) {
		p.say(3, note)
	}
	for _, note := range f.Notes {
		if !slices.Contains(p.said, note) { // of the host, not of the record
			p.said = append(p.said, note)
			p.say(3, note)
		}
	}
	for i, next := range r.Next {
		word := "next: "
		if i > 0 {
			word = "then: "
		}
		p.say(3, word+next)
	}
}

// ZoneLine is a record as a line of a zone file, with its full name. RFC 1035
// section 5.1.
func ZoneLine(r Record) string {
	f := Form(r, BIND)
	return fmt.Sprintf("%s %d IN %s %s", f.Name, r.TTL, f.Type, f.Value)
}

func (f Fields) problems() []string {
	if f.Problem == "" {
		return nil
	}
	return []string{f.Problem}
}

// stateWords says what is the matter with a record.
func stateWords(r Record) string {
	switch r.State {
	case AsItIs:
		if r.Alias != "" {
			return "published, through an alias"
		}
		return "published as it should be"
	case Partly:
		return "published on some of the name servers only: wait, or mend the transfer between them"
	case Faulty:
		return "published, with a fault that takes more than this record: see below"
	case ToAdd:
		return "to add" + stillAtFault(r)
	case ToReplace:
		if n := len(r.Replaces); n > 1 {
			return fmt.Sprintf("to replace today's %d", n) + stillAtFault(r)
		}
		return "to replace today's" + stillAtFault(r)
	case Unsure:
		return "not known: DNS gave no answer"
	}
	return "to publish"
}

func stillAtFault(r Record) string {
	if r.Fault == "" {
		return ""
	}
	return ", and not right like this: see below"
}

func stateMark(s State) string {
	switch s {
	case AsItIs:
		return "✓"
	case ToReplace:
		return "~"
	case Faulty:
		return "✗"
	case Partly, Unsure:
		return "?"
	}
	return "+"
}
