package smtpd

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
)

// Limits of RFC 3461, sections 4.4 and 4.2, in characters.
const (
	maxEnvelopeID = 100
	maxOriginal   = 500
)

// delivery keeps the parameters of RFC 3461 for the relay. The library has decoded
// them, and lets control characters through (RFC 6533's \x{0A}), which would end
// up in the header of a report.
func delivery(o *smtp.RcptOptions) (spool.Delivery, error) {
	var d spool.Delivery
	words := make([]string, len(o.Notify))
	for i, n := range o.Notify {
		words[i] = string(n)
	}
	d.Notify = strings.Join(words, ",")
	if o.OriginalRecipient == "" {
		return d, nil
	}
	if strings.ContainsFunc(o.OriginalRecipient, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return d, errors.New("ORCPT holds a control or invisible character")
	}
	d.Original = strings.ToLower(string(o.OriginalRecipientType)) + ";" + o.OriginalRecipient
	if len(d.Original) > maxOriginal {
		return d, fmt.Errorf("ORCPT too long, at most %d characters", maxOriginal)
	}
	return d, nil
}
