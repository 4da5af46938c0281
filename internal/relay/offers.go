package relay

import (
	"bytes"
	"strings"
)

// offers reports whether an answer to EHLO has a keyword, in any case (RFC 5321 section
// 2.4). Neither library says so of the answer over TLS: mox's keeps what was offered
// before, which may be anybody's word, and go-smtp's knows capitals only.
func offers(answer []byte, keyword string) bool {
	for line := range bytes.Lines(answer) {
		if !bytes.HasPrefix(line, []byte("250")) {
			continue
		}
		if words := bytes.Fields(line[min(len(line), len("250-")):]); len(words) > 0 && strings.EqualFold(string(words[0]), keyword) {
			return true
		}
	}
	return false
}
