package rotation

import (
	"strings"
)

// tags reads a key record (RFC 6376, section 3.6.1) into its tags. ok is false for what
// isn't one, and where a tag is given twice.
func tags(record string) (found map[string]string, ok bool) {
	found = map[string]string{}
	for part := range strings.SplitSeq(record, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, has := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := found[name]; !has || twice {
			return nil, false
		}
		found[name] = strings.Join(strings.Fields(value), "")
	}
	_, ok = found["p"]
	return found, ok
}

// sameKey says in a word why a published record doesn't serve a key as the wanted one
// does; empty: it does. It is stricter than receivers are: before a switch nothing is
// taken for granted.
func sameKey(published, wanted string) string {
	have, ok := tags(published)
	if !ok {
		return "not a key record"
	}
	want, _ := tags(wanted)
	kind := func(t map[string]string) string {
		if t["k"] == "" {
			return "rsa"
		}
		return t["k"]
	}
	version, versioned := have["v"]
	switch {
	case versioned && version != "DKIM1":
		return "v=" + version
	case have["p"] == "":
		return "a revoked key"
	case kind(have) != kind(want) || have["p"] != want["p"]:
		return "another key"
	case have["t"] != "" && have["t"] != "s":
		return "t=" + have["t"]
	case have["h"] != "" && !lists(have["h"], "sha256"):
		return "h=" + have["h"]
	case have["s"] != "" && !lists(have["s"], "email") && !lists(have["s"], "*"):
		return "s=" + have["s"]
	}
	return ""
}

// isOf reports whether a record has the key of another one, however it is written.
func isOf(published, record string) bool {
	have, ok := tags(published)
	want, known := tags(record)
	return ok && known && want["p"] != "" && have["p"] == want["p"]
}

func lists(value, word string) bool {
	for w := range strings.SplitSeq(value, ":") {
		if w == word {
			return true
		}
	}
	return false
}

// isRevoked reports whether a record is that of a key no longer to be trusted.
func isRevoked(published string) bool {
	have, ok := tags(published)
	return ok && have["p"] == ""
}
