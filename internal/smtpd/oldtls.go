package smtpd

import "strings"

// oldTLS says what helps a client whose TLS is older than what the listener takes.
// crypto/tls has no types for these errors.
func (l *Listener) oldTLS(err error) string {
	if l.Profile == Legacy {
		return ""
	}
	for _, words := range [...]string{"client offered only unsupported versions", "no cipher suite supported by both"} {
		if strings.Contains(err.Error(), words) {
			return `; the client's TLS is too old for this listener: old Exchange needs one with profile = "legacy"`
		}
	}
	return ""
}
