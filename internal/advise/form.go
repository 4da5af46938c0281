package advise

import (
	"fmt"
	"strings"
)

// Fields are what to enter in a DNS host's form, or to write in a zone file.
type Fields struct {
	Type  string   `json:"type"`
	Name  string   `json:"name"`
	Value string   `json:"value"`
	Label string   `json:"label"`           // what the form calls the value
	Notes []string `json:"notes,omitempty"` // what this host does differently

	Problem string `json:"problem,omitempty"` // why this host can't take the record, and what to do
}

// Form puts a record into a host's form.
func Form(r Record, host Host) Fields {
	if r.State == AsItIs && r.Alias != "" {
		r.Type, r.Value = "CNAME", r.Alias
	}
	f := Fields{Type: r.Type, Name: relativeName(r), Value: r.Value, Label: "Value"}
	switch host {
	case Cloudflare:
		f.Label = "Content"
		f.Notes = append(f.Notes, cloudflareNotes(r)...)
	case CPanel:
		f.Name = r.Name + "."
		f.Label = "Record"
	case Hestia:
		f.Notes = append(f.Notes, "The panel writes only the zone on its own server: of no use where the domain's name servers are elsewhere.")
	case Aliyun:
		f.Problem = aliyunProblem(r)
	case Route53:
		f.Name = r.Name
		f.Value = quotedValue(r, octalEscape)
		f.Notes = append(f.Notes, route53Notes(r)...)
	case Web:
	default: // BIND
		f.Name = r.Name + "."
		f.Value = quotedValue(r, decimalEscape)
	}
	if f.Name == r.Name && r.Zone == "" && host != Route53 {
		f.Notes = append(f.Notes, "This is the whole name; a form that adds the zone's name itself wants it without.")
	}
	return f
}

// relativeName is the name without its zone, "@" for the apex, and the whole name
// where the zone isn't known.
func relativeName(r Record) string {
	switch r.Zone {
	case "":
		return r.Name
	case r.Name:
		return "@"
	}
	return strings.TrimSuffix(r.Name, "."+r.Zone)
}

// cloudflareNotes warns of the proxy, which a mail host can't be behind.
func cloudflareNotes(r Record) []string {
	if r.Type == "TXT" {
		return nil
	}
	return []string{"Proxy status: DNS only."}
}

// aliyunMax is the longest TXT value Aliyun's form takes, in characters.
const aliyunMax = 512

func aliyunProblem(r Record) string {
	if len(r.Value) <= aliyunMax || r.Type != "TXT" {
		return ""
	}
	problem := fmt.Sprintf("It does not fit: %d characters, and Aliyun takes %d.", len(r.Value), aliyunMax)
	switch {
	case strings.HasPrefix(r.Value, "v=DKIM1"):
		problem += " Use an RSA key of 2048 bits (mailgate keys generate)."
	case isSPF(r.Value):
		problem += " Move some terms into a record of their own, such as _spf." + r.Name + ", and include: that."
	}
	return problem
}

// route53Notes warns of the console, which doubles a full name.
func route53Notes(r Record) []string {
	zone, relative := "."+r.Zone, relativeName(r)
	switch {
	case r.Zone == "":
		zone, relative = "the zone's name", "the name without it"
	case relative == "@":
		relative = "nothing"
	}
	return []string{fmt.Sprintf("The console adds %s itself: enter %s there. The API and the command line take the full name.", zone, relative)}
}

// maxString is the length of the longest character-string, in bytes. RFC 1035
// section 3.3.
const maxString = 255

// quotedValue writes a TXT value as quoted strings: unquoted, a zone file ends
// at the first semicolon.
func quotedValue(r Record, escape func(byte) string) string {
	switch r.Type {
	case "TXT":
	case "CNAME":
		return r.Value + "."
	default:
		return r.Value
	}
	var quoted []string
	for _, s := range split(r.Value) {
		quoted = append(quoted, quote(s, escape))
	}
	return strings.Join(quoted, " ")
}

// split cuts a value into character-strings.
func split(value string) []string {
	var all []string
	for len(value) > maxString {
		all, value = append(all, value[:maxString]), value[maxString:]
	}
	return append(all, value)
}

func quote(s string, escape func(byte) string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			b.WriteString(escape(c))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// decimalEscape is the zone file's. RFC 1035 section 5.1.
func decimalEscape(c byte) string { return fmt.Sprintf(`\%03d`, c) }

// octalEscape is Route 53's.
func octalEscape(c byte) string { return fmt.Sprintf(`\%03o`, c) }
