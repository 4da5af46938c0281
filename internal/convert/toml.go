package convert

import (
	"fmt"
	"strings"
	"unicode"
)

// TOML is the configuration, with comments on what was not taken over. Config.Parse
// reads it.
func (p *Plan) TOML() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# From the configuration of %s: %s\n", p.Source, comment(strings.Join(p.Files[:min(len(p.Files), 3)], ", ")))
	b.WriteString("# Every setting is explained in config.example.toml.\n\n")
	b.WriteString("# mode   = \"observe\"                      # sign, but hold nothing: to begin with\n")
	b.WriteString("# egress = [\"203.0.113.9\"]                # every public address that mail leaves from: put yours here\n\n")
	p.door(&b)
	if len(p.Resolvers) > 0 {
		fmt.Fprintf(&b, "[dns]\nresolvers = %s\n\n", list(p.Resolvers))
	}
	for _, d := range p.Domains {
		writeDomain(&b, d)
	}
	for _, d := range p.Partly {
		writePartly(&b, d)
	}
	b.WriteString(p.comments())
	return []byte(b.String())
}

func (p *Plan) door(b *strings.Builder) {
	name := "milter"
	if p.Relay {
		name = "relay"
	}
	fmt.Fprintf(b, "[%s]\nlisten  = %s\n", name, quoted(p.Listen))
	fmt.Fprintf(b, "trusted = %s\n\n", list(p.Trusted))
}

func writeDomain(b *strings.Builder, d Domain) {
	fmt.Fprintf(b, "[[domain]]\nname = %s\n", quoted(d.Pattern))
	if d.SignAs != "" {
		fmt.Fprintf(b, "sign_as = %s\n", quoted(d.SignAs))
	}
	if d.SubDomains {
		b.WriteString("subdomains = true\n")
	}
	if d.Expire != "" {
		fmt.Fprintf(b, "expire = %s\n", quoted(d.Expire))
	}
	b.WriteString("keys = [\n")
	for _, k := range d.Keys {
		fmt.Fprintf(b, "  { selector = %s, file = %s", quoted(k.Selector), quoted(k.File))
		if k.Identity != "" {
			fmt.Fprintf(b, ", identity = %s", quoted(k.Identity))
		}
		b.WriteString(" },\n")
	}
	b.WriteString("]\n\n")
}

// writePartly writes the entry as a comment.
func writePartly(b *strings.Builder, d Partly) {
	fmt.Fprintf(b, "# Of %s only some addresses were signed, such as %s. This would sign all of its mail:\n",
		comment(d.Pattern), comment(d.Addresses[0]))
	var entry strings.Builder
	writeDomain(&entry, d.Domain)
	for line := range strings.Lines(strings.TrimSpace(entry.String())) {
		b.WriteString("# " + line)
	}
	b.WriteString("\n\n")
}

// comments are what wasn't taken over, as comments.
func (p *Plan) comments() string {
	var b strings.Builder
	for _, group := range []struct {
		kind  Kind
		title string
	}{{Mend, "To mend before mailgate starts"}, {Left, "Not taken over"}, {Differs, "Done otherwise by mailgate"}} {
		title := group.title
		for _, n := range p.Notes {
			if n.Kind != group.kind {
				continue
			}
			if title != "" {
				fmt.Fprintf(&b, "# %s:\n", title)
				title = ""
			}
			fmt.Fprintf(&b, "#   %s\n", comment(n.String()))
			if n.Do != "" {
				fmt.Fprintf(&b, "#     -> %s\n", comment(n.Do))
			}
		}
	}
	if len(p.Differences) > 0 {
		b.WriteString("# Signed otherwise than before:\n")
	}
	for _, d := range p.Differences {
		fmt.Fprintf(&b, "#   %s\n", comment(d.String()))
	}
	if p.NotShown > 0 {
		fmt.Fprintf(&b, "#   and %d more\n", p.NotShown)
	}
	return b.String()
}

// String is a note on one line.
func (n Note) String() string {
	s := n.Text
	if n.Setting != "" {
		s = n.Setting + ": " + s
	}
	if where := n.Where(); where != "" {
		s = where + ": " + s
	}
	return s
}

// String is a difference on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s, now %s (%s)", d.From, signatures(d.Old), signatures(d.New), d.Why)
}

func signatures(list []string) string {
	if len(list) == 0 {
		return "unsigned"
	}
	return strings.Join(list, " and ")
}

// comment keeps text on its line.
func comment(s string) string {
	return strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || unicode.IsControl(c) || unicode.Is(unicode.Cf, c) {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}

func list(all []string) string {
	out := make([]string, 0, len(all))
	for _, s := range all {
		out = append(out, quoted(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// quoted is a basic string of TOML.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case unicode.IsControl(c) || unicode.Is(unicode.Cf, c): // also those that only a terminal minds
			fmt.Fprintf(&b, "\\U%08X", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
