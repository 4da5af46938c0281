package gate

import (
	"bytes"
	"fmt"
	"strings"

	"mailgate/internal/mail"
)

// What the doors' log lines say of a message, in the same words at each.

// maxNamed is how many recipients a log line names.
const maxNamed = 10

// Paths names recipients for a log line: the first ten, and how many more.
func Paths(to []mail.Address) string {
	var b strings.Builder
	for i, a := range to {
		if i == maxNamed {
			fmt.Fprintf(&b, " and %d more", len(to)-maxNamed)
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("<" + a.String() + ">")
	}
	return b.String()
}

// Signers names the keys of the signatures, by domain and selector.
func Signers(signatures []mail.Field) string {
	var b strings.Builder
	for i, f := range signatures {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(tag(f, "d="))
		b.WriteByte('/')
		b.WriteString(tag(f, "s="))
	}
	return b.String()
}

// tag returns the value of a tag of a signature we made (RFC 6376 section 3.5).
func tag(signature mail.Field, name string) string {
	_, tags, _ := bytes.Cut(signature.Raw, []byte(":"))
	for t := range bytes.SplitSeq(tags, []byte(";")) {
		if value, ok := bytes.CutPrefix(bytes.TrimSpace(t), []byte(name)); ok {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// Rule names the rule that predicts a refusal of some recipient.
func (o *Outcome) Rule() string {
	for _, r := range o.Recipients {
		if r.Prediction.Rule != "" {
			return r.Prediction.Rule
		}
	}
	return ""
}

// Worst names the gravest finding of one check without the check's own name, as in
// dkim=missing, or pass when all is well; empty if there are no findings. What is
// found about a key that didn't sign is not about this message.
func (o *Outcome) Worst(check string) string {
	if o.Report == nil {
		return ""
	}
	gravity := func(status string) int {
		return strings.Index("pass warn unknown fail", status)
	}
	found, code := "", ""
	for _, f := range o.Report.Findings {
		status := string(f.Status)
		if string(f.Check) == check && !f.Unused && (found == "" || gravity(status) > gravity(found)) {
			found, code = status, f.Code
		}
	}
	if found == "pass" || found == "" {
		return found
	}
	return strings.TrimPrefix(code, check+"-")
}
