package bounce

import (
	"mime"
	"strings"
)

// field is one field of a header or of a status part, unfolded.
type field struct{ name, value string }

// fields are a header's, or a block's of RFC 3464.
type fields []field

// maxFields bounds how many are kept of one header.
const maxFields = 500

// readFields reads fields up to an empty line and returns what comes after it. It
// takes what is no field in its stride: bounces quote broken headers.
func readFields(text string) (list fields, rest string) {
	for text != "" {
		line, after, _ := strings.Cut(text, "\n")
		line = strings.TrimRight(line, "\r")
		if strings.TrimSpace(line) == "" {
			return list, after
		}
		text = after
		if (line[0] == ' ' || line[0] == '\t') && len(list) > 0 {
			last := &list[len(list)-1]
			if len(last.value) < maxText*4 {
				last.value += " " + strings.TrimSpace(line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || strings.ContainsAny(name, " \t") || len(list) >= maxFields {
			continue
		}
		list = append(list, field{name, strings.TrimSpace(value)})
	}
	return list, ""
}

// get returns the first field of a name.
func (f fields) get(name string) string {
	for _, x := range f {
		if strings.EqualFold(x.name, name) {
			return x.value
		}
	}
	return ""
}

func (f fields) all(name string) []string {
	var list []string
	for _, x := range f {
		if strings.EqualFold(x.name, name) {
			list = append(list, x.value)
		}
	}
	return list
}

// typed takes a value of RFC 3464 apart: "smtp; 550 5.7.26 …", "rfc822;x@y".
func typed(value string) (kind, rest string) {
	kind, rest, ok := strings.Cut(value, ";")
	if !ok {
		return "", value
	}
	return strings.ToLower(strings.TrimSpace(kind)), strings.TrimSpace(rest)
}

// mediaType is a Content-Type's type and boundary, as far as they can be read.
func mediaType(value string) (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(value)
	if err != nil && kind == "" {
		kind, _, _ = strings.Cut(value, ";")
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}
