package store

import (
	"database/sql"
	"strings"

	"mailgate/internal/spool"
)

// row is what a filter looks at in a message.
type row struct {
	key
	subject, from, mailFrom string
	chosen                  sql.NullString // the recipients that answer to the rest of the filter, a line each; NULL: none
	everyone                string         // all recipients, a line each
}

// weight is what it costs to look at r, in recipients.
func (r *row) weight() int64 {
	return 1 + int64(strings.Count(r.chosen.String, "\n")+strings.Count(r.everyone, "\n"))
}

const (
	fromAddress     = "m.from_local || '@' || m.from_domain"
	mailFromAddress = "m.mail_local || '@' || m.mail_domain"
	// An address has no line breaks: they end a command of SMTP.
	recipientLines = "group_concat(r.local || '@' || r.domain, char(10))"
	// everyone is the expression for all recipients of messages m.
	everyone = "(SELECT " + recipientLines + " FROM recipients r WHERE r.message = m.seq)"
)

// parts is what a filter asks to be contained in a message, folded.
type parts struct{ sender, recipient, text string }

// mostCauses is how many causes the index of words is asked for; with more, they
// rule little out.
const mostCauses = 64

func partsOf(f *spool.Filter) parts {
	return parts{sender: fold(f.Sender), recipient: fold(f.Recipient), text: fold(f.Text)}
}

// in reports whether r has the parts.
func (p *parts) in(r *row) bool {
	if p.sender != "" && !strings.Contains(fold(r.from), p.sender) && !strings.Contains(fold(r.mailFrom), p.sender) {
		return false
	}
	if p.recipient != "" && !inLine(r.chosen.String, p.recipient) {
		return false
	}
	return p.text == "" || strings.Contains(fold(r.subject), p.text) ||
		strings.Contains(fold(r.from), p.text) || inLine(r.everyone, p.text)
}

// inLine reports whether one of the lines has the part.
func inLine(lines, part string) bool {
	for line := range strings.SplitSeq(lines, "\n") {
		if strings.Contains(fold(line), part) {
			return true
		}
	}
	return false
}

// query returns what to ask the index of words: everything that has the parts has
// these grams, and what is held for one of the causes theirs.
func (p *parts) query(causes []int64) string {
	var all []string
	if p.sender != "" {
		all = append(all, having(p.sender, inFrom, inMailFrom))
	}
	if p.recipient != "" {
		all = append(all, having(p.recipient, inTo))
	}
	if p.text != "" {
		all = append(all, having(p.text, inSubject, inFrom, inTo))
	}
	if len(causes) > 0 && len(causes) <= mostCauses {
		all = append(all, numbered(inCause, causes))
	}
	return strings.Join(all, " AND ")
}
