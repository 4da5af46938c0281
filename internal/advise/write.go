package advise

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Title is the host's name for people.
func (h Host) Title() string {
	switch h {
	case Cloudflare:
		return "Cloudflare"
	case CPanel:
		return "cPanel"
	case Hestia:
		return "HestiaCP or VestaCP"
	case Aliyun:
		return "Aliyun"
	case Route53:
		return "Route 53"
	case Web:
		return "your DNS host"
	}
	return "the zone's name servers"
}

// HostOf tells the DNS host of a zone, and its name for people ("": the host's
// own).
type HostOf func(zone string) (host Host, title string)

// Always gives the same host for every zone.
func Always(host Host, title string) HostOf {
	return func(string) (Host, string) { return host, title }
}

// Write prints records as they are entered at the DNS host of each zone, and then
// the steps. It prints nothing for empty advice.
func Write(w io.Writer, advice Advice, hostOf HostOf) error {
	var b strings.Builder
	zones := zonesOf(advice.Records)
	for _, zone := range zones {
		host, title := hostOf(zone)
		records := slices.DeleteFunc(slices.Clone(advice.Records), func(r Record) bool { return r.Zone != zone })
		b.WriteString(heading(records, host, title, len(zones) > 1))
		b.WriteString(aligned(records, host))
	}
	if len(advice.Steps) > 0 {
		b.WriteString("Do:\n")
	}
	for _, s := range advice.Steps {
		fmt.Fprintf(&b, "  %s   %s\n      %s\n", s.Code, s.Name, printable(s.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// zonesOf lists the zones of records in their order, each once.
func zonesOf(records []Record) []string {
	var zones []string
	for _, r := range records {
		if !slices.Contains(zones, r.Zone) {
			zones = append(zones, r.Zone)
		}
	}
	return zones
}

func heading(records []Record, host Host, title string, several bool) string {
	if title == "" {
		title = host.Title()
	}
	panel := slices.ContainsFunc(records, func(r Record) bool { return slices.Contains(r.Codes, "dkim-only-on-local-dns") })
	if panel && host != CPanel && host != Hestia {
		title += " (not in your panel)"
	}
	if zone := records[0].Zone; several && zone != "" {
		title += ", zone " + zone
	}
	return "Publish at " + title + ":\n"
}

// aligned gives a line for each record, in columns, and its notes under it.
func aligned(records []Record, host Host) string {
	var columns strings.Builder
	tab := tabwriter.NewWriter(&columns, 0, 0, 3, ' ', 0)
	for _, r := range records {
		fmt.Fprintln(tab, line(r, host))
	}
	tab.Flush() // to a strings.Builder, which doesn't fail

	indent := "      "
	if isZoneFile(host) {
		indent = "; "
	}
	var b strings.Builder
	said := map[string]bool{}
	for i, l := range strings.SplitAfter(columns.String(), "\n")[:len(records)] {
		b.WriteString(l)
		for _, note := range slices.Concat(records[i].Notes, Form(records[i], host).problems(), Form(records[i], host).Notes) {
			if !said[note] {
				said[note] = true
				b.WriteString(indent + printable(note) + "\n")
			}
		}
	}
	return b.String()
}

// line is one record: a zone file's line, or the fields of a form. Tabs separate
// columns. A zone file's line isn't indented: white space at its beginning stands
// for the name before (RFC 1035 section 5.1).
func line(r Record, host Host) string {
	f := Form(r, host)
	if isZoneFile(host) {
		return fmt.Sprintf("%s\t%d IN %s\t%s%s", f.Name, r.TTL, f.Type, printable(f.Value), replaces(r, " ; "))
	}
	return fmt.Sprintf("  Type %s\tName %s\t%s %s%s", f.Type, f.Name, f.Label, printable(f.Value), replaces(r, "   "))
}

func replaces(r Record, space string) string {
	switch n := len(r.Replaces); n {
	case 0:
		return ""
	case 1:
		return space + "(replaces today's)"
	default:
		return fmt.Sprintf("%s(replaces today's %d)", space, n)
	}
}

func isZoneFile(host Host) bool { return host == BIND || host == "" }

// printable keeps what was published from moving the cursor of whoever reads the
// advice.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
