package publish

import (
	"fmt"
	"strconv"
	"strings"
)

// awsQuoted spells a text for Route 53: strings in quotes of at most 255 bytes, octal
// escapes.
func awsQuoted(text string) string {
	var parts []string
	for rest := text; ; {
		part := rest[:min(len(rest), 255)]
		rest = rest[len(part):]
		var b strings.Builder
		for _, c := range []byte(part) {
			switch {
			case c == '"' || c == '\\':
				b.WriteString(`\` + string(c))
			case unprintable(rune(c)):
				fmt.Fprintf(&b, `\%03o`, c)
			default:
				b.WriteByte(c)
			}
		}
		parts = append(parts, `"`+b.String()+`"`)
		if rest == "" {
			return strings.Join(parts, " ")
		}
	}
}

// awsText is what a value of Route 53 stands for. White space outside quotes only
// separates strings.
func awsText(raw string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
		case c == '\\' && i+1 < len(raw):
			i++
			if n, err := strconv.ParseUint(raw[i:min(i+3, len(raw))], 8, 8); err == nil && i+3 <= len(raw) {
				b.WriteByte(byte(n))
				i += 2
			} else {
				b.WriteByte(raw[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
